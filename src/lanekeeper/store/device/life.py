"""The life of a device: claimed, released, cleaned.

Every step is a guarded write whose row count decides. Every step ends by counting its card anew
from the rows, so that no step has to know what the others have counted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from lanekeeper.domain.errors import Conflict
from lanekeeper.domain.pci.device import DeviceState
from lanekeeper.store.device.card import DIRTY, card_lock, card_recount
from lanekeeper.store.device.free import (
    IS_CLEAN,
    IS_FIT,
    IS_FOR_ONE_GUEST,
    IS_SPENT,
    IS_UNRESERVED,
    is_barred,
)
from lanekeeper.store.device.history import Actor, What, history_write, holdings_of, last_actor
from lanekeeper.store.device.reserve import SPENT
from lanekeeper.store.device.unit import unit_mates
from lanekeeper.store.tables import claim, device

TAKEN = "lanekeeper.device.taken"
_PLACE = [device.c[name] for name in ("id", "host_id", "pf_id", "dev_type", "address", "unit")]
_SPENT_IF_ONCE = sa.case((IS_FOR_ONE_GUEST, SPENT), else_=device.c.reserved)


@dataclass(frozen=True, slots=True)
class Pick:
    """One device chosen for one unit of a request.

    Attributes:
        request_id: the port's id, or one uuid per alias entry of a server.
        index: which unit of that request, from 0.
        alias: of ``[pci] alias``, by which it was asked for; None for a port's.
    """

    device_id: str
    request_id: str
    index: int = 0
    alias: str | None = None


def claim_insert(
    connection: sa.Connection,
    consumer_id: str,
    picks: Sequence[Pick],
    now: datetime,
    *,
    is_new: bool = True,
) -> None:
    """Give every picked device to *consumer_id*, and what belongs together with it, or nothing.

    What comes along that was not picked is claimed under its own id in place of a request's.

    Whoever claims on a host has called ``host_lock`` before, so rivals wait for each other there;
    the order of devices and cards within does not matter then. What is not new is held already, as
    its host has told: whether it is listed, well and not kept back does not matter. What is given
    for one guest is spent from now on.

    Raises:
        Conflict: a device is no longer available, or its PF or its VFs are held. The transaction
            must be left; the caller picks again from what is free then.
    """
    conditions = (IS_CLEAN, *((device.c.listed, IS_FIT, IS_UNRESERVED) if is_new else ()))
    spent = set[str]() if is_new else _spent(connection, [pick.device_id for pick in picks])
    taken = [
        _claim(connection, consumer_id, pick, conditions, now, is_new=is_new)
        for pick in sorted(picks, key=lambda pick: pick.device_id)
    ]
    if is_new and any(row.unit for row in taken):
        taken += [
            _claim(connection, consumer_id, Pick(mate, mate), conditions, now, is_new=is_new)
            for mate in unit_mates(connection, [row.id for row in taken])
        ]
    history_write(connection, taken, What.CLAIMED, now, consumer_id=consumer_id)
    spent = _spent(connection, [row.id for row in taken]) - spent
    fresh = [row for row in taken if row.id in spent]
    history_write(connection, fresh, What.SPENT, now, consumer_id=consumer_id)


def _spent(connection: sa.Connection, device_ids: Sequence[str]) -> set[str]:
    mine = sa.select(device.c.id).where(device.c.id.in_(device_ids), IS_SPENT)
    return set(connection.scalars(mine))


def _claim(
    connection: sa.Connection,
    consumer_id: str,
    pick: Pick,
    conditions: Sequence[sa.ColumnElement[bool]],
    now: datetime,
    *,
    is_new: bool,
) -> sa.Row[Any]:
    row = _step(
        connection,
        pick.device_id,
        now,
        *conditions,
        state=DeviceState.HELD,
        reserved=_SPENT_IF_ONCE,
    )
    if row is None:
        raise Conflict(f"device {pick.device_id} is no longer available", code=TAKEN)
    _check_card(connection, row, is_new=is_new)
    connection.execute(
        claim.insert().values(
            device_id=pick.device_id,
            consumer_id=consumer_id,
            request_id=pick.request_id,
            index=pick.index,
            alias=pick.alias,
            created_at=now,
        )
    )
    card_recount(connection, row.pf_id or row.id)
    return row


def claim_adopt(
    connection: sa.Connection, consumer_id: str, picks: Sequence[Pick], now: datetime
) -> None:
    """Write down that *consumer_id* holds every picked device, as its host has told; or nothing.

    Such a device may be dirty by the rows, which are older than what was told: it was cleaned
    since. So was the rest of its card where that was held the other way, or the device could not
    have been given away; to clean it now would take the card from under a running guest.

    Raises:
        Conflict: somebody else holds a device, or its card. The transaction must be left.
    """
    for pick in sorted(picks, key=lambda pick: pick.device_id):
        _clear_other_way(connection, pick.device_id, now)
        connection.execute(
            device.update()
            .where(device.c.id == pick.device_id, device.c.state.in_(DIRTY))
            .values(state=DeviceState.AVAILABLE, state_reason="", state_at=now)
        )
        card_recount(connection, _card_of(connection, pick.device_id))
    claim_insert(connection, consumer_id, picks, now, is_new=False)


def device_set_aside(connection: sa.Connection, device_id: str, reason: str, now: datetime) -> bool:
    """Quarantine a device that nobody holds by the rows; whether it was so."""
    row = _step(
        connection,
        device_id,
        now,
        device.c.state != DeviceState.HELD,
        state=DeviceState.QUARANTINED,
        state_reason=reason,
    )
    if row is not None:
        card_recount(connection, row.pf_id or row.id)
        history_write(connection, [row], What.QUARANTINED, now, detail={"reason": reason})
    return row is not None


def _card_of(connection: sa.Connection, device_id: str) -> str:
    owner = sa.select(sa.func.coalesce(device.c.pf_id, device.c.id)).where(device.c.id == device_id)
    return str(connection.execute(owner).scalar_one())


def _clear_other_way(connection: sa.Connection, device_id: str, now: datetime) -> None:
    """Call clean what is dirty of the device's card on the other side: its PF, or its VFs."""
    mine = sa.select(device.c.pf_id).where(device.c.id == device_id).scalar_subquery()
    connection.execute(
        device.update()
        .where(sa.or_(device.c.id == mine, device.c.pf_id == device_id))
        .where(device.c.state.in_(DIRTY))
        .values(
            state=DeviceState.AVAILABLE,
            state_reason="",
            state_at=now,
            generation=device.c.generation + 1,
        )
    )


def claim_release(
    connection: sa.Connection, consumer_id: str, now: datetime, request_id: str | None = None
) -> tuple[str, ...]:
    """Take every device back from *consumer_id* (of *request_id* only, if given).

    They go to cleaning and start a new cleaning round; a card stays held that way until they are
    clean. What came along with a device goes with it; a device that belongs together with one of
    another request stays, as what comes along with that. A second call finds nothing and does
    nothing. Returns the devices' ids, in id order.
    """
    mine = sa.select(claim.c.device_id).where(claim.c.consumer_id == consumer_id)
    ids = tuple(connection.scalars(mine.order_by(claim.c.device_id)))
    if request_id is not None:
        going = _going(connection, consumer_id, request_id)
        ids = tuple(one for one in ids if one in going)
    released, holdings = [], holdings_of(connection, consumer_id)
    by = last_actor(connection, consumer_id) if ids else None
    for device_id in ids:
        gone = connection.execute(
            claim.delete().where(claim.c.device_id == device_id, claim.c.consumer_id == consumer_id)
        )
        if gone.rowcount == 1:
            row = _to_cleaning(connection, device_id, now, DeviceState.HELD)
            released += [row] if row is not None else []
    for row in released:
        history_write(
            connection,
            [row],
            What.RELEASED,
            now,
            consumer_id=consumer_id,
            detail=holdings[row.id],
            by=by,
        )
    return ids


def _going(connection: sa.Connection, consumer_id: str, request_id: str) -> set[str]:
    """Devices that go with a request; those that have to stay are its no more from now on."""
    mine = sa.select(claim.c.device_id, claim.c.request_id)
    rows = connection.execute(mine.where(claim.c.consumer_id == consumer_id))
    requests = {row.device_id: row.request_id for row in rows}
    going = set[str]()
    for asked in (one for one, request in requests.items() if request == request_id):
        mates = [one for one in unit_mates(connection, [asked]) if one in requests]
        if all(requests[one] in (one, request_id) for one in mates):
            going |= {asked, *mates}
        else:
            connection.execute(
                claim.update()
                .where(claim.c.device_id == asked, claim.c.consumer_id == consumer_id)
                .values(request_id=asked, index=0, alias=None)
            )
    return going


def device_cleaned(
    connection: sa.Connection,
    host_id: str,
    device_id: str,
    round_: int,
    now: datetime,
    *,
    problem: str = "",
    steps: Sequence[str] = (),
    seconds: float = 0.0,
) -> bool:
    """Close cleaning round *round_*: available when it went well, quarantined with *problem*.

    *steps* are what was done, in *seconds*; they go into the device's history.

    Returns whether this call closed it. An answer to an older round, from a host that does not
    have the device, or about one that has gone away changes nothing.
    """
    row = _step(
        connection,
        device_id,
        now,
        device.c.host_id == host_id,
        device.c.present,
        device.c.state == DeviceState.CLEANING,
        device.c.cleaning_round == round_,
        state=DeviceState.QUARANTINED if problem else DeviceState.AVAILABLE,
        state_reason=problem,
    )
    if row is None:
        return False
    card_recount(connection, row.pf_id or row.id)
    detail = {"round": round_, "steps": list(steps), "seconds": seconds}
    detail |= {"reason": problem} if problem else {}
    what = What.QUARANTINED if problem else What.CLEANED
    history_write(connection, [row], what, now, detail=detail)
    return True


def cleaning_began(connection: sa.Connection, device_id: str) -> datetime | None:
    """When the cleaning round that is open began; None when none is."""
    began: datetime | None = connection.scalar(
        sa.select(device.c.state_at).where(
            device.c.id == device_id, device.c.state == DeviceState.CLEANING
        )
    )
    return began


def device_clean_again(
    connection: sa.Connection, device_id: str, now: datetime, by: Actor | None = None
) -> str | None:
    """Start a new cleaning round of a quarantined device, asked for *by* somebody.

    Returns its host's id; None when the device is not there or not quarantined.
    """
    row = _to_cleaning(connection, device_id, now, DeviceState.QUARANTINED)
    if row is None:
        return None
    history_write(connection, [row], What.CLEANING, now, by=by)
    host_id: str = row.host_id
    return host_id


def _check_card(connection: sa.Connection, row: sa.Row[Any], *, is_new: bool) -> None:
    """Make sure that a device's card is not held the other way; the card is locked from now on.

    That its other side is spent keeps back only what is given away anew.
    """
    is_barred_now = is_barred(row.dev_type, card_lock(connection, row.pf_id or row.id))
    if is_barred_now and (is_new or _is_held_the_other_way(connection, row)):
        raise Conflict(
            f"{row.address} cannot be held: its card is in use, or spent, the other way (whole or "
            "in parts)",
            code=TAKEN,
        )


def _is_held_the_other_way(connection: sa.Connection, row: sa.Row[Any]) -> bool:
    other = sa.or_(device.c.id == row.pf_id, device.c.pf_id == row.id)
    held = sa.select(device.c.id).where(other, device.c.state == DeviceState.HELD)
    return connection.execute(held.limit(1)).first() is not None


def _to_cleaning(
    connection: sa.Connection, device_id: str, now: datetime, before: DeviceState
) -> sa.Row[Any] | None:
    """Start a cleaning round of a device that is in state *before*; None where it is not."""
    row = _step(
        connection,
        device_id,
        now,
        device.c.state == before,
        state=DeviceState.CLEANING,
        cleaning_round=device.c.cleaning_round + 1,
    )
    if row is not None:
        card_recount(connection, row.pf_id or row.id)
    return row


def _step(
    connection: sa.Connection,
    device_id: str,
    now: datetime,
    *conditions: sa.ColumnElement[bool],
    **values: Any,
) -> sa.Row[Any] | None:
    """Change a device's state where *conditions* hold; None where they do not."""
    changed = {"state_reason": "", "state_at": now} | values
    return connection.execute(
        device.update()
        .where(device.c.id == device_id, *conditions)
        .values(**changed, generation=device.c.generation + 1)
        .returning(*_PLACE)
    ).one_or_none()
