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

    def is_free(row: int) -> bool:
        looked()
        bound = bounds.get(row)
        if bound is None:
            bound = bounds[row] = _how_many(amounts, room(row))
            serves[row] = []
        return len(serves[row]) < bound

    def assign(number: int, seen: set[int]) -> bool:
        rows = demands[number].rows
        for row in rows:  # most find room at once, and nobody has to move
            if is_free(row):
                serves[row].append(number)
                return True
        for row in rows:
            if row in seen:
                continue
            seen.add(row)
            mine = serves[row]
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
