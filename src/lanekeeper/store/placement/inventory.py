"""Inventories of single providers: stored rows, and what is counted from devices."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Any, NamedTuple

import sqlalchemy as sa

from lanekeeper.domain.pci.device import DeviceState
from lanekeeper.domain.placement.inventory import Inventory
from lanekeeper.store.device.free import IS_FREE, IS_UNRESERVED, ITS_CARD
from lanekeeper.store.tables import card, device, inventory

STOCK = ("total", "reserved", "min_unit", "max_unit", "step_size", "allocation_ratio", "used")


_IS_HELD = device.c.state == DeviceState.HELD
_IS_HELD_AND_RESERVED = sa.and_(_IS_HELD, ~IS_UNRESERVED)
_FREE = sa.func.sum(sa.case((IS_FREE, 1), else_=0))


class InventoryRecord(NamedTuple):
    """One inventory; *updated_at* is None where it is counted from devices just now."""

    record: Inventory
    updated_at: datetime | None


def inventories_of(connection: sa.Connection, provider_id: str) -> dict[str, InventoryRecord]:
    """Return what one provider has, by class."""
    rows = connection.execute(
        sa.select(inventory)
        .where(inventory.c.provider_id == provider_id)
        .order_by(inventory.c.resource_class)
    ).mappings()
    found = {
        row["resource_class"]: InventoryRecord(record_of(row), row["updated_at"]) for row in rows
    }
    for _, name, *numbers in connection.execute(counted(provider_id)).all():
        found[name] = InventoryRecord(count_of(*numbers), None)
    return found


def counted_with_free(name: str, amount: int) -> sa.Select[tuple[str]]:
    """Make the query of ids of providers whose devices could give *amount* of a class."""
    enough = counted(None, name).having(amount <= _FREE)
    return sa.select(enough.subquery().c.provider_id)


def counted(provider_id: str | None, name: str | None = None) -> sa.Select[Any]:
    """Listed devices by provider and class: how many, how many held, free to take, held and kept
    back from whoever comes next.

    Of one provider only, or of one class, if given. A device whose card is held the other way (its
    PF, or one of its VFs) is not free.
    """
    query = (
        sa.select(
            device.c.provider_id,
            device.c.resource_class,
            sa.func.count(),
            sa.func.sum(sa.case((_IS_HELD, 1), else_=0)),
            _FREE,
            sa.func.sum(sa.case((_IS_HELD_AND_RESERVED, 1), else_=0)),
        )
        .outerjoin(card, ITS_CARD)
        .where(
            device.c.provider_id.is_not(None),
            device.c.listed,
            sa.or_(device.c.present, _IS_HELD),
        )
        .group_by(device.c.provider_id, device.c.resource_class)
    )
    if name is not None:
        query = query.where(device.c.resource_class == name)
    return query if provider_id is None else query.where(device.c.provider_id == provider_id)


def record_of(row: sa.RowMapping) -> Inventory:
    """Read one stored inventory."""
    return Inventory(**{name: row[name] for name in STOCK})


def count_of(total: int, held: int, free: int, held_reserved: int) -> Inventory:
    """Make an inventory of counted devices: those neither held nor free are reserved.

    Where none is free, those that are held and will be kept back are reserved as well, as Nova
    writes of a one-time-use device. While some are free they are not: what may be taken is what is
    neither reserved nor used, and a device that counted for both would hide a free one.
    """
    reserved = total - held - free + (0 if free else held_reserved)
    return Inventory(total=total, reserved=reserved, max_unit=total, used=held)


def inventory_write(
    connection: sa.Connection, provider_id: str, name: str, record: Inventory, now: datetime
) -> None:
    """Insert or replace one stored inventory; its use stays."""
    values = {
        "total": record.total,
        "reserved": record.reserved,
        "min_unit": record.min_unit,
        "max_unit": record.max_unit,
        "step_size": record.step_size,
        "allocation_ratio": record.allocation_ratio,
        "capacity": record.capacity,
        "updated_at": now,
    }
    mine = (inventory.c.provider_id == provider_id, inventory.c.resource_class == name)
    if connection.execute(inventory.update().where(*mine).values(**values)).rowcount == 0:
        connection.execute(
            inventory.insert().values(provider_id=provider_id, resource_class=name, **values)
        )


def inventories_delete(
    connection: sa.Connection, provider_id: str, names: Collection[str]
) -> list[str]:
    """Remove what nobody holds anything of; return the names of what is held and stays."""
    if not names:
        return []
    gone = connection.scalars(
        inventory.delete()
        .where(
            inventory.c.provider_id == provider_id,
            inventory.c.resource_class.in_(sorted(names)),
            inventory.c.used == 0,
        )
        .returning(inventory.c.resource_class)
    )
    return sorted(set(names) - set(gone))
