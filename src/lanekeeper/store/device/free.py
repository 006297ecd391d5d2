"""Which devices may be taken: one answer for who counts them, who chooses, and who claims.

A device is free when it is clean, its host tells of it, its health does not forbid it, nobody keeps
it back, and its card is not held the other way: the PF of a VF as a whole, or some VF of a PF. What
is spent holds its card that way, too: its firmware is that of the whole card. What
can only be given away together with others is free when all of them are. What is not listed is
nobody's to count or to choose.
"""

from __future__ import annotations

import sqlalchemy as sa

from lanekeeper.domain.pci.device import DeviceState, DeviceType, Reserve
from lanekeeper.store.tables import card, device

ITS_CARD = card.c.pf_device_id == sa.func.coalesce(device.c.pf_id, device.c.id)
"""How a device finds its card in an outer join; what is neither PF nor VF has none."""
IS_CLEAN = sa.and_(device.c.state == DeviceState.AVAILABLE, device.c.present)
IS_FIT = device.c.unfit == ""
"""Nothing is wrong with it for which policy keeps it back."""
IS_UNRESERVED = device.c.reserved == Reserve.NOT
"""It is not spent, retired, or reserved through Placement."""
IS_SPENT = device.c.reserved.in_((Reserve.SPENT, Reserve.RETIRED_SPENT))
IS_FOR_ONE_GUEST = device.c.tags["one_time_use"].as_string() == "true"
_ITS_PF = card.alias("its_pf")
IS_THERE = sa.or_(
    device.c.present,
    device.c.vf_index
    < sa.select(_ITS_PF.c.vfs)
    .where(_ITS_PF.c.pf_device_id == device.c.pf_id)
    .correlate(device)
    .scalar_subquery(),
)
"""Its host tells of it, or has a VF of its number, which is not listed any more."""
_WHOLE = device.alias("whole")
_BARS_ITS_PF = sa.exists(
    sa.select(_WHOLE.c.id)
    .where(_WHOLE.c.id == device.c.pf_id, _WHOLE.c.listed, _WHOLE.c.present)
    .correlate(device)
)
NEEDS_ATTENTION = sa.or_(
    sa.and_(IS_THERE, device.c.state == DeviceState.QUARANTINED),
    sa.and_(IS_THERE, ~device.c.present, device.c.state == DeviceState.CLEANING),
    sa.and_(IS_CLEAN, device.c.reserved == Reserve.SPENT),
    sa.and_(device.c.state == DeviceState.AVAILABLE, IS_SPENT, ~device.c.present, _BARS_ITS_PF),
    sa.and_(device.c.present, device.c.listed, ~IS_FIT),
    sa.and_(~device.c.present, device.c.state == DeviceState.HELD),
)
"""Nothing happens to it until somebody does something: it is quarantined, not clean and not
listed any more, so that nobody cleans it, spent and clean again
(which keeps its PF back where it is away, too), kept back as not well, or away
although a guest holds it."""
_MATE, _MATES_CARD = device.alias("mate"), card.alias("mates_card")


def _is_barred(one: sa.FromClause, its_card: sa.FromClause) -> sa.ColumnElement[bool]:
    in_parts = sa.and_(
        one.c.dev_type == DeviceType.PF, sa.func.coalesce(its_card.c.parts_held, 0) > 0
    )
    return sa.or_(its_card.c.whole_holder.is_not(None), in_parts)


_TYING = (
    sa.select(_MATE.c.id)
    .outerjoin(
        _MATES_CARD, _MATES_CARD.c.pf_device_id == sa.func.coalesce(_MATE.c.pf_id, _MATE.c.id)
    )
    .where(
        _MATE.c.host_id == device.c.host_id,
        _MATE.c.unit == device.c.unit,
        _MATE.c.id != device.c.id,
        _MATE.c.present,
        sa.or_(
            _MATE.c.state != DeviceState.AVAILABLE,
            _MATE.c.unfit != "",
            _MATE.c.reserved != Reserve.NOT,
            _is_barred(_MATE, _MATES_CARD),
        ),
    )
    .correlate(device)
)
IS_TIED = sa.and_(device.c.unit.is_not(None), sa.exists(_TYING))
"""Another function, without which no guest gets it, is not free."""
_IS_FREE_ALONE = sa.and_(IS_CLEAN, IS_FIT, IS_UNRESERVED, ~_is_barred(device, card))
IS_FREE = sa.and_(_IS_FREE_ALONE, ~IS_TIED)
"""Of a device that is joined with its card."""


def is_barred(dev_type: str, its_card: sa.RowMapping | None) -> bool:
    """Whether its card is held the other way: the same, of a card that was read and locked."""
    if its_card is None:
        return False
    in_parts = dev_type == DeviceType.PF and its_card["parts_held"] > 0
    return its_card["whole_holder"] is not None or in_parts
