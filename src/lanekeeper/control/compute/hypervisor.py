"""Hosts as Compute shows them: hypervisors and their services, which are one thing here."""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import sqlalchemy as sa

from lanekeeper.control.compute.aggregate import zone_names
from lanekeeper.control.host.heartbeat import is_alive
from lanekeeper.control.site import Site
from lanekeeper.domain.errors import NotFound
from lanekeeper.domain.scheduling.host import HostView, Stock
from lanekeeper.store.compute.capacity import host_enabled_set
from lanekeeper.store.compute.server import server_list
from lanekeeper.store.host.desired import host_lock
from lanekeeper.store.host.host import HostTold, host_get, hosts_told

BINARY = "nova-compute"
"""What OpenStack's clients call the service of a host."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hypervisor:
    """One host.

    Attributes:
        number: what clients before microversion 2.53 have for an id.
        stocks: resource class to what there is and what is used; devices apart.
        servers: name by id, of the servers that are there.
        workload: how many of them something is being done with.
    """

    record: HostTold
    alive: bool
    zone: str
    stocks: Mapping[str, Stock] = field(default_factory=dict)
    servers: Mapping[str, str] = field(default_factory=dict)
    workload: int = 0

    @property
    def number(self) -> int:
        return uuid.UUID(self.record.id).int % 2**31

    def amount(self, resource_class: str) -> Stock:
        return self.stocks.get(resource_class, Stock(0))


def list_hypervisors(site: Site) -> list[Hypervisor]:
    """Every host that has told what it is, by name: of another there are no figures to show."""
    return [one for one in list_services(site) if one.record.facts_at is not None]


def list_services(site: Site) -> list[Hypervisor]:
    """Every host, by name."""
    now, down_after_s = site.clock(), site.config.lanekeeper.agent_down_s
    fleet = site.hosts()
    with site.database.read() as connection:
        records = hosts_told(connection)
        zones = zone_names(connection, records)
        servers: dict[str, dict[str, str]] = {}
        busy: Counter[str] = Counter()
        for server in server_list(connection):
            servers.setdefault(server.host_id or "", {})[server.id] = server.name
            busy[server.host_id or ""] += server.task_state is not None
    return [
        Hypervisor(
            record=record,
            alive=is_alive(record.seen_at, now, down_after_s),
            zone=zones[record.name],
            stocks=_stocks(fleet.view(record.id)),
            servers=servers.get(record.id, {}),
            workload=busy[record.id],
        )
        for record in records
    ]


def _stocks(view: HostView | None) -> Mapping[str, Stock]:
    return view.stocks if view else {}


def find_hypervisor(site: Site, wanted: str, *, by_number: bool = False) -> Hypervisor:
    """One host by its id, or by its number for old clients.

    Raises:
        NotFound: there is none; a name is none either, clients look it up in the list.
    """
    found = _find(list_hypervisors(site), wanted, by_number=by_number)
    if found is None:
        raise NotFound(f"No hypervisor with ID '{wanted[:80]}' could be found.")
    return found


def find_service(site: Site, wanted: str, *, by_number: bool = False) -> Hypervisor:
    """The host whose service has an id: that is the host's own.

    Raises:
        NotFound: there is none; a name is none either.
    """
    found = _find(list_services(site), wanted, by_number=by_number)
    if found is None:
        raise NotFound(f"Service {wanted[:80]} could not be found.")
    return found


def _find(known: Iterable[Hypervisor], wanted: str, *, by_number: bool) -> Hypervisor | None:
    for one in known:
        if wanted == (str(one.number) if by_number else one.record.id):
            return one
    return None


def set_enabled(site: Site, host_id: str, *, enabled: bool, reason: str = "") -> Hypervisor:
    """Have a host take new servers, or not; those that are there stay.

    Raises:
        NotFound: there is none.
    """

    def work(connection: sa.Connection) -> None:
        host_lock(connection, host_id)
        host_get(connection, host_id)
        host_enabled_set(connection, host_id, enabled=enabled, reason=reason)

    site.database.write(work)
    return find_service(site, host_id)
