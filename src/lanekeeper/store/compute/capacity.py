"""What hosts have and what of it is free: the scheduler's view, read in a handful of queries."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from lanekeeper.domain.compute.aggregate import Aggregate
from lanekeeper.domain.pci.device import DeviceState, Reserve
from lanekeeper.domain.pci.request import Offered
from lanekeeper.domain.scheduling.bandwidth import CardBandwidth
from lanekeeper.domain.scheduling.host import (
    DEFAULT_ZONE,
    Aggregates,
    HostDevice,
    HostView,
    Platform,
    Standing,
    Stock,
)
from lanekeeper.store.batch import batches
from lanekeeper.store.compute.aggregate import aggregates_by_host, zone_by_host
from lanekeeper.store.device.bar import Bar, bars_of
from lanekeeper.store.device.free import IS_FREE, IS_TIED, ITS_CARD
from lanekeeper.store.placement.bandwidth_provider import Stocks, bandwidth_stocks
from lanekeeper.store.tables import (
    card,
    device,
    host,
    inventory,
    resource_provider,
    server,
    server_group_member,
)
from lanekeeper.store.topology.cell import host_cells

_PF = device.alias("pf")  # to make one takes longer than to ask
_PLATFORM = ("architecture", "hypervisor", "hypervisor_version")
_STANDING: Mapping[str, Standing] = {
    DeviceState.AVAILABLE: Standing.FREE,
    DeviceState.HELD: Standing.HELD,
    DeviceState.CLEANING: Standing.CLEANING,
    DeviceState.QUARANTINED: Standing.QUARANTINED,
}
_RESERVED: Mapping[str, Standing] = {
    Reserve.SPENT: Standing.SPENT,
    Reserve.ASIDE: Standing.RESERVED,
    Reserve.RETIRED: Standing.RETIRED,
    Reserve.RETIRED_SPENT: Standing.RETIRED,
    Reserve.RETIRED_ASIDE: Standing.RETIRED,
}


def host_views(
    connection: sa.Connection,
    oldest: datetime,
    aggregates: Sequence[Aggregate],
    host_ids: Collection[str] | None = None,
) -> tuple[HostView, ...]:
    """Hosts, all or those of *host_ids*, by name.

    Args:
        connection: in a transaction.
        oldest: an agent that was not heard since is down.
        aggregates: all of them.
        host_ids: None for all.
    """
    places = zone_by_host(aggregates), aggregates_by_host(aggregates)
    if host_ids is None:
        return _host_views(connection, oldest, places, None)
    views: list[HostView] = []
    for some in batches(host_ids):
        views += _host_views(connection, oldest, places, some)
    return tuple(sorted(views, key=lambda view: view.name))


def _host_views(
    connection: sa.Connection,
    oldest: datetime,
    places: tuple[Mapping[str, str], Mapping[str, Aggregates]],
    host_ids: Sequence[str] | None,
) -> tuple[HostView, ...]:
    zones, aggregates = places
    stocks = _stocks(connection, host_ids)
    generations, cells = _generations(connection, host_ids), host_cells(connection, host_ids)
    servers = _servers(connection, host_ids)
    query = (
        sa.select(
            host.c.id,
            host.c.name,
            host.c.enabled,
            host.c.disabled_reason,
            host.c.frozen_reason,
            host.c.seen_at,
            host.c.facts["mappings"].label("mappings"),  # the rest of it is long
            host.c.facts["unlisted"].label("unlisted"),
            host.c.facts["bridges"].label("bridges"),
            host.c.facts["guards"].label("guards"),
            host.c.facts["pairs"].label("pairs"),
            *(host.c.facts[name].label(name) for name in _PLATFORM),
            resource_provider.c.generation.label("provider_generation"),
        )
        .outerjoin(resource_provider, resource_provider.c.id == host.c.id)
        .order_by(host.c.name)
    )
    rows = connection.execute(_only(query, host.c.id, host_ids)).mappings().all()
    unlisted = {row["id"]: row["unlisted"] or {} for row in rows}
    devices = _devices(connection, host_ids, unlisted)
    return tuple(
        HostView(
            id=row["id"],
            name=row["name"],
            enabled=row["enabled"],
            disabled_reason=row["disabled_reason"],
            alive=row["seen_at"] is not None and row["seen_at"] >= oldest,
            frozen_reason=row["frozen_reason"],
            stocks=stocks.get(row["id"], {}),
            devices=tuple(devices.get(row["id"], ())),
            physical_networks=frozenset(row["mappings"] or ()),
            bridges=row["bridges"] or {},
            guards=bool(row["guards"]),
            pairs=bool(row["pairs"]),
            zone=zones.get(row["name"], DEFAULT_ZONE),
            cells=cells.get(row["id"], ()),
            aggregates=aggregates.get(row["name"], ()),
            platform=Platform(
                architecture=row["architecture"] or "",
                hypervisor=row["hypervisor"] or "",
                version=row["hypervisor_version"] or 0,
            ),
            servers=frozenset(servers[row["id"]]),
            groups=Counter(group for group in servers[row["id"]].values() if group is not None),
            # Every claim on a host moves its provider on, every other change its devices.
            generation=(row["provider_generation"] or 0) + generations.get(row["id"], 0),
        )
        for row in rows
    )


def hosts_heard(
    connection: sa.Connection, since: datetime | None = None
) -> list[tuple[str, datetime]]:
    """Host ids and when their agents were heard last: all, or those that were *since* then."""
    query = sa.select(host.c.id, host.c.seen_at).where(host.c.seen_at.is_not(None))
    if since is not None:
        query = query.where(host.c.seen_at >= since)
    return [(row[0], row[1]) for row in connection.execute(query)]


def provider_hosts(
    connection: sa.Connection, provider_ids: Collection[str] | None = None
) -> dict[str, str]:
    """The host of each provider, all or of *provider_ids*, that devices of a host hang on, or that
    has their bandwidth.
    """
    found: dict[str, str] = {}
    query = sa.select(device.c.provider_id, device.c.host_id).distinct()
    query = query.where(device.c.provider_id.is_not(None))
    carry = sa.select(resource_provider.c.id, resource_provider.c.host_id)
    carry = carry.where(resource_provider.c.owner == "bandwidth")
    for some in [None] if provider_ids is None else batches(provider_ids):
        for part, column in ((query, device.c.provider_id), (carry, resource_provider.c.id)):
            found |= {row[0]: row[1] for row in connection.execute(_only(part, column, some))}
    return found


def _only(
    query: sa.Select[Any], column: sa.ColumnElement[str], ids: Sequence[str] | None
) -> sa.Select[Any]:
    return query if ids is None else query.where(column.in_(ids))


def _generations(connection: sa.Connection, host_ids: Sequence[str] | None) -> dict[str, int]:
    """Host id to a number that grows whenever one of its devices changes."""
    query = sa.select(device.c.host_id, sa.func.sum(device.c.generation))
    rows = connection.execute(_only(query, device.c.host_id, host_ids).group_by(device.c.host_id))
    return {host_id: int(number) for host_id, number in rows}


def _servers(
    connection: sa.Connection, host_ids: Sequence[str] | None
) -> dict[str, dict[str, str | None]]:
    """Host id to its servers and the server group of each.

    A server comes and goes with its allocation, so the change log tells of it.
    """
    member = server_group_member
    query = sa.select(server.c.host_id, server.c.id, member.c.group_id).outerjoin(
        member, member.c.server_id == server.c.id
    )
    query = query.where(server.c.host_id.is_not(None))
    servers: dict[str, dict[str, str | None]] = defaultdict(dict)
    for host_id, server_id, group_id in connection.execute(
        _only(query, server.c.host_id, host_ids)
    ):
        servers[host_id][server_id] = group_id
    return servers


def _stocks(
    connection: sa.Connection, host_ids: Sequence[str] | None
) -> dict[str, dict[str, Stock]]:
    """Host id to its own inventories; its provider has the same id."""
    query = sa.select(
        inventory.c.provider_id,
        inventory.c.resource_class,
        inventory.c.capacity,
        inventory.c.used,
    ).join(host, host.c.id == inventory.c.provider_id)
    stocks: dict[str, dict[str, Stock]] = defaultdict(dict)
    for provider_id, name, capacity, used in connection.execute(_only(query, host.c.id, host_ids)):
        stocks[provider_id][name] = Stock(capacity, used)
    return stocks


def _devices(
    connection: sa.Connection,
    host_ids: Sequence[str] | None,
    unlisted: Mapping[str, Mapping[str, str]],
) -> dict[str, list[HostDevice]]:
    """Host id to its listed devices, by address; those that are away, too.

    Of these *unlisted* has, by host, those that are only not listed any more: ids by address.
    """
    query = (
        sa.select(
            device.c.id,
            device.c.host_id,
            device.c.address,
            device.c.vendor_id,
            device.c.product_id,
            device.c.dev_type,
            device.c.tags,
            device.c.state,
            device.c.present,
            device.c.unfit,
            device.c.reserved,
            device.c.pf_id,
            device.c.numa_node,
            device.c.pcie_root,
            device.c.unit,
            device.c.host_driver,
            card.c.parts_held,
            sa.func.coalesce(_PF.c.bandwidth_provider_id, device.c.bandwidth_provider_id).label(
                "bandwidth_provider_id"
            ),
            sa.func.coalesce(_PF.c.netdev, _PF.c.address, device.c.netdev, device.c.address).label(
                "interface"
            ),
            IS_FREE.label("free"),
            IS_TIED.label("tied"),
            _PF.c.listed.label("pf_listed"),
            _PF.c.driver.label("pf_driver"),
        )
        .outerjoin(card, ITS_CARD)
        .outerjoin(_PF, _PF.c.id == device.c.pf_id)
        .where(device.c.listed)
        .order_by(device.c.host_id, device.c.address)
    )
    devices: dict[str, list[HostDevice]] = defaultdict(list)
    cards = bandwidth_stocks(connection, host_ids)
    for row in connection.execute(_only(query, device.c.host_id, host_ids)).mappings():
        stocks = cards.get(row["bandwidth_provider_id"] or "")
        still = unlisted.get(row["host_id"], {})
        devices[row["host_id"]].append(_device(row, stocks, still))
    return _with_bars(connection, devices)


def _with_bars(
    connection: sa.Connection, devices: dict[str, list[HostDevice]]
) -> dict[str, list[HostDevice]]:
    """Say of what is blocked by what."""
    blocked = {
        one.id: one.pf_id
        for mine in devices.values()
        for one in mine
        if one.standing is Standing.BLOCKED
    }
    bars = bars_of(connection, blocked) if blocked else {}
    return {
        host_id: [_barred(one, bars[one.id]) if bars.get(one.id) else one for one in mine]
        for host_id, mine in devices.items()
    }


def _barred(one: HostDevice, bars: Sequence[Bar]) -> HostDevice:
    """What has to go first counts: a holder, then what is not clean, then what is spent."""
    by_standing: dict[Standing, list[str]] = defaultdict(list)
    for bar in bars:
        by_standing[_beside(bar)].append(bar.address)
    first = next(standing for standing in Standing if standing in by_standing)
    is_held = first is Standing.BLOCKED  # their holders have names in lists
    return replace(one, standing=first, behind=() if is_held else tuple(by_standing[first]))


def _beside(bar: Bar) -> Standing:
    if bar.state == DeviceState.HELD:
        return Standing.BLOCKED
    if bar.state == DeviceState.AVAILABLE:
        return Standing.BESIDE_SPENT
    if not bar.is_listed:
        return Standing.BESIDE_UNLISTED
    is_cleaning = bar.state == DeviceState.CLEANING
    return Standing.BESIDE_CLEANING if is_cleaning else Standing.BESIDE_QUARANTINED


def _device(row: sa.RowMapping, stocks: Stocks | None, unlisted: Mapping[str, str]) -> HostDevice:
    return HostDevice(
        id=row["id"],
        address=row["address"],
        offered=Offered.from_text(
            row["vendor_id"],
            row["product_id"],
            row["dev_type"],
            row["tags"],
            pf_driver=row["pf_driver"],
            interface=row["host_driver"] is not None,
        ),
        standing=_standing(row, unlisted),
        unfit=row["unfit"],
        pf_id=row["pf_id"],
        parts_held=row["parts_held"] or 0,
        whole_offered=bool(row["pf_listed"]),
        numa_node=row["numa_node"],
        pcie_root=row["pcie_root"],
        unit=row["unit"],
        bandwidth=None
        if stocks is None
        else CardBandwidth(row["bandwidth_provider_id"], row["interface"], stocks),
    )


def _standing(row: sa.RowMapping, unlisted: Mapping[str, str]) -> Standing:
    """Where a device stands; a clean one may be kept back, unfit, tied to one that is not free, or
    blocked by its card, held or dirty the other way.
    """
    standing = _STANDING[row["state"]]
    if standing is not Standing.FREE or row["free"]:
        return standing
    if not row["present"]:
        ids = f"{row['vendor_id']}:{row['product_id']}"
        return Standing.UNLISTED if unlisted.get(row["address"]) == ids else Standing.MISSING
    if row["reserved"]:
        return _RESERVED[row["reserved"]]
    if row["unfit"]:
        return Standing.UNFIT
    return Standing.TIED if row["tied"] else Standing.BLOCKED


def device_facts(
    connection: sa.Connection, device_ids: Collection[str]
) -> dict[str, Mapping[str, Any]]:
    """Devices by id: their columns and ``card_serial``, and of their PF ``pf_address``,
    ``pf_netdev``, ``pf_mac``, ``pf_driver``; ``carrier_id`` has the card's bandwidth.
    """
    rows = connection.execute(
        sa.select(
            device,
            _PF.c.address.label("pf_address"),
            _PF.c.netdev.label("pf_netdev"),
            _PF.c.mac.label("pf_mac"),
            _PF.c.driver.label("pf_driver"),
            sa.func.coalesce(_PF.c.bandwidth_provider_id, device.c.bandwidth_provider_id).label(
                "carrier_id"
            ),
            sa.func.coalesce(device.c.serial, _PF.c.serial).label("card_serial"),
        )
        .outerjoin(_PF, _PF.c.id == device.c.pf_id)
        .where(device.c.id.in_(device_ids))
    )
    return {row["id"]: dict(row) for row in rows.mappings()}


def host_enabled_set(
    connection: sa.Connection, host_id: str, *, enabled: bool, reason: str = ""
) -> None:
    """Have a host take new servers, or not and why not."""
    connection.execute(
        host.update()
        .where(host.c.id == host_id)
        .values(enabled=enabled, disabled_reason="" if enabled else reason)
    )
