"""Looking at servers: one with all that surrounds it, or those that pass a client's filters."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from lanekeeper.control.caller import Caller
from lanekeeper.control.compute.server import server_seen
from lanekeeper.control.host.heartbeat import is_alive
from lanekeeper.control.site import Site
from lanekeeper.domain.compute.event import ServerEvent
from lanekeeper.domain.compute.server import status_of
from lanekeeper.domain.errors import NotFound
from lanekeeper.domain.network.port import PortRecord
from lanekeeper.store.compute.server import ServerRecord, event_list, server_get, servers_get
from lanekeeper.store.compute.server_group import groups_of_servers
from lanekeeper.store.compute.server_search import (
    FILTERS,
    SORT_KEYS,
    ServerSearch,
    server_search,
)
from lanekeeper.store.host.host import host_standings
from lanekeeper.store.network.port import port_list
from lanekeeper.store.network.security_group import security_group_list

__all__ = ["FILTERS", "SORT_KEYS"]
_ADMINS = frozenset({"host", "node", "project_id", "tenant_id"})
"""Filters that count for admins only, as in Nova: a member would learn of hosts and projects."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerDetail:
    """A server and what is shown with it.

    Attributes:
        ports: in the order of the guest's cards.
        groups: names of the security groups of its ports, each once.
        server_group_id: None where it is in none.
        host_status: UP, DOWN, MAINTENANCE, or empty without a host.
    """

    record: ServerRecord
    ports: tuple[PortRecord, ...] = ()
    groups: tuple[str, ...] = ()
    server_group_id: str | None = None
    host_status: str = ""

    @property
    def status(self) -> str:
        return status_of(self.record.vm_state, self.record.task_state)


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerQuery:
    """Which servers to list: what ``ServerSearch`` has, as a client asks for it.

    Attributes:
        all_projects: for admins.
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
    everybody = caller.is_admin and (query.all_projects or "project_id" in query.filters)
    search = ServerSearch(
        project_id=None if everybody else caller.project_id or "",
        filters={
            name: text
            for name, text in query.filters.items()
            if name in FILTERS and (caller.is_admin or name not in _ADMINS)
        },
        changed_since=query.changed_since,
        changed_before=query.changed_before,
        sort=query.sort,
        marker=query.marker,
        limit=query.limit,
    )
    with site.database.read() as connection:
        ids, more = server_search(connection, search)
        return _details(connection, site, servers_get(connection, ids)), more


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
    grouped = groups_of_servers(connection, list(by_server))
    return [
        ServerDetail(
            record=record,
            server_group_id=grouped.get(record.id),
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
