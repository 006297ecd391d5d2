"""What on the other side of a card keeps a device back: its PF, or VFs of it.

``card.py`` counts how many those are, for whoever claims; here they have names.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from lanekeeper.domain.pci.device import DeviceState
from lanekeeper.store.batch import batches
from lanekeeper.store.device.card import DIRTY
from lanekeeper.store.device.free import IS_SPENT, IS_THERE
from lanekeeper.store.tables import device


@dataclass(frozen=True, slots=True)
class Bar:
    """A device that keeps back those on the other side of its card.

    Attributes:
        present: whether its host tells of it; what is not told of cannot be cleaned.
    """

    id: str
    address: str
    state: DeviceState
    is_listed: bool


def bars_of(
    connection: sa.Connection, devices: Mapping[str, str | None]
) -> dict[str, Sequence[Bar]]:
    """Device id to what keeps it back, by address; *devices* has the PF of each that is a VF."""
    pfs = {pf_id for pf_id in devices.values() if pf_id is not None}
    wholes = {one for one, pf_id in devices.items() if pf_id is None}
    found = {row["id"]: [_bar(row)] for row in _rows(connection, device.c.id, pfs)}
    parts: dict[str, list[Bar]] = defaultdict(list)
    for row in _rows(connection, device.c.pf_id, wholes):
        parts[row["pf_id"]].append(_bar(row))
    return {
        one: parts.get(one, []) if pf_id is None else found.get(pf_id, [])
        for one, pf_id in devices.items()
    }


def _rows(
    connection: sa.Connection, column: sa.ColumnElement[str], ids: Collection[str]
) -> list[sa.RowMapping]:
    keeps = sa.or_(
        device.c.state == DeviceState.HELD,
        sa.and_(IS_THERE, device.c.state.in_(DIRTY)),
        IS_SPENT,
    )
    query = sa.select(
        device.c.id,
        device.c.pf_id,
        device.c.address,
        device.c.state,
        sa.and_(device.c.present, device.c.listed).label("is_listed"),
    )
    query = query.where(keeps).order_by(device.c.address)
    return [
        row
        for some in batches(ids)
        for row in connection.execute(query.where(column.in_(some))).mappings()
    ]


def _bar(row: sa.RowMapping) -> Bar:
    return Bar(row["id"], row["address"], DeviceState(row["state"]), row["is_listed"])
