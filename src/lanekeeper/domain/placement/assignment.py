"""Whether demands can be assigned to rows at all: bipartite matching with capacities."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Demand:
    """One demand: any of *rows* may serve it, with *amount* units."""

    rows: Sequence[int]
    amount: int


def assignable(
    demands: Sequence[Demand], room: Callable[[int], int], looked: Callable[[], object]
) -> bool:
    """Whether every demand can have a row, no row serving more demands than it has room for.

    Exact where all amounts are equal. Otherwise a row is taken to serve as many as the smallest
    demands allow, so a yes may still be a no, but never the reverse. *looked* is called for every
    row that is looked at.
    """
    amounts = sorted(demand.amount for demand in demands)
    bounds: dict[int, int] = {}
    serves: dict[int, list[int]] = {}  # row to the demands that it serves now

    def bound(row: int) -> int:
        if row not in bounds:
            bounds[row] = _how_many(amounts, room(row))
        return bounds[row]

    def assign(number: int, seen: set[int]) -> bool:
        for row in demands[number].rows:
            looked()
            if row in seen:
                continue
            seen.add(row)
            mine = serves.setdefault(row, [])
            if len(mine) < bound(row):
                mine.append(number)
                return True
            for place, other in enumerate(mine):
                if assign(other, seen):
                    mine[place] = number
                    return True
        return False

    return all(assign(number, set()) for number in range(len(demands)))


def _how_many(amounts: Sequence[int], room: int) -> int:
    """How many of the ascending *amounts*, smallest first, fit into *room*."""
    for count, amount in enumerate(amounts):
        room -= amount
        if room < 0:
            return count
    return len(amounts)
