"""What the search's snapshot is made of: of all providers, or of some.

Amounts of classes that devices own are counted from the devices, as everywhere.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import sqlalchemy as sa

from lanekeeper.domain.pci.device import DeviceState
from lanekeeper.domain.placement.snapshot import Lines
from lanekeeper.store.tables import (
    card,
    device,
    inventory,
    provider_aggregate,
    provider_trait,
    resource_provider,
)

_BOUND = 500
"""Ids in one statement; databases bound the number of parameters."""


def lines_load(connection: sa.Connection) -> Lines:
    """Everything, at one moment."""
    return Lines(
        providers=_all(connection, _PROVIDERS),
        stock=[*_all(connection, _STORED), *_all(connection, _COUNTED)],
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
            *_some(connection, _COUNTED, device.c.provider_id, provider_ids),
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
    ids, found = list(provider_ids), []
    for start in range(0, len(ids), _BOUND):
        found += _all(connection, query.where(column.in_(ids[start : start + _BOUND])))
    return found


def _counted() -> sa.Select[Any]:
    """Listed devices by provider and class: what may be held in all, and what is.

    A device whose card is held the other way (its PF, or one of its VFs) is not free.
    """
    mine, above = card.alias("mine"), card.alias("above")
    blocked = sa.or_(sa.func.coalesce(mine.c.parts_held, 0) > 0, above.c.whole_holder.is_not(None))
    held = device.c.state == DeviceState.HELD
    free = sa.and_(device.c.state == DeviceState.AVAILABLE, device.c.present, ~blocked)
    return (
        sa.select(
            device.c.provider_id,
            device.c.resource_class,
            sa.func.sum(sa.case((sa.or_(held, free), 1), else_=0)),
            sa.func.sum(sa.case((held, 1), else_=0)),
            sa.literal(1),
            sa.func.count(),
            sa.literal(1),
        )
        .outerjoin(mine, mine.c.pf_device_id == device.c.id)
        .outerjoin(above, above.c.pf_device_id == device.c.pf_id)
        .where(device.c.provider_id.is_not(None), device.c.listed, sa.or_(device.c.present, held))
        .group_by(device.c.provider_id, device.c.resource_class)
    )


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
_COUNTED = _counted()
_TRAITS = sa.select(provider_trait.c.provider_id, provider_trait.c.trait)
_AGGREGATES = sa.select(provider_aggregate.c.provider_id, provider_aggregate.c.aggregate_id)
