"""Devices as their hosts tell of them: rows kept in step with facts, states left alone."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from operator import attrgetter, itemgetter
from typing import Any

import sqlalchemy as sa

from lanekeeper.domain.pci.device import DeviceState, DeviceType
from lanekeeper.domain.pci.identity import Doubt, Known, doubts, recognise
from lanekeeper.store.device.card import card_recount, spent_cards_recount
from lanekeeper.store.device.history import What, device_place, history_write
from lanekeeper.store.device.presence import devices_leave, devices_move, devices_return
from lanekeeper.store.device.quarantine import quarantine_apply
from lanekeeper.store.device.reserve import held_once_spend
from lanekeeper.store.tables import card, claim, device


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceRow:
    """What a host says of one function, ready for its row.

    Attributes:
        parent: address of the PF, which is told in the same list; None for what is not a VF.
        resource_class: None for a function that is not listed.
    """

    address: str
    vendor_id: str
    product_id: str
    dev_type: str
    parent: str | None = None
    vf_index: int | None = None
    numa_node: int | None = None
    pcie_root: str | None = None
    iommu_group: int | None = None
    unit: str | None = None
    driver: str | None = None
    host_driver: str | None = None
    netdev: str | None = None
    mac: str | None = None
    serial: str | None = None
    slot: str | None = None
    label: str | None = None
    listed: bool = True
    entry: int | None = None
    tags: Mapping[str, Any] = field(default_factory=dict)
    physical_network: str | None = None
    resource_class: str | None = None


_AS_BEFORE = "it was not clean when its host was removed"
_FACTS = tuple(name for name in DeviceRow.__slots__ if name not in ("address", "parent"))
_IDENTITY = ("vendor_id", "product_id", "dev_type", "vf_index", "serial", "slot")
_KNOWN = ("id", "address", "pf_id", "present", *_IDENTITY)
_told_identity, _kept_identity = attrgetter(*_IDENTITY), itemgetter(*_IDENTITY)
_told_facts, _kept_facts = attrgetter(*_FACTS), itemgetter(*_FACTS)


@dataclass(frozen=True, slots=True)
class Moved:
    """A device that is at another address than before."""

    id: str
    before: str
    address: str


@dataclass(frozen=True, slots=True)
class Aside:
    """A device that is quarantined, since another one was known at its address.

    Attributes:
        before: id of the one that was there, if this very address had one.
        holder: who holds that one.
    """

    id: str
    address: str
    reason: str
    before: str | None
    holder: str | None


@dataclass(frozen=True, slots=True)
class Merged:
    """What became of a report; *ids* has the device's id for each address."""

    ids: dict[str, str]
    moved: Sequence[Moved] = ()
    aside: Sequence[Aside] = ()


def devices_merge(
    connection: sa.Connection,
    host_id: str,
    told: Sequence[DeviceRow],
    now: datetime,
    *,
    accept_exchanged: bool = False,
) -> Merged:
    """Bring the rows of *host_id* in step with what it tells now.

    Who is who says ``domain.pci.identity``: a device whose card has moved keeps its row, with its
    state and its holder. What is not told any more is marked as not present: a holder keeps it,
    nobody new gets it. Another device at a known address is quarantined; with *accept_exchanged*
    only where the one before it was not free. So is one that was not clean when its host was
    removed. What a guest holds and is, from now on, for one guest is spent. Other states are not
    touched here; what follows for cards is in ``card.py``.
    """
    rows = {row["address"]: row for row in _rows(connection, host_id, device.c.present)}
    if _is_unchanged(told, rows):
        found, doubted = {fact.address: rows[fact.address] for fact in told}, dict[str, Doubt]()
    else:
        found, doubted = _recognised(connection, host_id, told)
    offered = {fact.address for fact in told if fact.listed}
    doubted = {
        address: doubt
        for address, doubt in doubted.items()
        if address in offered and not (accept_exchanged and _was_free(doubt))
    }
    known = {row["id"] for row in found.values()}
    devices_leave(connection, [row["id"] for row in rows.values() if row["id"] not in known])
    moved = [
        Moved(row["id"], row["address"], address)
        for address, row in found.items()
        if row["address"] != address
    ]
    devices_move(connection, {one.id: one.address for one in moved}, now)
    back = {row["id"] for row in found.values() if not row["present"]}
    devices_return(connection, back - {one.id for one in moved})
    ids = {
        fact.address: _update(connection, found[fact.address], fact)
        for fact in told
        if fact.address in found
    }
    new = sorted((fact for fact in told if fact.address not in found), key=attrgetter("address"))
    # A VF's row names its PF's; and a PF in doubt is set aside whole, while none of its VFs is.
    for some in ([one for one in new if not one.parent], [one for one in new if one.parent]):
        ids |= _insert(connection, host_id, some, ids, doubted, now=now)
    held_once_spend(connection, host_id, now)
    spent_cards_recount(connection, host_id)
    return Merged(ids, moved, _asides(connection, ids, doubted))


def _was_free(doubt: Doubt) -> bool:
    return doubt.before is None or doubt.before.is_free


def _rows(
    connection: sa.Connection, host_id: str, *conditions: sa.ColumnElement[bool]
) -> list[sa.RowMapping]:
    mine = sa.select(device).where(device.c.host_id == host_id, *conditions)
    return list(connection.execute(mine.order_by(device.c.state_at)).mappings())


def _is_unchanged(told: Sequence[DeviceRow], rows: Mapping[str, sa.RowMapping]) -> bool:
    """Whether every function is to the letter what is known to be at its address."""
    for fact in told:
        row = rows.get(fact.address)
        if row is None or _told_identity(fact) != _kept_identity(row):
            return False
        pf = rows.get(fact.parent) if fact.parent else None
        if row["pf_id"] != (pf and pf["id"]):
            return False
    return True


def _recognised(
    connection: sa.Connection, host_id: str, told: Sequence[DeviceRow]
) -> tuple[dict[str, sa.RowMapping], dict[str, Doubt]]:
    """Rows by address, also of devices that were away, and the doubts about the new ones."""
    rows = {row["id"]: row for row in _rows(connection, host_id)}
    known = [
        Known(**{name: row[name] for name in _KNOWN}, is_free=row["state"] == DeviceState.AVAILABLE)
        for row in rows.values()
    ]
    found = recognise(told, known)
    return {address: rows[one.id] for address, one in found.items()}, doubts(told, known, found)


def _values(fact: DeviceRow) -> dict[str, Any]:
    return {name: getattr(fact, name) for name in _FACTS} | {"tags": dict(fact.tags)}


def _update(connection: sa.Connection, row: sa.RowMapping, fact: DeviceRow) -> str:
    if _told_facts(fact) != _kept_facts(row):
        changed = {name: value for name, value in _values(fact).items() if row[name] != value}
        connection.execute(
            device.update()
            .where(device.c.id == row["id"])
            .values(**changed, generation=device.c.generation + 1)
        )
    return str(row["id"])


def _insert(
    connection: sa.Connection,
    host_id: str,
    new: Sequence[DeviceRow],
    known: Mapping[str, str],
    doubted: Mapping[str, Doubt],
    *,
    now: datetime,
) -> dict[str, str]:
    """Make rows of what is *new*, all at once; returns their ids by address.

    Args:
        connection: in a transaction that holds the host.
        host_id: whose they are.
        new: what has no row.
        known: ids by address of what has one, among it the PFs of what is new.
        doubted: what is to be quarantined, by address.
        now: since when they are as they are.
    """
    if not new:
        return {}
    ids = {fact.address: str(uuid.uuid4()) for fact in new}
    rows = [
        {
            "id": ids[fact.address],
            "host_id": host_id,
            "address": fact.address,
            "pf_id": known[fact.parent] if fact.parent else None,
            "state": DeviceState.QUARANTINED if fact.address in doubted else DeviceState.AVAILABLE,
            "state_reason": doubted[fact.address].reason if fact.address in doubted else "",
            "state_at": now,
            **_values(fact),
        }
        for fact in new
    ]
    connection.execute(device.insert(), rows)
    cards = [{"pf_device_id": row["id"]} for row in rows if row["dev_type"] == DeviceType.PF]
    if cards:
        connection.execute(card.insert(), cards)
    dirty = quarantine_apply(connection, [row["id"] for row in rows], now)
    for row in rows:
        doubt = doubted.get(row["address"])
        if doubt is None and row["id"] not in dirty:
            continue
        card_recount(connection, row["pf_id"] or row["id"])
        place = [device_place(connection, row["id"])]
        why = {"reason": doubt.reason if doubt else _AS_BEFORE}
        history_write(connection, place, What.QUARANTINED, now, detail=why)
    return ids


def _asides(
    connection: sa.Connection, ids: Mapping[str, str], doubted: Mapping[str, Doubt]
) -> list[Aside]:
    if not doubted:
        return []
    befores = {address: doubt.before.id for address, doubt in doubted.items() if doubt.before}
    mine = claim.c.device_id.in_(befores.values())
    rows = connection.execute(sa.select(claim.c.device_id, claim.c.consumer_id).where(mine))
    holders = {row.device_id: row.consumer_id for row in rows}
    return [
        Aside(ids[address], address, doubt.reason, before, holders.get(before or ""))
        for address, doubt in sorted(doubted.items())
        for before in [befores.get(address)]
    ]
