"""Who holds which device. Every step is a guarded write; its row count decides, no lock does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from lanekeeper.domain.errors import Conflict
from lanekeeper.domain.pci.device import DeviceState, DeviceType
from lanekeeper.store.tables import card, claim, device

TAKEN = "lanekeeper.device.taken"


@dataclass(frozen=True, slots=True)
class Pick:
    """One device chosen for one unit of a request.

    Attributes:
        request_id: the port's id, or one uuid per alias entry of a server.
        index: which unit of that request, from 0.
    """

    device_id: str
    request_id: str
    index: int = 0


def claim_insert(
    connection: sa.Connection, consumer_id: str, picks: Sequence[Pick], now: datetime
) -> None:
    """Give every picked device to *consumer_id*, or none of them.

    Rows are touched in id order, so rivals cannot deadlock.

    Raises:
        Conflict: a device is no longer available, or its PF or its VFs are held. The transaction
            must be left; the caller picks again from what is free then.
    """
    for pick in sorted(picks, key=lambda pick: pick.device_id):
        row = connection.execute(
            device.update()
            .where(
                device.c.id == pick.device_id,
                device.c.state == DeviceState.AVAILABLE,
                device.c.present,
                device.c.listed,
            )
            .values(
                state=DeviceState.HELD,
                state_reason="",
                state_at=now,
                generation=device.c.generation + 1,
            )
            .returning(device.c.pf_id, device.c.dev_type, device.c.address)
        ).one_or_none()
        if row is None:
            raise Conflict(f"device {pick.device_id} is no longer available", code=TAKEN)
        _take_part_of_card(connection, pick.device_id, row, consumer_id)
        connection.execute(
            claim.insert().values(
                device_id=pick.device_id,
                consumer_id=consumer_id,
                request_id=pick.request_id,
                index=pick.index,
                created_at=now,
            )
        )


def _take_part_of_card(
    connection: sa.Connection, device_id: str, row: sa.Row[tuple[str, str, str]], consumer_id: str
) -> None:
    if row.dev_type == DeviceType.PF:
        taken = connection.execute(
            card.update()
            .where(
                card.c.pf_device_id == device_id,
                card.c.whole_holder.is_(None),
                card.c.parts_held == 0,
            )
            .values(whole_holder=consumer_id)
        )
    elif row.pf_id is not None:
        taken = connection.execute(
            card.update()
            .where(card.c.pf_device_id == row.pf_id, card.c.whole_holder.is_(None))
            .values(parts_held=card.c.parts_held + 1)
        )
    else:
        return
    if taken.rowcount != 1:
        raise Conflict(
            f"{row.address} cannot be held: its card is in use the other way (whole or in parts)",
            code=TAKEN,
        )


def claim_release(
    connection: sa.Connection, consumer_id: str, now: datetime, request_id: str | None = None
) -> tuple[str, ...]:
    """Take every device back from *consumer_id* (of *request_id* only, if given).

    They go to cleaning and start a new cleaning round. A second call finds nothing and does
    nothing. Returns the ids of the devices, in id order.
    """
    mine = sa.select(claim.c.device_id).where(claim.c.consumer_id == consumer_id)
    if request_id is not None:
        mine = mine.where(claim.c.request_id == request_id)
    ids = tuple(connection.scalars(mine.order_by(claim.c.device_id)))
    for device_id in ids:
        gone = connection.execute(
            claim.delete().where(claim.c.device_id == device_id, claim.c.consumer_id == consumer_id)
        )
        if gone.rowcount == 1:
            _give_back(connection, device_id, now)
    return ids


def _give_back(connection: sa.Connection, device_id: str, now: datetime) -> None:
    """Send the device to cleaning. Its card stays held that way until it is clean.

    So a PF is not given away while one of its VFs is dirty, nor a VF of a PF that is.
    """
    connection.execute(
        device.update()
        .where(device.c.id == device_id)
        .values(
            state=DeviceState.CLEANING,
            state_reason="",
            state_at=now,
            cleaning_round=device.c.cleaning_round + 1,
            generation=device.c.generation + 1,
        )
    )


def claims_of(connection: sa.Connection, consumer_id: str) -> list[sa.RowMapping]:
    """Every device that *consumer_id* holds: the claim's columns and the device's, by request."""
    rows = connection.execute(
        sa.select(
            claim.c.request_id,
            claim.c.index,
            device,
        )
        .join(device, device.c.id == claim.c.device_id)
        .where(claim.c.consumer_id == consumer_id)
        .order_by(claim.c.request_id, claim.c.index)
    )
    return list(rows.mappings())


def device_cleaned(
    connection: sa.Connection,
    device_id: str,
    round_: int,
    now: datetime,
    *,
    problem: str = "",
) -> bool:
    """Close cleaning round *round_*: available when it went well, quarantined with *problem*.

    Returns whether this call closed it; an answer to an older round changes nothing.
    """
    state = DeviceState.QUARANTINED if problem else DeviceState.AVAILABLE
    row = connection.execute(
        device.update()
        .where(
            device.c.id == device_id,
            device.c.state == DeviceState.CLEANING,
            device.c.cleaning_round == round_,
        )
        .values(
            state=state,
            state_reason=problem,
            state_at=now,
            generation=device.c.generation + 1,
        )
        .returning(device.c.pf_id, device.c.dev_type)
    ).one_or_none()
    if row is None:
        return False
    if state is DeviceState.AVAILABLE:
        _give_card_back(connection, device_id, row)
    return True


def _give_card_back(
    connection: sa.Connection, device_id: str, row: sa.Row[tuple[str, str]]
) -> None:
    if row.dev_type == DeviceType.PF:
        connection.execute(
            card.update().where(card.c.pf_device_id == device_id).values(whole_holder=None)
        )
    elif row.pf_id is not None:
        card_part(connection, row.pf_id, -1)


def card_part(connection: sa.Connection, pf_id: str, step: int) -> None:
    """Count one VF more (1) or less (-1) that is held or dirty; a card held whole counts none."""
    connection.execute(
        card.update()
        .where(card.c.pf_device_id == pf_id, card.c.whole_holder.is_(None))
        .values(parts_held=card.c.parts_held + step)
    )
