"""Providers of bandwidth: a host's interfaces, which of its cards is which, and who moved along."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping
from datetime import datetime
from typing import NamedTuple

import sqlalchemy as sa

from lanekeeper.domain.network.promise import EGRESS, INGRESS
from lanekeeper.domain.pci.device import DeviceType
from lanekeeper.domain.placement.inventory import Inventory
from lanekeeper.store.placement.host_provider import HostInventory, inventory_ensure
from lanekeeper.store.placement.inventory import STOCK
from lanekeeper.store.tables import (
    allocation,
    claim,
    device,
    inventory,
    port,
    provider_trait,
    resource_provider,
)

NO_BANDWIDTH: Mapping[str, HostInventory] = dict.fromkeys((EGRESS, INGRESS), HostInventory(0))


Stocks = tuple[tuple[str, Inventory], ...]


class Moved(NamedTuple):
    """A port whose card goes by another interface now, which another provider stands for."""

    port_id: str
    server_id: str
    before: str
    after: str
    egress_kbps: int
    ingress_kbps: int


def bandwidth_stocks(
    connection: sa.Connection, host_ids: Collection[str] | None = None
) -> dict[str, Stocks]:
    """What providers of bandwidth have, by class: of all hosts, or of *host_ids*."""
    query = (
        sa.select(
            inventory.c.provider_id,
            inventory.c.resource_class,
            *(inventory.c[name] for name in STOCK),
        )
        .join(resource_provider, resource_provider.c.id == inventory.c.provider_id)
        .where(resource_provider.c.owner == "bandwidth")
        .order_by(inventory.c.provider_id, inventory.c.resource_class)
    )
    if host_ids is not None:
        query = query.where(resource_provider.c.host_id.in_(host_ids))
    found: dict[str, Stocks] = defaultdict(tuple)
    for id_, name, *numbers in connection.execute(query):
        found[id_] += ((name, Inventory(**dict(zip(STOCK, numbers, strict=True)))),)
    return dict(found)


def bandwidth_providers_tied(connection: sa.Connection, host_id: str) -> dict[str, str | None]:
    """Providers that cards of a host have, and the interface of each card; None while it has none.

    A PF that a guest holds has no interface on its host.
    """
    rows = connection.execute(
        sa.select(device.c.bandwidth_provider_id, device.c.netdev).where(
            device.c.host_id == host_id,
            device.c.present,
            device.c.bandwidth_provider_id.is_not(None),
        )
    )
    return {row.bandwidth_provider_id: row.netdev for row in rows}


def bandwidth_providers_tie(
    connection: sa.Connection, host_id: str, by_interface: Mapping[str, str]
) -> None:
    """Say which card each interface is; one without an interface stays what it was."""
    rows = connection.execute(
        sa.select(device.c.id, device.c.netdev, device.c.bandwidth_provider_id).where(
            device.c.host_id == host_id, device.c.present, device.c.dev_type != DeviceType.VF
        )
    ).all()
    for row in rows:
        tied = by_interface.get(row.netdev) if row.netdev else row.bandwidth_provider_id
        if tied != row.bandwidth_provider_id:
            mine = device.update().where(device.c.id == row.id)
            connection.execute(mine.values(bandwidth_provider_id=tied))


def bandwidth_moved(connection: sa.Connection, host_id: str) -> list[Moved]:
    """Ports that hold bandwidth of another provider than the one that their card has now."""
    pf = device.alias("pf")
    after = sa.func.coalesce(pf.c.bandwidth_provider_id, device.c.bandwidth_provider_id)
    rows = connection.execute(
        sa.select(
            port.c.id,
            port.c.device_id,
            port.c.bandwidth_provider_id,
            after,
            port.c.egress_kbps,
            port.c.ingress_kbps,
        )
        .join(claim, claim.c.request_id == port.c.id)
        .join(device, device.c.id == claim.c.device_id)
        .outerjoin(pf, pf.c.id == device.c.pf_id)
        .where(
            device.c.host_id == host_id,
            port.c.bandwidth_provider_id.is_not(None),
            after.is_not(None),
            after != port.c.bandwidth_provider_id,
        )
        .order_by(port.c.id)
    )
    return [Moved(*row) for row in rows]


def bandwidth_providers_retire(
    connection: sa.Connection, host_id: str, wanted: Collection[str], now: datetime
) -> None:
    """Remove providers of bandwidth of a host that are not *wanted*.

    Of what ports hold nothing more is given, and it goes when they have let go of it.
    """
    rows = connection.execute(
        sa.select(resource_provider.c.id)
        .where(resource_provider.c.host_id == host_id, resource_provider.c.owner == "bandwidth")
        # What is below the agent's provider goes before that.
        .order_by(resource_provider.c.parent_id == host_id)
    ).all()
    for row in rows:
        if row.id in wanted:
            continue
        inventory_ensure(connection, row.id, NO_BANDWIDTH, now)
        if not _is_in_use(connection, row.id):
            connection.execute(
                device.update()
                .where(device.c.bandwidth_provider_id == row.id)
                .values(bandwidth_provider_id=None)
            )
            connection.execute(
                provider_trait.delete().where(provider_trait.c.provider_id == row.id)
            )
            mine = resource_provider.c.id == row.id
            connection.execute(resource_provider.delete().where(mine))


def _is_in_use(connection: sa.Connection, provider_id: str) -> bool:
    queries = (
        sa.select(allocation.c.used).where(allocation.c.provider_id == provider_id),
        sa.select(inventory.c.used).where(inventory.c.provider_id == provider_id),
        sa.select(resource_provider.c.id).where(resource_provider.c.parent_id == provider_id),
    )
    return any(connection.execute(query.limit(1)).first() for query in queries)
