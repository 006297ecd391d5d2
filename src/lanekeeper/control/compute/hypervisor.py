"""Hosts as Compute shows them: hypervisors and their services, which are one thing here."""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import sqlalchemy as sa

from lanekeeper.control.compute.aggregate import zone_names
from lanekeeper.control.host.heartbeat import is_alive
from lanekeeper.control.site import Site
from lanekeeper.domain.errors import NotFound
from lanekeeper.domain.scheduling.fleet import Fleet
from lanekeeper.domain.scheduling.host import Stock
from lanekeeper.store.compute.capacity import host_enabled_set
from lanekeeper.store.compute.server import ServerName, servers_named
from lanekeeper.store.host.desired import host_lock
from lanekeeper.store.host.host import HostTold, host_get, host_standings, host_told, hosts_told

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
        return number_of(self.record.id)

    def amount(self, resource_class: str) -> Stock:
        return self.stocks.get(resource_class, Stock(0))


def number_of(host_id: str) -> int:
    return uuid.UUID(host_id).int % 2**31


def list_hypervisors(site: Site) -> list[Hypervisor]:
    """Every host that has told what it is, by name: of another there are no figures to show."""
    return [one for one in list_services(site) if one.record.facts_at is not None]


def list_services(site: Site) -> list[Hypervisor]:
    """Every host, by name."""
    fleet = site.hosts()
    with site.database.read() as connection:
        servers = defaultdict[str | None, list[ServerName]](list)
        for server in servers_named(connection):
            servers[server.host_id].append(server)
        records = hosts_told(connection)
        zones = zone_names(connection, records)
    return [
        _hypervisor(site, record, fleet, zones[record.name], servers[record.id])
        for record in records
    ]


def _hypervisor(
    site: Site, record: HostTold, fleet: Fleet, zone: str, servers: Sequence[ServerName]
) -> Hypervisor:
    view = fleet.view(record.id)
    return Hypervisor(
        record=record,
        alive=is_alive(record.seen_at, site.clock(), site.config.lanekeeper.agent_down_s),
        zone=zone,
        stocks=view.stocks if view else {},
        servers={server.id: server.name for server in servers},
        workload=sum(server.task_state is not None for server in servers),
    )


def find_hypervisor(site: Site, wanted: str, *, by_number: bool = False) -> Hypervisor:
    """One host that has told what it is by its id, or by its number for old clients.

    Raises:
        NotFound: there is none; a name is none either, clients look it up in the list.
    """
    found = _find(site, wanted, by_number=by_number)
    if found is None or found.record.facts_at is None:
        raise NotFound(f"No hypervisor with ID '{wanted[:80]}' could be found.")
    return found


def find_service(site: Site, wanted: str, *, by_number: bool = False) -> Hypervisor:
    """The host whose service has an id: that is the host's own.

    Raises:
        NotFound: there is none; a name is none either.
    """
    found = _find(site, wanted, by_number=by_number)
    if found is None:
        raise NotFound(f"Service {wanted[:80]} could not be found.")
    return found


def _find(site: Site, wanted: str, *, by_number: bool) -> Hypervisor | None:
    fleet = site.hosts()
    with site.database.read() as connection:
        if by_number:
            ids = (one.id for one in host_standings(connection))
            wanted = next((one for one in ids if str(number_of(one)) == wanted), "")
        record = host_told(connection, wanted)
        if record is None:
            return None
        zones = zone_names(connection, [record])
        servers = servers_named(connection, record.id)
    return _hypervisor(site, record, fleet, zones[record.name], servers)


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
