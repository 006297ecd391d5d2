"""Looking at servers: one with all that surrounds it, or those that pass a client's filters."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Any

import sqlalchemy as sa

from lanekeeper.control.caller import Caller
from lanekeeper.control.compute.server import server_seen
from lanekeeper.control.host.heartbeat import is_alive
from lanekeeper.control.site import Site
from lanekeeper.domain.compute.event import ServerEvent
from lanekeeper.domain.compute.pattern import Pattern
from lanekeeper.domain.compute.server import status_of
from lanekeeper.domain.errors import Invalid, NotFound
from lanekeeper.domain.network.port import PortRecord
from lanekeeper.domain.pci.flag import parse_flag
from lanekeeper.store.compute.server import ServerRecord, event_list, server_get, server_list
from lanekeeper.store.host.host import host_standings
from lanekeeper.store.network.port import port_list
from lanekeeper.store.network.security_group import security_group_list

_PATTERN_MAX = 255


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerDetail:
    """A server and what is shown with it.

    Attributes:
        ports: in the order of the guest's cards.
        groups: names of the security groups of its ports, each once.
        host_status: UP, DOWN, MAINTENANCE, or empty without a host.
    """

    record: ServerRecord
    ports: tuple[PortRecord, ...] = ()
    groups: tuple[str, ...] = ()
    host_status: str = ""

    @property
    def status(self) -> str:
        return status_of(self.record.vm_state, self.record.task_state)


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerQuery:
    """Which servers to list.

    Attributes:
        filters: name of a filter to its value, as clients write it; see FILTERS.
        sort: (key, descending), the first deciding; see SORT_KEYS.
        marker: id of the server after which to go on.
    """

    filters: Mapping[str, str]
    all_projects: bool = False
    changed_since: datetime | None = None
    changed_before: datetime | None = None
    sort: Sequence[tuple[str, bool]] = ()
    marker: str | None = None
    limit: int = 1000


def show_server(site: Site, caller: Caller, server_id: str) -> ServerDetail:
    """One server.

    Raises:
        NotFound: there is none, or it is another project's.
    """
    with site.database.read() as connection:
        record = server_seen(connection, caller, server_id)
        (detail,) = _details(connection, site, [record])
        return detail


def list_servers(site: Site, caller: Caller, query: ServerQuery) -> tuple[list[ServerDetail], bool]:
    """The servers asked for, and whether there are more after them.

    Raises:
        Invalid: a filter's value is not one, or no server has the marker's id.
    """
    with site.database.read() as connection:
        found = _matching(connection, caller, query)
        found = _sorted(found, query.sort)
        start = _start(found, query.marker)
        page = found[start : start + query.limit]
        return _details(connection, site, page), start + query.limit < len(found)


def list_events(site: Site, caller: Caller, server_id: str) -> list[ServerEvent]:
    """What was asked of a server, the latest first; also of one that has gone.

    Raises:
        NotFound: there never was such a server, or it is another project's.
    """
    with site.database.read() as connection:
        events = event_list(connection, server_id)
        record = server_get(connection, server_id)
    project_id = record.project_id if record else events[0].project_id if events else None
    if project_id is None or not caller.sees(project_id):
        raise NotFound(f"Instance {server_id[:80]} could not be found.")
    return events


def _details(
    connection: sa.Connection, site: Site, records: Sequence[ServerRecord]
) -> list[ServerDetail]:
    by_server: dict[str, list[PortRecord]] = {record.id: [] for record in records}
    for port in port_list(connection, {"device_id": list(by_server)}) if records else ():
        by_server[port.device_id].append(port)
    names = _group_names(connection, [one for ports in by_server.values() for one in ports])
    states = _host_states(connection, site)
    return [
        ServerDetail(
            record=record,
            ports=_ordered(record, by_server[record.id]),
            groups=tuple(
                dict.fromkeys(
                    names[group]
                    for port in by_server[record.id]
                    for group in port.security_groups
                    if group in names
                )
            ),
            host_status=states.get(record.host_id or "", ""),
        )
        for record in records
    ]


def _ordered(record: ServerRecord, ports: Iterable[PortRecord]) -> tuple[PortRecord, ...]:
    places = {port_id: place for place, port_id in enumerate(record.port_ids)}
    return tuple(sorted(ports, key=lambda port: (places.get(port.id, len(places)), port.id)))


def _group_names(connection: sa.Connection, ports: Iterable[PortRecord]) -> dict[str, str]:
    ids = {group for port in ports for group in port.security_groups}
    if not ids:
        return {}
    return {group.id: group.name for group in security_group_list(connection, {"id": ids})}


def _host_states(connection: sa.Connection, site: Site) -> dict[str, str]:
    now, down_after_s = site.clock(), site.config.lanekeeper.agent_down_s
    return {
        host.id: (
            "MAINTENANCE"
            if not host.enabled
            else "UP"
            if is_alive(host.seen_at, now, down_after_s)
            else "DOWN"
        )
        for host in host_standings(connection)
    }


# Filters ------------------------------------------------------------------------------------------

_Test = Callable[[ServerRecord], bool]
_Make = Callable[[str], _Test]


def _pattern(get: Callable[[ServerRecord], object]) -> _Make:
    """A part of the value."""

    def make(text: str) -> _Test:
        pattern = _parsed(text)
        return lambda record: pattern.finds(str(get(record) or ""))

    return make


def _parsed(text: str) -> Pattern:
    if len(text) > _PATTERN_MAX:
        raise Invalid(f"a filter has more than {_PATTERN_MAX} characters")
    return Pattern.parse(text)


def _equal(get: Callable[[ServerRecord], object]) -> _Make:
    return lambda text: lambda record: str(get(record)) == text


def _true(get: Callable[[ServerRecord], bool], name: str) -> _Make:
    def make(text: str) -> _Test:
        asked = parse_flag(text, name)
        return lambda record: get(record) == asked

    return make


def _status(text: str) -> _Test:
    asked = {part.upper() for part in text.split(",")}
    return lambda record: status_of(record.vm_state, record.task_state) in asked


def _tags(test: Callable[[set[str], set[str]], bool]) -> _Make:
    return lambda text: lambda record: test(set(text.split(",")), set(record.tags))


def _deleted(text: str) -> _Test:
    # What is deleted is gone: nothing of it can be listed.
    asked = parse_flag(text, "deleted")
    return lambda record: not asked


FILTERS: Mapping[str, _Make] = MappingProxyType(
    {
        "name": _pattern(lambda record: record.name),
        "display_name": _pattern(lambda record: record.name),
        "description": _pattern(lambda record: record.description),
        "display_description": _pattern(lambda record: record.description),
        "hostname": _pattern(lambda record: record.hostname),
        "key_name": _pattern(lambda record: record.key_name),
        "uuid": _equal(lambda record: record.id),
        "status": _status,
        "vm_state": _equal(lambda record: record.vm_state),
        "task_state": _equal(lambda record: record.task_state),
        "power_state": _equal(lambda record: record.power_state),
        "image": _equal(lambda record: record.image_id),
        "image_ref": _equal(lambda record: record.image_id),
        "flavor": _equal(lambda record: record.flavor["id"]),
        "user_id": _equal(lambda record: record.user_id),
        "project_id": _equal(lambda record: record.project_id),
        "tenant_id": _equal(lambda record: record.project_id),
        "availability_zone": _equal(lambda record: record.availability_zone),
        "config_drive": _true(lambda record: record.config_drive, "config_drive"),
        "reservation_id": _equal(lambda record: record.reservation_id),
        "launch_index": _equal(lambda record: record.launch_index),
        "access_ip_v4": _pattern(lambda record: record.access_ip_v4),
        "access_ip_v6": _pattern(lambda record: record.access_ip_v6),
        "locked": _true(lambda record: record.locked, "locked"),
        "tags": _tags(lambda asked, have: asked <= have),
        "tags-any": _tags(lambda asked, have: bool(asked & have)),
        "not-tags": _tags(lambda asked, have: not asked <= have),
        "not-tags-any": _tags(lambda asked, have: not asked & have),
        "deleted": _deleted,
        "soft_deleted": _deleted,
        "host": _equal(lambda record: record.host_name),
        "node": _pattern(lambda record: record.host_name),
    }
)
_ADMINS = frozenset({"host", "node", "project_id", "tenant_id"})
"""Filters that count for admins only, as in Nova: a member would learn of hosts and projects."""
ADDRESS_FILTERS = frozenset({"ip", "ip6"})


def _matching(connection: sa.Connection, caller: Caller, query: ServerQuery) -> list[ServerRecord]:
    everybody = caller.is_admin and (query.all_projects or "project_id" in query.filters)
    records = server_list(
        connection,
        project_id=None if everybody else caller.project_id or "",
        changed_since=query.changed_since,
    )
    tests = [
        FILTERS[name](text)
        for name, text in query.filters.items()
        if name in FILTERS and (caller.is_admin or name not in _ADMINS)
    ]
    if query.changed_before is not None:
        latest = query.changed_before
        tests.append(lambda record: record.updated_at <= latest)
    found = [record for record in records if all(test(record) for test in tests)]
    return _with_addresses(connection, found, query.filters)


def _with_addresses(
    connection: sa.Connection, records: list[ServerRecord], filters: Mapping[str, str]
) -> list[ServerRecord]:
    patterns = [filters[name] for name in sorted(ADDRESS_FILTERS & filters.keys())]
    if not patterns:
        return records
    addresses: dict[str, list[str]] = {}
    for port in port_list(connection, {"device_id": [record.id for record in records]}):
        texts = addresses.setdefault(port.device_id, [])
        texts += [fixed.ip for fixed in port.fixed_ips]
    for pattern in patterns:
        found = _parsed(pattern)
        records = [one for one in records if any(map(found.finds, addresses.get(one.id, ())))]
    return records


SORT_KEYS: Mapping[str, Callable[[ServerRecord], object]] = MappingProxyType(
    {
        "created_at": lambda record: record.created_at,
        "updated_at": lambda record: record.updated_at,
        "display_name": lambda record: record.name,
        "display_description": lambda record: record.description,
        "hostname": lambda record: record.hostname,
        "host": lambda record: record.host_name,
        "node": lambda record: record.host_name,
        "uuid": lambda record: record.id,
        "vm_state": lambda record: record.vm_state,
        "task_state": lambda record: record.task_state,
        "power_state": lambda record: record.power_state,
        "project_id": lambda record: record.project_id,
        "user_id": lambda record: record.user_id,
        "image_ref": lambda record: record.image_id,
        "instance_type_id": lambda record: record.flavor["id"],
        "key_name": lambda record: record.key_name,
        "availability_zone": lambda record: record.availability_zone,
        "launched_at": lambda record: record.launched_at,
        "terminated_at": lambda record: record.terminated_at,
        "launch_index": lambda record: record.launch_index,
        "config_drive": lambda record: record.config_drive,
        "auto_disk_config": lambda record: record.disk_config,
        "access_ip_v4": lambda record: record.access_ip_v4,
        "access_ip_v6": lambda record: record.access_ip_v6,
        "locked": lambda record: record.locked,
    }
)


def _sorted(records: list[ServerRecord], sort: Sequence[tuple[str, bool]]) -> list[ServerRecord]:
    for key, descending in reversed(sort):
        records = sorted(records, key=_by(SORT_KEYS[key]), reverse=descending)
    return records


def _by(get: Callable[[ServerRecord], Any]) -> Callable[[ServerRecord], Any]:
    """What has no value comes first, and is never compared with what has one."""

    def key(record: ServerRecord) -> tuple[bool, Any]:
        value = get(record)
        return (False, 0) if value is None else (True, value)

    return key


def _start(records: Sequence[ServerRecord], marker: str | None) -> int:
    if marker is None:
        return 0
    for place, record in enumerate(records):
        if record.id == marker:
            return place + 1
    raise Invalid(f"marker [{marker[:80]}] not found")
