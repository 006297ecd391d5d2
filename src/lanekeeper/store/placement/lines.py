"""What the search's snapshot is made of: of all providers, or of some.

Amounts of classes that devices own are counted from the devices, as everywhere.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import sqlalchemy as sa

from lanekeeper.domain.placement.snapshot import Lines
from lanekeeper.store.batch import batches
from lanekeeper.store.placement.inventory import counted
from lanekeeper.store.tables import (
    device,
    inventory,
    provider_aggregate,
    provider_trait,
    resource_provider,
)


def lines_load(connection: sa.Connection) -> Lines:
    """Everything, at one moment."""
    return Lines(
        providers=_all(connection, _PROVIDERS),
        stock=[*_all(connection, _STORED), *map(_of_devices, _all(connection, _COUNTED))],
        traits=_all(connection, _TRAITS),
        aggregates=_all(connection, _AGGREGATES),
    )


def lines_of(connection: sa.Connection, provider_ids: Collection[str]) -> Lines:
    """Everything of some providers; those that are not there are left out."""
    return Lines(
        providers=_some(connection, _PROVIDERS, resource_provider.c.id, provider_ids),
        stock=stock_of(connection, provider_ids).stock,
        traits=_some(connection, _TRAITS, provider_trait.c.provider_id, provider_ids),
        aggregates=_some(connection, _AGGREGATES, provider_aggregate.c.provider_id, provider_ids),
    )


def stock_of(connection: sa.Connection, provider_ids: Collection[str]) -> Lines:
    """Only the amounts of some providers."""
    return Lines(
        stock=[
            *_some(connection, _STORED, inventory.c.provider_id, provider_ids),
            *map(_of_devices, _some(connection, _COUNTED, device.c.provider_id, provider_ids)),
        ]
    )


def _all(connection: sa.Connection, query: sa.Select[Any]) -> list[Any]:
    return list(connection.execute(query).all())


def _some(
    connection: sa.Connection,
    query: sa.Select[Any],
    column: sa.Column[str],
    provider_ids: Collection[str],
) -> list[Any]:
    found: list[Any] = []
    for batch in batches(provider_ids):
        found += _all(connection, query.where(column.in_(batch)))
    return found


def _of_devices(row: Sequence[Any]) -> tuple[str, str, int, int, int, int, int]:
    provider_id, name, total, held, free, _ = row
    return provider_id, name, held + free, held, 1, total, 1


_PROVIDERS = sa.select(
    resource_provider.c.id, resource_provider.c.parent_id, resource_provider.c.root_id
)
_STORED = sa.select(
    inventory.c.provider_id,
    inventory.c.resource_class,
    inventory.c.capacity,
    inventory.c.used,
    inventory.c.min_unit,
    inventory.c.max_unit,
    inventory.c.step_size,
)
_COUNTED = counted(None)
_TRAITS = sa.select(provider_trait.c.provider_id, provider_trait.c.trait)
_AGGREGATES = sa.select(provider_aggregate.c.provider_id, provider_aggregate.c.aggregate_id)
