"""Functions of a host that go to one guest together or to none, as their rows have them.

Which those are says ``domain.pci.unit``; a row has the name of its unit. A unit is free when every
member of it is; whoever asks for one member is given the rest with it.
"""

from __future__ import annotations

from collections.abc import Collection

import sqlalchemy as sa

from lanekeeper.store.tables import device

_MINE = device.alias("mine")  # to make one takes longer than to ask


def unit_mates(connection: sa.Connection, device_ids: Collection[str]) -> list[str]:
    """Ids of what is there and belongs together with one of *device_ids*, which are left out."""
    query = (
        sa.select(device.c.id)
        .join(_MINE, sa.and_(_MINE.c.host_id == device.c.host_id, _MINE.c.unit == device.c.unit))
        .where(_MINE.c.id.in_(device_ids), device.c.id.not_in(device_ids), device.c.present)
        .distinct()
        .order_by(device.c.id)
    )
    return list(connection.scalars(query))
