"""Which known device a told function is, when cards move and are exchanged. Pure.

A card is known by its serial number and the function's number on it; one that tells none, by the
physical slot that it sits in; one that tells neither, by its address. A VF is its PF's for ever,
by its index there. A slot's name can recognise a card and never tells two apart, since firmware and
hotplug drivers give other names at will; a serial number does both.

What two functions have in common tells neither of them, so cards with one cloned serial number are
known by the next best.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from lanekeeper.domain.pci.device import DeviceType


class Function(Protocol):
    """What is told of a function, and what is kept of it."""

    @property
    def address(self) -> str: ...
    @property
    def vendor_id(self) -> str: ...
    @property
    def product_id(self) -> str: ...
    @property
    def dev_type(self) -> str: ...
    @property
    def vf_index(self) -> int | None: ...
    @property
    def serial(self) -> str | None: ...
    @property
    def slot(self) -> str | None: ...


class Told(Function, Protocol):
    """A function as its host tells of it; *parent* is the PF's address there."""

    @property
    def parent(self) -> str | None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """A function that was told before, with the id that it has here and its PF's."""

    id: str
    address: str
    vendor_id: str
    product_id: str
    dev_type: str
    vf_index: int | None = None
    serial: str | None = None
    slot: str | None = None
    pf_id: str | None = None
    present: bool = True
    is_free: bool = True


@dataclass(frozen=True, slots=True)
class Doubt:
    """Why a new function must not be given away unseen, and what was known at its address."""

    reason: str
    before: Known | None


_Key = tuple[object, ...]
_KeyOf = Callable[[Function, str | None], _Key | None]


def recognise(told: Sequence[Told], known: Sequence[Known]) -> dict[str, Known]:
    """Tell which of *known* each function is: address now to the known one, the new ones left out.

    *known* has those that are away, too; of several that a function could be the one that is there
    counts, then the last in order. No two functions are the same known one.
    """
    cards = {fact.address: (fact, None) for fact in told if fact.parent is None}
    rows = [row for row in known if row.dev_type != DeviceType.VF]
    found: dict[str, Known] = {}
    for key_of in (_by_serial, _by_slot, _by_address):
        _match(found, cards, rows, key_of)
    vfs = {fact.address: (fact, found[fact.parent].id) for fact in told if fact.parent in found}
    rows = [row for row in known if row.dev_type == DeviceType.VF]
    for key_of in (_by_index, _by_address):
        _match(found, vfs, rows, key_of)
    return found


def _match(
    found: dict[str, Known],
    facts: Mapping[str, tuple[Told, str | None]],
    rows: Iterable[Known],
    key_of: _KeyOf,
) -> None:
    """Add to *found* those of the rest that have a key in common, which no other has."""
    taken = {row.id for row in found.values()}
    candidates = _candidates([row for row in rows if row.id not in taken], key_of)
    rest = {address: one for address, one in facts.items() if address not in found}
    keys = {address: key_of(fact, pf_id) for address, (fact, pf_id) in rest.items()}
    told = Counter(keys.values())
    for address, key in keys.items():
        if key is None or told[key] > 1:
            continue
        fact, _ = rest[address]
        row = next((row for row in candidates.get(key, ()) if _may_be(row, fact)), None)
        if row is not None:
            found[address] = row


def _candidates(rows: Iterable[Known], key_of: _KeyOf) -> dict[_Key, list[Known]]:
    """Rows by key, the likeliest first; none for a key that two have which are there."""
    found: defaultdict[_Key, list[Known]] = defaultdict(list)
    for row in rows:
        key = key_of(row, row.pf_id)
        if key is not None:
            found[key].insert(0, row)
    for key, mine in found.items():
        mine.sort(key=lambda row: not row.present)
        if sum(row.present for row in mine) > 1:
            found[key] = []
    return found


def ids(one: Function) -> tuple[str, str, str]:
    return one.vendor_id, one.product_id, one.dev_type


def _may_be(row: Function, fact: Function) -> bool:
    """Whether nothing speaks against *fact* being *row*."""
    return ids(row) == ids(fact) and all(
        one is None or other is None or one == other
        for one, other in ((row.serial, fact.serial), (row.vf_index, fact.vf_index))
    )


def _by_serial(one: Function, _: str | None) -> _Key | None:
    return (one.serial, _number(one), ids(one)) if one.serial else None


def _by_slot(one: Function, _: str | None) -> _Key | None:
    return (one.slot, _number(one), ids(one)) if one.slot else None


def _by_index(one: Function, pf_id: str | None) -> _Key | None:
    return None if one.vf_index is None else (pf_id, one.vf_index, ids(one))


def _by_address(one: Function, pf_id: str | None) -> _Key | None:
    return (pf_id, one.address, ids(one))


def _number(one: Function) -> str:
    """``1`` of ``0000:21:00.1``: the functions of a card have its serial number in common."""
    return one.address.rpartition(".")[2]


def doubts(
    told: Sequence[Told], known: Sequence[Known], found: Mapping[str, Known]
) -> dict[str, Doubt]:
    """Say of the new functions, by address, which are where another one was known.

    A VF that a known card has made is no other card's, wherever it sits; one of a card that is
    doubted is doubted with it.
    """
    at: dict[str, Known] = {}
    for row in sorted(known, key=lambda row: row.present):
        at[row.address] = row
    now = {row.id: address for address, row in found.items()}
    made: dict[str, Doubt] = {}
    for fact in sorted(told, key=lambda fact: fact.parent is not None):
        if fact.address in found:
            continue
        before = at.get(fact.address)
        pf = found.get(fact.parent) if fact.parent else None
        if fact.parent in made:
            made[fact.address] = Doubt(f"of PF {fact.parent}: {made[fact.parent].reason}", before)
        elif before is None or (pf is not None and before.pf_id != pf.id):
            continue
        elif pf is None or ids(before) != ids(fact):
            made[fact.address] = Doubt(_another(before, fact, now.get(before.id)), before)
    return made


def _another(before: Known, fact: Told, address: str | None) -> str:
    """Name what is there now and what was, by that in which they differ."""
    said: list[str] = []
    if before.serial != fact.serial and fact.dev_type != DeviceType.VF:
        said.append(f"serial {fact.serial or 'not told'}, was {before.serial or 'not told'}")
    if ids(before) != ids(fact):
        said.append(f"{_kind(fact)}, was {_kind(before)}")
    if address is not None and address != fact.address:
        said.append(f"the one that was here is at {address} now")
    return f"another card is at this address: {'; '.join(said) or 'its PF is another one'}"


def _kind(one: Function) -> str:
    return f"{one.vendor_id}:{one.product_id} {one.dev_type}"
