"""A configuration that would take a card from under a guest: its PF for its VFs, or the reverse."""

from __future__ import annotations

from collections.abc import Mapping

import sqlalchemy as sa

from lanekeeper.domain.errors import Conflict
from lanekeeper.domain.pci.device import DeviceState
from lanekeeper.store.device.listing import DeviceFilter, device_rows

TURNED = "lanekeeper.device.partition"

Entries = Mapping[str, int | None]
"""Listed devices by id, and the entry that lists each, counted from 0."""


def listed_entries(connection: sa.Connection, host_id: str) -> Entries:
    """What of a host is listed now, for ``check_partition`` afterwards."""
    rows = device_rows(connection, DeviceFilter(host_id=host_id))
    return {row["id"]: row["entry"] for row in rows if row["listed"]}


def check_partition(connection: sa.Connection, host_id: str, before: Entries) -> None:
    """Refuse what a host has just told if it lists a held card the other way than *before*.

    A held device that nothing lists any more is left to its guest; only where the other side of its
    card is to be given away in its place there is no way to do right by both.

    Raises:
        Conflict: names both entries and the guest. The transaction must be left.

    Source: nova ``compute/pci_placement_translator.py``: such an inventory is in use, and the
    service does not start.
    """
    held = device_rows(connection, DeviceFilter(host_id=host_id, state=DeviceState.HELD))
    left = [row for row in held if not (row["listed"] and row["present"])]
    if not left:
        return
    fresh = [
        row
        for row in device_rows(connection, DeviceFilter(host_id=host_id))
        if row["listed"] and row["present"] and row["id"] not in before
    ]
    for mine in left:
        for other in fresh:
            if mine["id"] == other["pf_id"] or other["id"] == mine["pf_id"]:
                raise _turned(mine, other, before)


def _turned(mine: sa.RowMapping, other: sa.RowMapping, before: Entries) -> Conflict:
    what, its = ("PF", "VF") if other["pf_id"] else ("VF", "PF")
    entry = before.get(mine["id"])
    was = "which no entry lists any more" if entry is None else f"which entry {entry + 1} listed"
    now = "an entry" if other["entry"] is None else f"entry {other['entry'] + 1}"
    guest = mine["holder_name"] or mine["consumer_id"]
    return Conflict(
        f"[pci] device_spec of {mine['host_name']}: {now} lists {its} {other['address']} of the "
        f"card of {what} {mine['address']}, {was} and guest {guest} ({mine['consumer_id']}) holds",
        hint=f"list {what} {mine['address']} again, or delete {guest} first; nothing of this "
        "report was taken over",
        code=TURNED,
    )
