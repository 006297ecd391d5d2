"""What hosts have and what of it is free: the scheduler's view, read in a handful of queries."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from lanekeeper.domain.pci.device import DeviceState
from lanekeeper.domain.pci.request import Offered
from lanekeeper.domain.scheduling.host import (
    DEFAULT_ZONE,
    HostDevice,
    HostView,
    Standing,
    Stock,
)
from lanekeeper.store.compute.aggregate import aggregate_list, zone_by_host
from lanekeeper.store.device.free import IS_FREE, ITS_CARD
from lanekeeper.store.tables import card, device, host, inventory, resource_provider

_STANDING: Mapping[str, Standing] = {
    DeviceState.AVAILABLE: Standing.FREE,
    DeviceState.HELD: Standing.HELD,
    DeviceState.CLEANING: Standing.CLEANING,
    DeviceState.QUARANTINED: Standing.QUARANTINED,
}


def host_views(
    connection: sa.Connection, now: datetime, agent_down_s: float
) -> tuple[HostView, ...]:
    """Every host, by name; an agent that was last heard *agent_down_s* seconds ago is down."""
    devices, stocks = _devices(connection), _stocks(connection)
    zones = zone_by_host(aggregate_list(connection))
    oldest = now - timedelta(seconds=agent_down_s)
    generations = _generations(connection)
    rows = connection.execute(
        sa.select(
            host.c.id,
            host.c.name,
            host.c.enabled,
            host.c.disabled_reason,
            host.c.frozen_reason,
            host.c.seen_at,
            host.c.facts["mappings"].label("mappings"),  # the rest of it is long
            resource_provider.c.generation.label("provider_generation"),
        )
        .outerjoin(resource_provider, resource_provider.c.id == host.c.id)
        .order_by(host.c.name)
    ).mappings()
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
            zone=zones.get(row["name"], DEFAULT_ZONE),
            # Every claim on a host moves its provider on, every other change its devices.
            generation=(row["provider_generation"] or 0) + generations.get(row["id"], 0),
        )
        for row in rows
    )


def _generations(connection: sa.Connection) -> dict[str, int]:
    """Host id to a number that grows whenever one of its devices changes."""
    rows = connection.execute(
        sa.select(device.c.host_id, sa.func.sum(device.c.generation)).group_by(device.c.host_id)
    )
    return {host_id: int(number) for host_id, number in rows}


def _stocks(connection: sa.Connection) -> dict[str, dict[str, Stock]]:
    """Host id to its own inventories; its provider has the same id."""
    rows = connection.execute(
        sa.select(
            inventory.c.provider_id,
            inventory.c.resource_class,
            inventory.c.capacity,
            inventory.c.used,
        ).join(host, host.c.id == inventory.c.provider_id)
    )
    stocks: dict[str, dict[str, Stock]] = defaultdict(dict)
    for provider_id, name, capacity, used in rows:
        stocks[provider_id][name] = Stock(capacity, used)
    return stocks


def _devices(connection: sa.Connection) -> dict[str, list[HostDevice]]:
    """Host id to its listed and present devices, by address."""
    pf = device.alias("pf")
    rows = connection.execute(
        sa.select(
            device.c.id,
            device.c.host_id,
            device.c.address,
            device.c.vendor_id,
            device.c.product_id,
            device.c.dev_type,
            device.c.tags,
            device.c.state,
            device.c.pf_id,
            device.c.numa_node,
            card.c.parts_held,
            IS_FREE.label("free"),
            pf.c.listed.label("pf_listed"),
        )
        .outerjoin(card, ITS_CARD)
        .outerjoin(pf, pf.c.id == device.c.pf_id)
        .where(device.c.listed, device.c.present)
        .order_by(device.c.host_id, device.c.address)
    ).mappings()
    devices: dict[str, list[HostDevice]] = defaultdict(list)
    for row in rows:
        devices[row["host_id"]].append(_device(row))
    return devices


def _device(row: sa.RowMapping) -> HostDevice:
    return HostDevice(
        id=row["id"],
        address=row["address"],
        offered=Offered.from_text(
            row["vendor_id"], row["product_id"], row["dev_type"], row["tags"]
        ),
        standing=_standing(row),
        pf_id=row["pf_id"],
        parts_held=row["parts_held"] or 0,
        whole_offered=bool(row["pf_listed"]),
        numa_node=row["numa_node"],
    )


def _standing(row: sa.RowMapping) -> Standing:
    """Where a device stands; a clean one is blocked by its card, held or dirty the other way."""
    standing = _STANDING[row["state"]]
    return Standing.BLOCKED if standing is Standing.FREE and not row["free"] else standing


def device_facts(
    connection: sa.Connection, device_ids: Collection[str]
) -> dict[str, Mapping[str, Any]]:
    """Devices by id: their columns, and ``pf_address``, ``pf_netdev`` and ``pf_mac`` of a VF."""
    pf = device.alias("pf")
    rows = connection.execute(
        sa.select(
            device,
            pf.c.address.label("pf_address"),
            pf.c.netdev.label("pf_netdev"),
            pf.c.mac.label("pf_mac"),
        )
        .outerjoin(pf, pf.c.id == device.c.pf_id)
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
