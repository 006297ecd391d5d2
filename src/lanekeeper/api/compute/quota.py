"""Quotas and limits over HTTP, as Nova shows unified limits: they are set in Identity."""

from __future__ import annotations

from typing import Any

from lanekeeper.api.compute.value import at_least
from lanekeeper.api.row import ADMIN, ANYONE, READER, Call, Policy, Row
from lanekeeper.control.compute.quota import Quota, default_limits, quota_of
from lanekeeper.domain.compute.quota import SERVERS, Limits, of_class
from lanekeeper.domain.errors import Forbidden, Invalid
from lanekeeper.domain.identity.limit import UNLIMITED

_SHOW = Policy("os_compute_api:os-quota-sets:show", READER)
_DEFAULTS = Policy("os_compute_api:os-quota-sets:defaults", ANYONE)
_UPDATE = Policy("os_compute_api:os-quota-sets:update", ADMIN)
_LIMITS = Policy("os_compute_api:limits", ANYONE)
_CLASSES = Policy("os_compute_api:os-quota-class-sets:show", ADMIN)

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

_COUNTED = {"instances": SERVERS, "cores": of_class("VCPU"), "ram": of_class("MEMORY_MB")}
"""What is counted of them, by its name among the limits; nothing holds the others.

Source: nova ``limit/placement.py``, LEGACY_LIMITS.
"""
_LIMITED = {"maxTotalInstances": "instances", "maxTotalCores": "cores", "maxTotalRAMSize": "ram"}
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
    return _quota_set(call, project_id, quota_of(call.site, call.caller, project_id).limits)


def defaults(call: Call[None]) -> dict[str, object]:
    """Show what quotas a project has by default."""
    return _quota_set(call, call.path["project_id"], default_limits(call.site))


def _quota_set(call: Call[Any], project_id: str, limits: Limits) -> dict[str, object]:
    shown = {name: _limit(limits, name) for name in _names(call, RESOURCES)}
    return {"quota_set": {"id": project_id, **shown}}


def _limit(limits: Limits, name: str) -> int:
    return limits.limit_of(_COUNTED[name]) if name in _COUNTED else UNLIMITED


def _used(quota: Quota, name: str) -> int:
    if name == "server_groups":
        return quota.server_groups
    return quota.used.get(_COUNTED[name], 0) if name in _COUNTED else 0


def detail(call: Call[None]) -> dict[str, object]:
    """Show a project's quotas with what is used of them."""
    project_id = call.path["project_id"]
    quota = quota_of(call.site, call.caller, project_id)
    shown = {
        name: {
            "limit": _limit(quota.limits, name),
            "in_use": _used(quota, name),
            "reserved": 0,
        }
        for name in _names(call, RESOURCES)
    }
    return {"quota_set": {"id": project_id, **shown}}


def update(call: Call[Any]) -> None:
    """Limit a project."""
    raise Forbidden(
        "quotas are not set here: they are unified limits, which Identity has",
        hint="openstack registered limit create --service nova --default-limit N servers for all "
        "projects, openstack limit create --service nova --project "
        f"{call.path['project_id'][:80]} --resource-limit N servers for one; class:VCPU and "
        "class:MEMORY_MB are cores and ram",
    )


def quota_class(call: Call[None]) -> dict[str, object]:
    """Show the quotas that every project has."""
    shown = _quota_set(call, call.path["id"], default_limits(call.site))["quota_set"]
    return {"quota_class_set": shown}


def limits(call: Call[None]) -> dict[str, object]:
    """Show what the caller's project may have and has."""
    asked = call.asked("tenant_id") or call.caller.project_id
    if asked is None:
        raise Invalid("limits are a project's: use a token with a project scope, or tenant_id")
    quota = quota_of(call.site, call.caller, asked)
    absolute = {
        name: _limit(quota.limits, _LIMITED.get(name, name)) for name in _names(call, _LIMIT_NAMES)
    }
    absolute |= {
        "totalCoresUsed": _used(quota, "cores"),
        "totalInstancesUsed": _used(quota, "instances"),
        "totalRAMUsed": _used(quota, "ram"),
        "totalServerGroupsUsed": _used(quota, "server_groups"),
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
