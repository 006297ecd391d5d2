"""Devices that are kept from new guests, whatever their state, until their return is asked for."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

import sqlalchemy as sa

from lanekeeper.domain.pci.device import DeviceState, Reserve
from lanekeeper.store.device.free import IS_FOR_ONE_GUEST, IS_UNRESERVED
from lanekeeper.store.device.history import What, device_place, history_write
from lanekeeper.store.tables import device

_WHAT: Mapping[Reserve, What] = {
    Reserve.NOT: What.RETURNED,
    Reserve.SPENT: What.RESERVED,
    Reserve.ASIDE: What.RESERVED,
    Reserve.RETIRED: What.RETIRED,
    Reserve.RETIRED_SPENT: What.RETIRED,
}


def reserve_set(
    connection: sa.Connection,
    device_id: str,
    reserve: Reserve,
    now: datetime,
    *,
    what: What | None = None,
) -> None:
    """Keep a device back, or have it serve again with ``Reserve.NOT``. A holder keeps it.

    *what* is noted of it; None: what *reserve* says.
    """
    connection.execute(
        device.update()
        .where(device.c.id == device_id)
        .values(reserved=reserve, generation=device.c.generation + 1)
    )
    noted = what or _WHAT[reserve]
    history_write(connection, [device_place(connection, device_id)], noted, now)


def held_once_spend(connection: sa.Connection, host_id: str) -> None:
    """Call spent what a host's guests hold and is for one guest by what its entry says now."""
    connection.execute(
        device.update()
        .where(
            device.c.host_id == host_id,
            device.c.state == DeviceState.HELD,
            IS_FOR_ONE_GUEST,
            IS_UNRESERVED,
        )
        .values(reserved=Reserve.SPENT, generation=device.c.generation + 1)
    )


def device_kept_back(connection: sa.Connection, device_id: str) -> str:
    """For what a device is kept back (spent, reserved, retired); empty where it is not."""
    mine = sa.select(device.c.reserved).where(device.c.id == device_id)
    return connection.scalar(mine) or ""
