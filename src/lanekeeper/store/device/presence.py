"""Devices that go away, come back, or are told at another address: each stays in its state."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from lanekeeper.store.batch import batches
from lanekeeper.store.device.card import card_recount
from lanekeeper.store.tables import device, host

UNLISTED, MISSING = "unlisted", "missing"


def whereabouts(connection: sa.Connection) -> sa.ColumnElement[str]:
    """``""`` of a device that its host tells of, else ``UNLISTED`` or ``MISSING``.

    Unlisted is what is on the bus still, at its address and with its ids, and set aside there. The
    device is joined with its host.
    """
    if connection.dialect.name == "postgresql":
        at: sa.ColumnElement[Any] = host.c.facts["unlisted"].op("->>")(device.c.address)
    else:
        path = sa.literal('$.unlisted."') + device.c.address + sa.literal('"')
        at = sa.func.json_extract(host.c.facts, path)
    ids = device.c.vendor_id + sa.literal(":") + device.c.product_id
    return sa.case((device.c.present, ""), (at == ids, UNLISTED), else_=MISSING)


def devices_leave(connection: sa.Connection, device_ids: Collection[str]) -> None:
    """Their host tells of them no more. Who holds one keeps it."""
    _recount(connection, _set_presence(connection, device_ids, present=False))


def devices_return(connection: sa.Connection, device_ids: Collection[str]) -> None:
    """Their host tells of them again; each is in the state in which it left."""
    _recount(connection, _set_presence(connection, device_ids, present=True))


def devices_move(connection: sa.Connection, addresses: Mapping[str, str], now: datetime) -> None:
    """Have devices sit where *addresses* (by id) says, and there again if they were away.

    All at once, since they may exchange their addresses.
    """
    if not addresses:
        return
    _set_presence(connection, addresses, present=False)
    connection.execute(
        device.update()
        .where(device.c.id == sa.bindparam("moved"))
        .values(
            address=sa.bindparam("to"),
            moved_from=device.c.address,
            moved_at=now,
            generation=device.c.generation + 1,
        ),
        [{"moved": device_id, "to": address} for device_id, address in sorted(addresses.items())],
    )
    devices_return(connection, addresses)


def _set_presence(
    connection: sa.Connection, device_ids: Collection[str], *, present: bool
) -> set[str]:
    """Say whether the devices are there; returns the ids of their cards' PFs."""
    cards = set[str]()
    for some in batches(device_ids):
        cards |= set(
            connection.scalars(
                device.update()
                .where(device.c.id.in_(some))
                .values(present=present, generation=device.c.generation + 1)
                .returning(sa.func.coalesce(device.c.pf_id, device.c.id))
            )
        )
    return cards


def _recount(connection: sa.Connection, pf_ids: Collection[str]) -> None:
    for pf_id in sorted(pf_ids):
        card_recount(connection, pf_id)
