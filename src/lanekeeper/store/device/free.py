"""Which devices may be taken: one answer for who counts them, who chooses, and who claims.

A device is free when it is clean, its host tells of it, its health does not forbid it, nobody keeps
it back, and its card is not held the other way: the PF of a VF as a whole, or some VF of a PF. What
is not listed is nobody's to count or to choose.
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
IS_FOR_ONE_GUEST = device.c.tags["one_time_use"].as_string() == "true"
_IS_BARRED = sa.or_(
    card.c.whole_holder.is_not(None),
    sa.and_(device.c.dev_type == DeviceType.PF, sa.func.coalesce(card.c.parts_held, 0) > 0),
)
IS_FREE = sa.and_(IS_CLEAN, IS_FIT, IS_UNRESERVED, ~_IS_BARRED)
"""Of a device that is joined with its card."""


def is_barred(dev_type: str, its_card: sa.RowMapping | None) -> bool:
    """Whether its card is held the other way: the same, of a card that was read and locked."""
    if its_card is None:
        return False
    in_parts = dev_type == DeviceType.PF and its_card["parts_held"] > 0
    return its_card["whole_holder"] is not None or in_parts
