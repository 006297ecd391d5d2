"""Host aggregates and the availability zones that they make."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from lanekeeper.control.host.heartbeat import is_alive
from lanekeeper.control.identity.unique import write_unique
from lanekeeper.control.site import Site
from lanekeeper.domain.compute.aggregate import (
    DEVICES_ONLY_KEY,
    ZONE_KEY,
    Aggregate,
    check_devices_only,
    check_own,
)
from lanekeeper.domain.errors import Conflict, NotFound
from lanekeeper.domain.scheduling.host import DEFAULT_ZONE
from lanekeeper.store.compute import aggregate as rows
from lanekeeper.store.compute.server import servers_counted
from lanekeeper.store.host.host import HostRecord, host_by_name, host_list


def list_aggregates(site: Site) -> Sequence[Aggregate]:
    with site.database.read() as connection:
        return rows.aggregate_list(connection)


def show_aggregate(site: Site, aggregate_id: str) -> Aggregate:
    """One aggregate.

    Raises:
        NotFound: there is none; a name is none either, clients look it up in the list.
    """
    for one in list_aggregates(site):
        if str(one.id) == aggregate_id:
            return one
    raise _missing(aggregate_id)


def create_aggregate(site: Site, name: str, zone: str | None) -> Aggregate:
    """Make an aggregate; with *zone*, its hosts are in that availability zone.

    Raises:
        Conflict: there is one of this name.
    """
    metadata = {} if zone is None else {ZONE_KEY: zone}
    now = site.clock()
    return write_unique(
        site,
        lambda connection: rows.aggregate_insert(
            connection, str(uuid.uuid4()), name, metadata, now
        ),
        f"Aggregate {name} already exists.",
    )


def update_aggregate(
    site: Site, aggregate_id: str, *, name: str | None, metadata: Mapping[str, str | None]
) -> Aggregate:
    """Rename an aggregate (None keeps the name) and merge *metadata*; None removes a key.

    Raises:
        NotFound: there is none.
        Conflict: another has the name, a host would be in two availability zones, or one that has
            servers would change its zone.
        Invalid: a key that is none of ours, or a value of DEVICES_ONLY_KEY that is neither true nor
            false.
    """
    check_own(metadata)
    check_devices_only(metadata.get(DEVICES_ONLY_KEY) or "false")

    def work(connection: sa.Connection) -> Aggregate:
        found, others = _held(connection, aggregate_id)
        merged = {**found.metadata, **metadata}
        kept = {key: value for key, value in merged.items() if value is not None}
        for host_name in found.hosts:
            _check_zone(others, host_name, kept.get(ZONE_KEY))
        changes = {"name": name or found.name, "metadata": kept}
        return _change(connection, site, found, others, **changes)

    return write_unique(site, work, f"Aggregate {name} already exists.")


def add_host(site: Site, aggregate_id: str, host_name: str) -> Aggregate:
    """Put a host into an aggregate.

    Raises:
        NotFound: no such aggregate, or no such host.
        Conflict: it is in there already, would be in two availability zones, or has servers and
            would change its zone.
    """

    def work(connection: sa.Connection) -> Aggregate:
        found, others = _held(connection, aggregate_id)
        if host_by_name(connection, host_name) is None:
            raise NotFound(f"Compute host {host_name[:80]} could not be found.")
        if host_name in found.hosts:
            raise Conflict(f"Aggregate {found.id} already has host {host_name}.")
        _check_zone(others, host_name, found.zone)
        return _change(connection, site, found, others, hosts=[*found.hosts, host_name])

    return site.database.write(work)


def remove_host(site: Site, aggregate_id: str, host_name: str) -> Aggregate:
    """Take a host out of an aggregate.

    Raises:
        NotFound: no such aggregate, or the host is not in it.
        Conflict: it has servers and would change its zone.
    """

    def work(connection: sa.Connection) -> Aggregate:
        found, others = _held(connection, aggregate_id)
        if host_name not in found.hosts:
            raise NotFound(f"Aggregate {found.id} has no host {host_name[:80]}.")
        rest = [name for name in found.hosts if name != host_name]
        return _change(connection, site, found, others, hosts=rest)

    return site.database.write(work)


def delete_aggregate(site: Site, aggregate_id: str) -> None:
    """Delete an aggregate that has no hosts.

    Raises:
        NotFound: there is none.
        Conflict: it has hosts.
    """

    def work(connection: sa.Connection) -> None:
        found, _ = _held(connection, aggregate_id)
        if found.hosts:
            raise Conflict(
                f"Cannot remove aggregate {found.id}: it has hosts",
                hint=f"remove {', '.join(found.hosts[:5])} from it first",
            )
        rows.aggregate_delete(connection, found.id)

    site.database.write(work)


def leave_aggregates(connection: sa.Connection, host_name: str, now: datetime) -> None:
    """Take a host that goes out of every aggregate."""
    for one in rows.aggregates_hold(connection):
        if host_name in one.hosts:
            rest = [name for name in one.hosts if name != host_name]
            rows.aggregate_update(connection, one.id, hosts=rest, updated_at=now)


@dataclass(frozen=True, slots=True, kw_only=True)
class Zone:
    """One availability zone: whether a host of it takes servers, and its hosts."""

    name: str
    available: bool
    hosts: Mapping[str, ZoneHost] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ZoneHost:
    """One host of a zone: *active* unless disabled, *available* while its agent is heard."""

    active: bool
    available: bool
    updated_at: datetime | None


def list_zones(site: Site) -> list[Zone]:
    """The availability zones that have hosts, by name; the default one is always there."""
    now, down_after_s = site.clock(), site.config.lanekeeper.agent_down_s
    with site.database.read() as connection:
        zones = rows.zone_by_host(rows.aggregate_list(connection))
        hosts = host_list(connection)
    by_zone: dict[str, dict[str, ZoneHost]] = {DEFAULT_ZONE: {}}
    for host in hosts:
        alive = is_alive(host.seen_at, now, down_after_s)
        seen = ZoneHost(host.enabled, alive, host.seen_at)
        by_zone.setdefault(zones.get(host.name, DEFAULT_ZONE), {})[host.name] = seen
    return [
        Zone(
            name=name,
            available=any(one.active and one.available for one in members.values()),
            hosts=members,
        )
        for name, members in sorted(by_zone.items())
        if members or name == DEFAULT_ZONE
    ]


def zone_names(connection: sa.Connection, hosts: Sequence[HostRecord]) -> dict[str, str]:
    """The availability zone of each host, by host name."""
    zones = rows.zone_by_host(rows.aggregate_list(connection))
    return {host.name: zones.get(host.name, DEFAULT_ZONE) for host in hosts}


def _held(connection: sa.Connection, aggregate_id: str) -> tuple[Aggregate, list[Aggregate]]:
    """The aggregate and the others, none of which changes until the transaction ends."""
    everyone = rows.aggregates_hold(connection)
    for found in everyone:
        if str(found.id) == aggregate_id:
            return found, [one for one in everyone if one is not found]
    raise _missing(aggregate_id)


def _change(
    connection: sa.Connection,
    site: Site,
    found: Aggregate,
    others: Sequence[Aggregate],
    **values: Any,
) -> Aggregate:
    changes = {**values, "updated_at": site.clock()}
    changed = replace(found, **changes)
    _check_servers_stay(connection, [found, *others], [changed, *others])
    rows.aggregate_update(connection, found.id, **changes)
    return changed


def _check_servers_stay(
    connection: sa.Connection, before: Sequence[Aggregate], after: Sequence[Aggregate]
) -> None:
    """A host with servers keeps its zone: they were put there because of it, and say so.

    Source: nova ``compute/api.py``, AggregateAPI.is_safe_to_update_az.
    """
    was, will = rows.zone_by_host(before), rows.zone_by_host(after)
    for name in sorted(was.keys() | will.keys()):
        old, new = was.get(name, DEFAULT_ZONE), will.get(name, DEFAULT_ZONE)
        count = servers_counted(connection, name) if old != new else 0
        if count:
            raise Conflict(
                f"One or more hosts contain instances in this zone: host {name} has {count} and "
                f"would move from zone {old} to {new}",
                hint="delete those servers first; openstack server list --all-projects --host "
                "shows them",
            )


def _check_zone(others: Sequence[Aggregate], host_name: str, zone: str | None) -> None:
    """A host is in one availability zone: several aggregates may only say the same."""
    if zone is None:
        return
    for other in others:
        if host_name in other.hosts and other.zone not in (None, zone):
            raise Conflict(
                f"Host {host_name} is in zone {other.zone} by aggregate {other.name}; it cannot "
                f"be in zone {zone} too"
            )


def _missing(aggregate_id: str) -> NotFound:
    return NotFound(f"Aggregate {aggregate_id[:80]} could not be found.")
