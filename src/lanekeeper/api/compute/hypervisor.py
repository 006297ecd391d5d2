"""Hypervisors and services over HTTP: two views of one host."""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import Any, Literal

from lanekeeper.api.compute.value import (
    asked_flag,
    at_least,
    bare_stamp,
    flag,
    limit_of,
    name_value,
    next_link,
    only,
)
from lanekeeper.api.row import ADMIN, Call, Policy, Row, Strict
from lanekeeper.control.compute.hypervisor import (
    BINARY,
    Hypervisor,
    find_hypervisor,
    find_service,
    list_hypervisors,
    list_services,
    set_enabled,
)
from lanekeeper.control.host.removal import remove_host
from lanekeeper.domain.errors import Invalid, NotFound, NotOffered

_HYPERVISORS = Policy("os_compute_api:os-hypervisors:list", ADMIN)
_HYPERVISOR = Policy("os_compute_api:os-hypervisors:show", ADMIN)
_SERVICES = Policy("os_compute_api:os-services:list", ADMIN)
_SERVICE = Policy("os_compute_api:os-services:update", ADMIN)
_REMOVE = Policy("os_compute_api:os-services:delete", ADMIN)


# Hypervisors --------------------------------------------------------------------------------------


def _brief(call: Call[Any], one: Hypervisor, *, servers: bool) -> dict[str, object]:
    body: dict[str, object] = {
        "id": one.record.id if at_least(call, "2.53") else one.number,
        "hypervisor_hostname": one.record.name,
        "state": "up" if one.alive else "down",
        "status": "enabled" if one.record.enabled else "disabled",
    }
    if servers and (one.servers or at_least(call, "2.75")):
        body["servers"] = [{"uuid": key, "name": name} for key, name in one.servers.items()]
    return body


def _full(call: Call[Any], one: Hypervisor, *, servers: bool) -> dict[str, object]:
    facts = one.record.facts
    body = _brief(call, one, servers=servers) | {
        "hypervisor_type": str(facts.get("hypervisor", "qemu")).upper(),
        "hypervisor_version": facts.get("hypervisor_version", 0),
        "host_ip": None,
        "service": {
            "id": one.record.id if at_least(call, "2.53") else one.number,
            "host": one.record.name,
            "disabled_reason": one.record.disabled_reason or None,
        },
    }
    return body | ({"uptime": None} if at_least(call, "2.88") else _amounts(call, one))


def _amounts(call: Call[Any], one: Hypervisor) -> dict[str, object]:
    """What went with 2.88: figures that Placement has, too."""
    facts = one.record.facts
    memory_mib, disk_gib = facts.get("memory_mib", 0), facts.get("disk_gib", 0)
    vcpu, ram, disk = (one.amount(name).used for name in ("VCPU", "MEMORY_MB", "DISK_GB"))
    cpu_info: dict[str, object] = {}
    return {
        "vcpus": facts.get("vcpus", 0),
        "vcpus_used": vcpu + one.amount("PCPU").used,
        "memory_mb": memory_mib,
        "memory_mb_used": ram,
        "free_ram_mb": memory_mib - ram,
        "local_gb": disk_gib,
        "local_gb_used": disk,
        "free_disk_gb": disk_gib - disk,
        "disk_available_least": disk_gib - disk,
        "current_workload": one.workload,
        "running_vms": len(one.servers),
        "cpu_info": cpu_info if at_least(call, "2.28") else json.dumps(cpu_info),
    }


def index(call: Call[None]) -> dict[str, object]:
    """List hypervisors."""
    return _list(call, "os-hypervisors", _brief)


def detail(call: Call[None]) -> dict[str, object]:
    """List hypervisors in full."""
    return _list(call, "os-hypervisors/detail", _full)


def _list(call: Call[None], path: str, view: Any) -> dict[str, object]:
    only(call, {"limit", "marker", "hypervisor_hostname_pattern", "with_servers"}, since="2.53")
    found = list_hypervisors(call.site)
    servers, more = False, False
    if at_least(call, "2.53"):
        servers = asked_flag(call, "with_servers")
        pattern = call.asked("hypervisor_hostname_pattern")
        if pattern is not None:
            if call.asked("limit") or call.asked("marker"):
                raise Invalid("Paging over hypervisors with a pattern is not supported.")
            found = _matching(found, pattern)
    if at_least(call, "2.33"):
        found, more = _page(call, found)
    shown = [view(call, one, servers=servers) for one in found]
    body: dict[str, object] = {"hypervisors": shown}
    if more:
        body["hypervisors_links"] = next_link(call, path, str(shown[-1]["id"]))
    return body


def _matching(found: list[Hypervisor], pattern: str) -> list[Hypervisor]:
    matching = [one for one in found if pattern.lower() in one.record.name.lower()]
    if not matching:
        raise NotFound(f"No hypervisor matching '{pattern[:80]}' could be found.")
    return matching


def _page(call: Call[None], found: list[Hypervisor]) -> tuple[list[Hypervisor], bool]:
    start, marker = 0, call.asked("marker")
    if marker is not None:
        ids = [one.record.id if at_least(call, "2.53") else str(one.number) for one in found]
        if marker not in ids:
            raise Invalid(f"marker [{marker[:80]}] not found")
        start = ids.index(marker) + 1
    limit = limit_of(call)
    return found[start : start + limit], start + limit < len(found)


def show(call: Call[None]) -> dict[str, object]:
    """Show one hypervisor."""
    servers = at_least(call, "2.53") and asked_flag(call, "with_servers")
    return {"hypervisor": _full(call, _one(call), servers=servers)}


def uptime(call: Call[None]) -> dict[str, object]:
    """Show since when a hypervisor runs, which no agent tells."""
    return {"hypervisor": _brief(call, _one(call), servers=False) | {"uptime": None}}


def _one(call: Call[None]) -> Hypervisor:
    return find_hypervisor(call.site, call.path["id"], by_number=not at_least(call, "2.53"))


def search(call: Call[None]) -> dict[str, object]:
    """List hypervisors by a part of their name."""
    found = _matching(list_hypervisors(call.site), call.path["id"])
    return {"hypervisors": [_brief(call, one, servers=False) for one in found]}


def search_servers(call: Call[None]) -> dict[str, object]:
    """List hypervisors by a part of their name, with their servers."""
    found = _matching(list_hypervisors(call.site), call.path["id"])
    return {"hypervisors": [_brief(call, one, servers=True) for one in found]}


def statistics(call: Call[None]) -> dict[str, object]:
    """Add up what all hypervisors have."""
    total: dict[str, int] = {}
    found = list_hypervisors(call.site)
    for one in found:
        for name, value in _amounts(call, one).items():
            if isinstance(value, int):
                total[name] = total.get(name, 0) + value
    names = ("vcpus", "vcpus_used", "memory_mb", "memory_mb_used", "free_ram_mb", "local_gb")
    more = ("local_gb_used", "free_disk_gb", "disk_available_least", "current_workload")
    keys = (*names, *more, "running_vms")
    return {
        "hypervisor_statistics": {"count": len(found)} | {key: total.get(key, 0) for key in keys}
    }


# Services -----------------------------------------------------------------------------------------


class ByHost(Strict, frozen=True):
    host: str
    binary: str
    disabled_reason: str | None = None
    forced_down: bool | str | None = None


class Change(Strict, frozen=True):
    status: Literal["enabled", "disabled"] | None = None
    disabled_reason: str | None = None
    forced_down: bool | str | None = None


def _service(call: Call[Any], one: Hypervisor) -> dict[str, object]:
    body: dict[str, object] = {
        "binary": BINARY,
        "host": one.record.name,
        "id": one.record.id if at_least(call, "2.53") else one.number,
        "zone": one.zone,
        "status": "enabled" if one.record.enabled else "disabled",
        "state": "up" if one.alive else "down",
        "updated_at": bare_stamp(one.record.seen_at),
        "disabled_reason": one.record.disabled_reason or None,
    }
    return body | ({"forced_down": False} if at_least(call, "2.11") else {})


def services(call: Call[None]) -> dict[str, object]:
    """List the services of hosts."""
    only(call, {"host", "binary"})
    host, binary = call.asked("host"), call.asked("binary")
    return {
        "services": [
            _service(call, one)
            for one in list_services(call.site)
            if host in (None, "", one.record.name) and binary in (None, "", BINARY)
        ]
    }


def change_service(call: Call[Change]) -> dict[str, object]:
    """Enable or disable a host."""
    asked = call.body
    _not_forced(asked.forced_down)
    if asked.status is None:
        raise Invalid("No updates were requested. Fields 'status' or 'forced_down' are needed.")
    if asked.status == "enabled" and asked.disabled_reason:
        raise Invalid("Specifying 'disabled_reason' when status is 'enabled' is invalid.")
    changed = set_enabled(
        call.site,
        call.path["id"],
        enabled=asked.status == "enabled",
        reason=_reason(asked.disabled_reason),
    )
    return {"service": _service(call, changed)}


def act_on_service(call: Call[ByHost]) -> dict[str, object]:
    """Enable or disable a host, the way of old clients."""
    asked, action = call.body, call.path["id"]
    if action == "force-down":
        _not_forced(asked.forced_down if asked.forced_down is not None else True)
        return {"service": {"host": asked.host, "binary": asked.binary, "forced_down": False}}
    if action not in ("enable", "disable", "disable-log-reason"):
        raise NotFound("Unknown action")
    if action == "disable-log-reason" and not asked.disabled_reason:
        raise Invalid("Missing disabled reason field")
    one = _by_name(call, asked)
    reason = _reason(asked.disabled_reason) if action == "disable-log-reason" else ""
    set_enabled(call.site, one.record.id, enabled=action == "enable", reason=reason)
    status = "enabled" if action == "enable" else "disabled"
    body: dict[str, object] = {"host": asked.host, "binary": asked.binary, "status": status}
    return {"service": body | ({"disabled_reason": reason} if reason else {})}


def _by_name(call: Call[ByHost], asked: ByHost) -> Hypervisor:
    if asked.binary != BINARY:
        raise Invalid(f"Only {BINARY} services can be updated.")
    for one in list_services(call.site):
        if one.record.name == asked.host:
            return one
    raise NotFound(f"Could not find binary {asked.binary} on host {asked.host[:80]}.")


def _reason(text: str | None) -> str:
    return "" if text is None else name_value(text, "disabled_reason")


def _not_forced(value: bool | str | None) -> None:
    if value is not None and flag(value, "forced_down"):
        raise NotOffered(
            "forcing a service down is not offered",
            hint="disable it, or stop its agent: it counts as down soon after",
        )


def delete_service(call: Call[None]) -> None:
    """Forget a host that has no servers; to come back it has to be enrolled again."""
    by_number = not at_least(call, "2.53")
    remove_host(call.site, find_service(call.site, call.path["id"], by_number=by_number).record.id)


_ALL, _ONE = "/v2.1/os-hypervisors", "/v2.1/os-hypervisors/{id}"

ROWS: tuple[Row[Any], ...] = (
    Row(method="GET", path=_ALL, handler=index, policy=_HYPERVISORS),
    Row(method="GET", path=_ALL + "/detail", handler=detail, policy=_HYPERVISORS),
    Row(
        method="GET",
        path=_ALL + "/statistics",
        handler=statistics,
        policy=_HYPERVISORS,
        until="2.87",
    ),
    Row(method="GET", path=_ONE, handler=show, policy=_HYPERVISOR),
    Row(method="GET", path=_ONE + "/uptime", handler=uptime, policy=_HYPERVISOR, until="2.87"),
    Row(method="GET", path=_ONE + "/search", handler=search, policy=_HYPERVISOR, until="2.52"),
    Row(
        method="GET",
        path=_ONE + "/servers",
        handler=search_servers,
        policy=_HYPERVISOR,
        until="2.52",
    ),
    Row(method="GET", path="/v2.1/os-services", handler=services, policy=_SERVICES),
    Row(
        method="PUT",
        path="/v2.1/os-services/{id}",
        handler=act_on_service,
        policy=_SERVICE,
        accepts=ByHost,
        until="2.52",
    ),
    Row(
        method="PUT",
        path="/v2.1/os-services/{id}",
        handler=change_service,
        policy=_SERVICE,
        accepts=Change,
        since="2.53",
    ),
    Row(
        method="DELETE",
        path="/v2.1/os-services/{id}",
        handler=delete_service,
        policy=_REMOVE,
        status=HTTPStatus.NO_CONTENT,
    ),
)
