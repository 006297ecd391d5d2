"""What a check of the database can find."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One row that is not as it must be.

    Attributes:
        invariant: stable name of what is broken; added, never changed.
        row: the row's key as text, parts joined by a slash.
        problem: what is wrong, one sentence.
        remedy: what would help.
        notice: worth knowing, and no fault: clients may bring it about.
    """

    invariant: str
    table: str
    row: str
    problem: str
    remedy: str
    notice: bool = False


BUG = "report it with this line; lanekeeper db backup keeps the database as it is now"
"""For what no sequence of requests should lead to."""


def key_of(*parts: object) -> str:
    return "/".join(str(part) for part in parts)
