"""A configuration that would take a card from under a guest: its PF for its VFs, or the reverse."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from lanekeeper.domain import typed
from lanekeeper.domain.errors import Conflict, some
from lanekeeper.domain.pci.device import DeviceState
from lanekeeper.protocol import TURNED, EntryFact
from lanekeeper.store.device.listing import DeviceFilter, device_rows
from lanekeeper.store.host.host import HostRecord, host_told

Specs = Sequence[EntryFact] | None
"""The entries of ``device_spec`` in their order; None: an agent that does not tell them."""
_NAMED_MAX = 5


@dataclass(frozen=True, slots=True)
class Listing:
    """What of a host is listed.

    Attributes:
        entries: the entry that lists each listed device, by the device's id, counted from 0; None
            where none does any more, but its guest has it still.
        specs: those entries.
    """

    entries: Mapping[str, int | None]
    specs: Specs


def listing_of(connection: sa.Connection, host: HostRecord) -> Listing:
    """What of *host* is listed now, for ``check_partition`` afterwards."""
    rows = device_rows(connection, DeviceFilter(host_id=host.id))
    host_now = host_told(connection, host.id)
    told = host_now.facts.get("device_spec") if host_now is not None else None
    return Listing(
        entries={
            row["id"]: row["entry"] if row["present"] else None for row in rows if row["listed"]
        },
        specs=None if told is None else typed.convert(told, list[EntryFact]),
    )


def check_partition(
    connection: sa.Connection, host: HostRecord, before: Listing, specs: Specs
) -> None:
    """Refuse what *host* has just told if it lists a held card the other way than *before*.

    A held device that nothing lists any more is left to its guest; only where the other side of its
    card is to be given away in its place there is no way to do right by both. The same entries as
    before cannot be to blame: then the card has changed, and its guest's claim keeps the other
    side back as ever.

    Raises:
        Conflict: names both entries and the guests, once for each such card. The transaction must
            be left.

    Source: nova ``compute/pci_placement_translator.py``: such an inventory is in use, and the
    service does not start.
    """
    if specs is not None and _texts(specs) == _texts(before.specs):
        return
    held = device_rows(connection, DeviceFilter(host_id=host.id, state=DeviceState.HELD))
    left = [row for row in held if not (row["listed"] and row["present"])]
    if not left:
        return
    fresh = [
        row
        for row in device_rows(connection, DeviceFilter(host_id=host.id))
        if row["listed"] and row["present"] and row["id"] not in before.entries
    ]
    found = list(_turned(left, fresh))
    if found:
        raise _refusal(host, found, before, specs)


def _texts(specs: Specs) -> list[str] | None:
    return None if specs is None else [one.text for one in specs]


Turned = tuple[sa.RowMapping, sa.RowMapping]
"""A held device, and the other side of its card, which would be listed in its place."""


def _turned(left: Sequence[sa.RowMapping], fresh: Sequence[sa.RowMapping]) -> Iterator[Turned]:
    """The first other side of each held device; one is enough to name the card and its entry."""
    for mine in left:
        for other in fresh:
            if mine["id"] == other["pf_id"] or other["id"] == mine["pf_id"]:
                yield mine, other
                break


def _refusal(host: HostRecord, found: list[Turned], before: Listing, specs: Specs) -> Conflict:
    cards: dict[str, list[Turned]] = {}
    for mine, other in found:
        cards.setdefault(mine["pf_id"] or mine["id"], []).append((mine, other))
    told = [_sentence(turned, before, specs) for turned in cards.values()]
    if len(told) > _NAMED_MAX:
        told[_NAMED_MAX:] = [f"and {len(told) - _NAMED_MAX} more cards"]
    held = _named(mine["address"] for mine, _ in found)
    guests = _named(_guest(mine) for mine, _ in found)
    return Conflict(
        f"[pci] device_spec of {host.name}: {'; '.join(told)}",
        hint=f"list {held} again, or delete {guests} first; nothing of this was taken over",
        code=TURNED,
    )


def _sentence(turned: Sequence[Turned], before: Listing, specs: Specs) -> str:
    """What is to become of one card, and who holds what of it."""
    mine, other = turned[0]
    lists = f"{_place(specs, other['entry'])} lists"
    if other["pf_id"]:
        guest = f"{_guest(mine)} ({mine['consumer_id']})"
        return (
            f"{lists} VFs of PF {mine['address']} ({other['address']}, ...), which "
            f"{_lister(mine, before)} and guest {guest} holds"
        )
    by_lister: dict[str, list[str]] = {}
    for vf, _ in turned:
        one = f"{vf['address']} by {_guest(vf)}"
        by_lister.setdefault(_lister(vf, before), []).append(one)
    vfs = "; ".join(f"which {lister}: {_named(held)}" for lister, held in by_lister.items())
    count = f"{len(turned)} VF{'s' if len(turned) > 1 else ''}"
    return f"{lists} PF {other['address']}, of which guests hold {count}, {vfs}"


def _lister(mine: sa.RowMapping, before: Listing) -> str:
    entry = before.entries.get(mine["id"])
    if entry is None:
        return "no entry lists any more"
    return f"{_place(before.specs, entry)} listed"


def _named(texts: Iterable[str]) -> str:
    return some(dict.fromkeys(texts), _NAMED_MAX)  # a guest has several of a card


def _guest(mine: sa.RowMapping) -> str:
    return str(mine["holder_name"] or mine["consumer_id"])


def _place(specs: Specs, entry: int | None) -> str:
    if entry is None:
        return "an entry"
    source = specs[entry].source if specs and entry < len(specs) else ""
    return f"entry {entry + 1} ({source})" if source else f"entry {entry + 1}"
