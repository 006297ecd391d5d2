"""Devices that are kept from new guests, whatever their state, until their return is asked for."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

import sqlalchemy as sa

from lanekeeper.domain.pci.device import DeviceState, Reserve
from lanekeeper.store.device.card import card_recount
from lanekeeper.store.device.free import IS_FOR_ONE_GUEST, IS_SPENT
from lanekeeper.store.device.history import Actor, What, device_place, history_write
from lanekeeper.store.tables import claim, device

_WHAT: Mapping[Reserve, What] = {
    Reserve.NOT: What.RETURNED,
    Reserve.SPENT: What.RESERVED,
    Reserve.ASIDE: What.RESERVED,
    Reserve.RETIRED: What.RETIRED,
    Reserve.RETIRED_SPENT: What.RETIRED,
    Reserve.RETIRED_ASIDE: What.RETIRED,
}
_IS_RETIRED = device.c.reserved.in_([one for one in Reserve if one.is_retired])
SPENT = sa.case((_IS_RETIRED, Reserve.RETIRED_SPENT), else_=Reserve.SPENT)
"""What a device is kept back for from now on that a guest has been given once: one that is retired
stays so.
"""


def reserve_set(
    connection: sa.Connection,
    device_id: str,
    reserve: Reserve,
    now: datetime,
    *,
    what: What | None = None,
    by: Actor | None = None,
) -> None:
    """Keep a device back, or have it serve again with ``Reserve.NOT``. A holder keeps it.

    *what* is noted of it; None: what *reserve* says. It is *by* whom it was asked for.
    """
    card_id = connection.scalar(
        device.update()
        .where(device.c.id == device_id)
        .values(reserved=reserve, generation=device.c.generation + 1)
        .returning(sa.func.coalesce(device.c.pf_id, device.c.id))
    )
    card_recount(connection, str(card_id))
    noted = what or _WHAT[reserve]
    history_write(connection, [device_place(connection, device_id)], noted, now, by=by)


def held_once_spend(connection: sa.Connection, host_id: str, now: datetime) -> None:
    """Call spent what a host's guests hold and is for one guest by what its entry says now."""
    spent = connection.execute(
        device.update()
        .where(
            device.c.host_id == host_id,
            device.c.state == DeviceState.HELD,
            IS_FOR_ONE_GUEST,
            ~IS_SPENT,
        )
        .values(reserved=SPENT, generation=device.c.generation + 1)
        .returning(device.c.id, device.c.host_id, device.c.address)
    ).all()
    for row in spent:
        holder = connection.scalar(
            sa.select(claim.c.consumer_id).where(claim.c.device_id == row.id)
        )
        history_write(connection, [row], What.SPENT, now, consumer_id=holder)


def device_kept_back(connection: sa.Connection, device_id: str) -> str:
    """For what a device is kept back (spent, reserved, retired); empty where it is not."""
    mine = sa.select(device.c.reserved).where(device.c.id == device_id)
    return connection.scalar(mine) or ""
