"""What outlives a host: which of its devices were not clean, or kept back, when it was removed.

A device is known again by its host's name and its address, or by its card's serial number wherever
that is plugged in. The functions of a card share the number, so which one it is counts, too: the
PF's function, and the VF's index.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import sqlalchemy as sa

from lanekeeper.domain.pci.device import DeviceState
from lanekeeper.store.batch import batches
from lanekeeper.store.device.free import IS_UNRESERVED
from lanekeeper.store.tables import device, host, quarantine

_UNFINISHED = "its host was removed before it had been cleaned"
_UNCLEAN = (DeviceState.QUARANTINED, DeviceState.CLEANING)
_FACTS = ("vendor_id", "product_id", "dev_type", "vf_index")
_PF = device.alias("pf")
_KNOWN = (
    sa.select(
        device,
        host.c.name.label("host_name"),
        sa.func.coalesce(device.c.serial, _PF.c.serial).label("card_serial"),
        sa.func.coalesce(_PF.c.address, device.c.address).label("card_address"),
    )
    .join(host, host.c.id == device.c.host_id)
    .outerjoin(_PF, _PF.c.id == device.c.pf_id)
)


def quarantine_keep(connection: sa.Connection, host_id: str, now: datetime) -> None:
    """Remember what of a host is quarantined, still dirty or reserved, before its rows go."""
    rows = connection.execute(
        _KNOWN.where(
            device.c.host_id == host_id,
            sa.or_(device.c.state.in_(_UNCLEAN), ~IS_UNRESERVED),
        ).order_by(device.c.present)  # of two at one address the one that is there comes last
    ).mappings()
    for row in list(rows):
        key = {"host_name": row["host_name"], "address": row["address"]}
        connection.execute(quarantine.delete().filter_by(**key))
        connection.execute(
            quarantine.insert().values(
                **key,
                **{name: row[name] for name in _FACTS},
                serial=row["card_serial"],
                function=_function(row["card_address"]),
                reason=(row["state_reason"] or _UNFINISHED) if row["state"] in _UNCLEAN else "",
                reserved=row["reserved"],
                at=now,
            )
        )


def quarantine_apply(
    connection: sa.Connection, device_ids: Sequence[str], now: datetime
) -> frozenset[str]:
    """Quarantine those of a host's devices, just told of, that were not clean.

    One that was reserved is so again. From then on its own row says all that. Returns the ids of
    those that are quarantined.
    """
    rows = [
        row
        for some in batches(device_ids)
        for row in connection.execute(_KNOWN.where(device.c.id.in_(some))).mappings()
    ]
    if not _anything_kept(connection, rows):
        return frozenset()
    return frozenset(row["id"] for row in rows if _apply(connection, row, now))


def _anything_kept(connection: sa.Connection, rows: Sequence[sa.RowMapping]) -> bool:
    """Whether one of these may be known: most hosts are new, and then none of theirs is."""
    kept = quarantine.c
    names = {row["host_name"] for row in rows}
    serials = {row["card_serial"] for row in rows if row["card_serial"]}
    return any(
        connection.execute(sa.select(kept.address).where(column.in_(some)).limit(1)).first()
        for column, values in ((kept.host_name, names), (kept.serial, serials))
        for some in batches(values)
    )


def _apply(connection: sa.Connection, row: sa.RowMapping, now: datetime) -> bool:
    """Have one be as it was; whether it is quarantined."""
    kept = quarantine.c
    serial = row["card_serial"]
    here = sa.and_(kept.host_name == row["host_name"], kept.address == row["address"])
    if serial:
        another = sa.and_(kept.serial.is_not(None), kept.serial != serial)
        moved = sa.and_(kept.serial == serial, kept.function == _function(row["card_address"]))
        here = sa.or_(sa.and_(here, ~another), moved)
    facts = (
        kept[name].is_not_distinct_from(sa.literal(row[name], kept[name].type)) for name in _FACTS
    )
    found = connection.execute(sa.select(quarantine).where(here, *facts)).first()
    if found is None:
        return False
    connection.execute(
        quarantine.delete().where(kept.host_name == found.host_name, kept.address == found.address)
    )
    dirty = {"state": DeviceState.QUARANTINED, "state_reason": found.reason, "state_at": now}
    if not found.reason:
        dirty = {}
    connection.execute(
        device.update().where(device.c.id == row["id"]).values(reserved=found.reserved, **dirty)
    )
    return bool(found.reason)


def _function(address: str) -> str:
    """``1`` of ``0000:21:00.1``; of a VF its PF's counts."""
    return address.rpartition(".")[2]
