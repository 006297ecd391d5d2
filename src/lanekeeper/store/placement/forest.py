"""Placement's view: stored rows, and beside them what follows from devices and their claims.

Inventories and allocations of classes that devices own are never stored: they are counted here.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

import sqlalchemy as sa

from lanekeeper.domain.placement.allocation import Taken
from lanekeeper.domain.placement.inventory import Inventory
from lanekeeper.domain.placement.provider import Forest, Provider
from lanekeeper.store.placement.inventory import count_of, counted, record_of
from lanekeeper.store.tables import (
    allocation,
    claim,
    device,
    inventory,
    provider_aggregate,
    provider_trait,
    resource_provider,
)


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
        loaded[row["provider_id"]][row["resource_class"]] = record_of(row)
    for owner, name, *numbers in connection.execute(counted(provider_id)).all():
        loaded[owner][name] = count_of(*numbers)
    return dict(loaded)


def taken_load(
    connection: sa.Connection, *, consumer_id: str | None = None, provider_id: str | None = None
) -> list[Taken]:
    """Allocations of one consumer, of one provider, or all: stored ones and those of claims."""
    query = taken_query(consumer_id=consumer_id, provider_id=provider_id)
    return sorted(
        (Taken(*row) for row in connection.execute(query)),  # type: ignore[call-arg,arg-type]
        key=lambda line: (line.consumer_id, line.provider_id, line.resource_class),
    )


def taken_query(
    *, consumer_id: str | None = None, provider_id: str | None = None
) -> sa.CompoundSelect[tuple[str, str, str, int]]:
    """Make the query of ``taken_load``: (consumer_id, provider_id, resource_class, used)."""
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
    return sa.union_all(stored, claimed)
