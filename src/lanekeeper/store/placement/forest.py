"""Placement's view: stored rows, and beside them what follows from devices and their claims.

Inventories and allocations of classes that devices own are never stored: they are counted here.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

import sqlalchemy as sa

from lanekeeper.domain.pci.device import DeviceState
from lanekeeper.domain.placement.allocation import Taken
from lanekeeper.domain.placement.inventory import Inventory
from lanekeeper.domain.placement.provider import Forest, Provider
from lanekeeper.store.tables import (
    allocation,
    card,
    claim,
    consumer,
    device,
    inventory,
    provider_aggregate,
    provider_trait,
    resource_provider,
)

_STOCK = ("total", "reserved", "min_unit", "max_unit", "step_size", "allocation_ratio", "used")


def forest_load(connection: sa.Connection) -> Forest:
    """Every provider with all that is known of it, at one moment."""
    inventories = inventories_load(connection)
    traits = _gathered(connection, provider_trait.c.provider_id, provider_trait.c.trait)
    aggregates = _gathered(
        connection, provider_aggregate.c.provider_id, provider_aggregate.c.aggregate_id
    )
    rows = connection.execute(sa.select(resource_provider).order_by(resource_provider.c.name))
    return Forest.of(
        Provider(
            id=row["id"],
            name=row["name"],
            parent_id=row["parent_id"],
            root_id=row["root_id"],
            generation=row["generation"],
            inventories=inventories.get(row["id"], {}),
            traits=frozenset(traits.get(row["id"], ())),
            aggregates=frozenset(aggregates.get(row["id"], ())),
        )
        for row in rows.mappings()
    )


def _gathered(
    connection: sa.Connection, key: sa.Column[str], value: sa.Column[str]
) -> Mapping[str, set[str]]:
    gathered: dict[str, set[str]] = defaultdict(set)
    for provider_id, name in connection.execute(sa.select(key, value)):
        gathered[provider_id].add(name)
    return gathered


def inventories_load(
    connection: sa.Connection, provider_id: str | None = None
) -> dict[str, dict[str, Inventory]]:
    """Provider id to class to inventory; of one provider only, if given."""
    loaded: dict[str, dict[str, Inventory]] = defaultdict(dict)
    stored = sa.select(inventory)
    if provider_id is not None:
        stored = stored.where(inventory.c.provider_id == provider_id)
    for row in connection.execute(stored).mappings():
        loaded[row["provider_id"]][row["resource_class"]] = Inventory(
            **{name: row[name] for name in _STOCK}
        )
    for owner, name, total, held, free in map(tuple, connection.execute(_counted(provider_id))):
        loaded[owner][name] = Inventory(
            total=total, reserved=total - held - free, max_unit=total, used=held
        )
    return dict(loaded)


def _counted(provider_id: str | None) -> sa.Select[Any]:
    """Listed devices by provider and class: how many, how many held, how many free to take.

    A device whose card is held the other way (its PF, or one of its VFs) is not free.
    """
    mine, above = card.alias("mine"), card.alias("above")
    blocked = sa.or_(sa.func.coalesce(mine.c.parts_held, 0) > 0, above.c.whole_holder.is_not(None))
    held = device.c.state == DeviceState.HELD
    free = sa.and_(device.c.state == DeviceState.AVAILABLE, device.c.present, ~blocked)
    query = (
        sa.select(
            device.c.provider_id,
            device.c.resource_class,
            sa.func.count(),
            sa.func.sum(sa.case((held, 1), else_=0)),
            sa.func.sum(sa.case((free, 1), else_=0)),
        )
        .outerjoin(mine, mine.c.pf_device_id == device.c.id)
        .outerjoin(above, above.c.pf_device_id == device.c.pf_id)
        .where(
            device.c.provider_id.is_not(None),
            device.c.listed,
            sa.or_(device.c.present, held),
        )
        .group_by(device.c.provider_id, device.c.resource_class)
    )
    return query if provider_id is None else query.where(device.c.provider_id == provider_id)


def taken_load(
    connection: sa.Connection, *, consumer_id: str | None = None, provider_id: str | None = None
) -> list[Taken]:
    """Allocations of one consumer, of one provider, or all: stored ones and those of claims."""
    stored = sa.select(
        allocation.c.consumer_id,
        allocation.c.provider_id,
        allocation.c.resource_class,
        allocation.c.used,
    )
    claimed = (
        sa.select(
            claim.c.consumer_id, device.c.provider_id, device.c.resource_class, sa.func.count()
        )
        .join(device, device.c.id == claim.c.device_id)
        .where(device.c.provider_id.is_not(None))
        .group_by(claim.c.consumer_id, device.c.provider_id, device.c.resource_class)
    )
    if consumer_id is not None:
        stored = stored.where(allocation.c.consumer_id == consumer_id)
        claimed = claimed.where(claim.c.consumer_id == consumer_id)
    if provider_id is not None:
        stored = stored.where(allocation.c.provider_id == provider_id)
        claimed = claimed.where(device.c.provider_id == provider_id)
    rows = [*connection.execute(stored), *connection.execute(claimed)]
    return [Taken(*row) for row in sorted(rows)]


def provider_row(connection: sa.Connection, provider_id: str) -> sa.RowMapping | None:
    query = sa.select(resource_provider).where(resource_provider.c.id == provider_id)
    return connection.execute(query).mappings().one_or_none()


def consumer_row(connection: sa.Connection, consumer_id: str) -> sa.RowMapping | None:
    query = sa.select(consumer).where(consumer.c.id == consumer_id)
    return connection.execute(query).mappings().one_or_none()


def consumer_rows(connection: sa.Connection, project_id: str) -> list[sa.RowMapping]:
    query = sa.select(consumer).where(consumer.c.project_id == project_id)
    return list(connection.execute(query).mappings())


def generation_bump(connection: sa.Connection, provider_id: str, expected: int) -> bool:
    """Move a provider's generation on from *expected*; whether it still was that."""
    bumped = connection.execute(
        resource_provider.update()
        .where(resource_provider.c.id == provider_id, resource_provider.c.generation == expected)
        .values(generation=expected + 1)
    )
    return bumped.rowcount == 1


def inventory_write(
    connection: sa.Connection, provider_id: str, name: str, record: Mapping[str, Any]
) -> None:
    """Insert or replace one stored inventory; its use stays."""
    changed = connection.execute(
        inventory.update()
        .where(inventory.c.provider_id == provider_id, inventory.c.resource_class == name)
        .values(**record)
    )
    if changed.rowcount == 0:
        connection.execute(
            inventory.insert().values(provider_id=provider_id, resource_class=name, **record)
        )


def inventory_delete(connection: sa.Connection, provider_id: str, names: Iterable[str]) -> None:
    connection.execute(
        inventory.delete().where(
            inventory.c.provider_id == provider_id, inventory.c.resource_class.in_(list(names))
        )
    )
