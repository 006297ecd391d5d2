"""How a card is held: whole by its PF's holder, or in parts by those of its VFs.

It is counted anew from the rows at the end of every step of a device's life, so that no step has
to know what the others have counted.
"""

from __future__ import annotations

from collections.abc import Mapping

import sqlalchemy as sa

from lanekeeper.domain.pci.device import DeviceState
from lanekeeper.store.batch import batches
from lanekeeper.store.device.free import IS_SPENT, IS_THERE
from lanekeeper.store.tables import card, claim, device

_SET_ASIDE = "set aside"
"""Who holds a card whose PF is not clean though nobody has held it: its VFs are not given away."""
_SPENT = "spent"
"""Who holds a card whose PF is clean and spent: what its guest left in the firmware is there for
whoever has a VF."""
DIRTY = (DeviceState.CLEANING, DeviceState.QUARANTINED)


def card_recount(connection: sa.Connection, pf_id: str) -> None:
    """Set from the rows how the card of *pf_id* is held; what is not a PF has none.

    Whole: by the PF's holder, also after it let go until the PF is clean, and as long as it is
    spent. Otherwise in as many parts as VFs are held, or dirty and there, listed or not, or spent,
    there or not; what is dirty and away cannot be cleaned and bars nobody.
    Dirty VFs that come back to a card held whole count once it is not any more.
    """
    before = card_lock(connection, pf_id)
    if before is None:
        return
    whole = _whole_holder(connection, pf_id, before["whole_holder"])
    parts = 0 if whole is not None else _parts(connection, pf_id)
    if (whole, parts) != (before["whole_holder"], before["parts_held"]):
        connection.execute(
            card.update()
            .where(card.c.pf_device_id == pf_id)
            .values(whole_holder=whole, parts_held=parts)
        )


def cards_tell(connection: sa.Connection, vfs: Mapping[str, int]) -> None:
    """Write down how many VFs each PF has, by its id, whether or not they are listed."""
    known: dict[str, int | None] = {}
    for some in batches(vfs):
        rows = sa.select(card.c.pf_device_id, card.c.vfs).where(card.c.pf_device_id.in_(some))
        known |= {row.pf_device_id: row.vfs for row in connection.execute(rows)}
    for pf_id in sorted(known):
        if known[pf_id] != vfs[pf_id]:
            mine = card.update().where(card.c.pf_device_id == pf_id)
            connection.execute(mine.values(vfs=vfs[pf_id]))
            card_recount(connection, pf_id)


def spent_cards_recount(connection: sa.Connection, host_id: str) -> None:
    """Count those cards of a host that do not tell yet that a device of theirs is spent."""
    owner = sa.func.coalesce(device.c.pf_id, device.c.id)
    untold = (
        sa.select(card.c.pf_device_id)
        .join(device, owner == card.c.pf_device_id)
        .where(device.c.host_id == host_id, IS_SPENT)
        .where(card.c.whole_holder.is_(None))
        .where(sa.or_(device.c.pf_id.is_(None), card.c.parts_held == 0))
        .distinct()
    )
    for pf_id in sorted(connection.scalars(untold)):
        card_recount(connection, pf_id)


def card_lock(connection: sa.Connection, pf_id: str) -> sa.RowMapping | None:
    """The card, which nobody else counts until this transaction ends.

    A statement of its own: only what comes after it sees what the last one to count has written.
    """
    mine = sa.select(card).where(card.c.pf_device_id == pf_id).with_for_update()
    return connection.execute(mine).mappings().one_or_none()


def _whole_holder(connection: sa.Connection, pf_id: str, last: str | None) -> str | None:
    state, is_spent, holder = connection.execute(
        sa.select(device.c.state, IS_SPENT, claim.c.consumer_id)
        .outerjoin(claim, claim.c.device_id == device.c.id)
        .where(device.c.id == pf_id)
    ).one()
    if state == DeviceState.AVAILABLE:
        return _SPENT if is_spent else None
    if holder is None and last is None and not _parts(connection, pf_id):
        return _SET_ASIDE
    return last if holder is None else holder


def _parts(connection: sa.Connection, pf_id: str) -> int:
    dirty = sa.and_(IS_THERE, device.c.state.in_(DIRTY))
    counted = sa.select(sa.func.count()).where(
        device.c.pf_id == pf_id, sa.or_(device.c.state == DeviceState.HELD, dirty, IS_SPENT)
    )
    return connection.execute(counted).scalar_one()
