"""Quotas and limits over HTTP: everything is unlimited, and cannot be limited yet."""

from __future__ import annotations

from typing import Any

from lanekeeper.api.compute.value import at_least
from lanekeeper.api.row import ADMIN, ANYONE, READER, Call, Policy, Row
from lanekeeper.control.compute.usage import Usage, usage_of
from lanekeeper.domain.errors import Invalid, NotOffered

_SHOW = Policy("os_compute_api:os-quota-sets:show", READER)
_DEFAULTS = Policy("os_compute_api:os-quota-sets:defaults", ANYONE)
_UPDATE = Policy("os_compute_api:os-quota-sets:update", ADMIN)
_LIMITS = Policy("os_compute_api:limits", ANYONE)
_CLASSES = Policy("os_compute_api:os-quota-class-sets:show", ADMIN)

UNLIMITED = -1
RESOURCES: tuple[tuple[str, str], ...] = (
    ("cores", ""),
    ("fixed_ips", "2.35"),
    ("floating_ips", "2.35"),
    ("injected_file_content_bytes", "2.56"),
    ("injected_file_path_bytes", "2.56"),
    ("injected_files", "2.56"),
    ("instances", ""),
    ("key_pairs", ""),
    ("metadata_items", ""),
    ("ram", ""),
    ("security_group_rules", "2.35"),
    ("security_groups", "2.35"),
    ("server_group_members", ""),
    ("server_groups", ""),
)
"""What quotas speak of, and the last microversion that has it; empty for all."""

_LIMIT_NAMES: tuple[tuple[str, str], ...] = (
    ("maxImageMeta", "2.38"),
    ("maxPersonality", "2.56"),
    ("maxPersonalitySize", "2.56"),
    ("maxSecurityGroupRules", "2.35"),
    ("maxSecurityGroups", "2.35"),
    ("maxServerGroupMembers", ""),
    ("maxServerGroups", ""),
    ("maxServerMeta", ""),
    ("maxTotalCores", ""),
    ("maxTotalFloatingIps", "2.35"),
    ("maxTotalInstances", ""),
    ("maxTotalKeypairs", ""),
    ("maxTotalRAMSize", ""),
)


def _names(call: Call[Any], table: tuple[tuple[str, str], ...]) -> list[str]:
    return [name for name, until in table if not until or not _beyond(call, until)]


def _beyond(call: Call[Any], until: str) -> bool:
    return at_least(call, until) and str(call.microversion) != until


def show(call: Call[None]) -> dict[str, object]:
    """Show a project's quotas."""
    project_id = call.path["project_id"]
    usage_of(call.site, call.caller, project_id)
    return _unlimited(call, project_id)


def defaults(call: Call[None]) -> dict[str, object]:
    """Show what quotas a project has by default."""
    return _unlimited(call, call.path["project_id"])


def _unlimited(call: Call[Any], project_id: str) -> dict[str, object]:
    names = _names(call, RESOURCES)
    return {"quota_set": {"id": project_id, **dict.fromkeys(names, UNLIMITED)}}


def detail(call: Call[None]) -> dict[str, object]:
    """Show a project's quotas with what is used of them."""
    project_id = call.path["project_id"]
    used = _used(usage_of(call.site, call.caller, project_id))
    shown = {
        name: {"limit": UNLIMITED, "in_use": used.get(name, 0), "reserved": 0}
        for name in _names(call, RESOURCES)
    }
    return {"quota_set": {"id": project_id, **shown}}


def _used(usage: Usage) -> dict[str, int]:
    return {"instances": usage.servers, "cores": usage.vcpus, "ram": usage.ram_mib}


def update(call: Call[Any]) -> None:
    """Limit a project."""
    raise NotOffered("quotas are not offered: everything is unlimited")


def quota_class(call: Call[None]) -> dict[str, object]:
    """Show the quotas that every project has."""
    shown = _unlimited(call, call.path["id"])["quota_set"]
    return {"quota_class_set": shown}


def limits(call: Call[None]) -> dict[str, object]:
    """Show what the caller's project may have and has."""
    asked = call.asked("tenant_id") or call.caller.project_id
    if asked is None:
        raise Invalid("limits are a project's: use a token with a project scope, or tenant_id")
    usage = usage_of(call.site, call.caller, asked)
    absolute = dict.fromkeys(_names(call, _LIMIT_NAMES), UNLIMITED)
    absolute |= {
        "totalCoresUsed": usage.vcpus,
        "totalInstancesUsed": usage.servers,
        "totalRAMUsed": usage.ram_mib,
        "totalServerGroupsUsed": 0,
    }
    if not at_least(call, "2.36"):
        absolute |= {"totalFloatingIpsUsed": 0, "totalSecurityGroupsUsed": 0}
    return {"limits": {"rate": [], "absolute": absolute}}


_ONE = "/v2.1/os-quota-sets/{project_id}"

ROWS: tuple[Row[Any], ...] = (
    Row(method="GET", path=_ONE, handler=show, policy=_SHOW),
    Row(method="GET", path=_ONE + "/defaults", handler=defaults, policy=_DEFAULTS),
    Row(method="GET", path=_ONE + "/detail", handler=detail, policy=_SHOW),
    Row(method="PUT", path=_ONE, handler=update, policy=_UPDATE),
    Row(method="DELETE", path=_ONE, handler=update, policy=_UPDATE),
    Row(method="GET", path="/v2.1/os-quota-class-sets/{id}", handler=quota_class, policy=_CLASSES),
    Row(method="GET", path="/v2.1/limits", handler=limits, policy=_LIMITS),
)
