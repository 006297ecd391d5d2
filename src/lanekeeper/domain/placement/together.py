"""Conditions on what several slots choose, judged while they are being chosen.

Each is made for one tree, from the choices that every slot has there. ``possible`` may say yes too
early but never no too early; when the last slot is chosen it is exact. ``state`` is all that the
rest of the search needs to know of what was chosen so far.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Iterator, Sequence
from functools import cache
from typing import Protocol

from lanekeeper.domain.placement.query import CandidateQuery
from lanekeeper.domain.placement.snapshot import Snapshot
from lanekeeper.domain.placement.supply import Slot, carriers

Choices = Sequence[Sequence[int]]


class Together(Protocol):
    slots: frozenset[int]

    def possible(self, rows: Collection[int], rest: Collection[int]) -> bool:
        """Whether *rows*, chosen so far, can go together with some choice of the *rest* slots."""

    def state(self, rows: Collection[int]) -> Hashable: ...


class Subtree:
    """One of the chosen rows is above all the others, or there is but one.

    Source: placement ``objects/allocation_candidate.py``, _check_same_subtree.
    """

    def __init__(
        self, slots: frozenset[int], choices: Choices, line: Callable[[int], frozenset[int]]
    ) -> None:
        self.slots, self._line = slots, line
        self._choices = {slot: frozenset(choices[slot]) for slot in slots}
        self._above = {
            slot: frozenset().union(*map(line, rows)) for slot, rows in self._choices.items()
        }

    def _tops(self, rows: Collection[int]) -> frozenset[int]:
        return frozenset.intersection(*map(self._line, rows))

    def possible(self, rows: Collection[int], rest: Collection[int]) -> bool:
        return any(
            (top in rows or any(top in self._choices[slot] for slot in rest))
            and all(top in self._above[slot] for slot in rest)
            for top in self._tops(rows)
        )

    def state(self, rows: Collection[int]) -> Hashable:
        return frozenset((top, top in rows) for top in self._tops(rows)) if rows else None


class Cover:
    """Each clause is met by one of the chosen rows; a clause is the rows that meet it."""

    def __init__(
        self, slots: frozenset[int], choices: Choices, clauses: Sequence[frozenset[int]]
    ) -> None:
        self.slots, self._clauses = slots, clauses
        self._choices = {slot: frozenset(choices[slot]) for slot in slots}

    def possible(self, rows: Collection[int], rest: Collection[int]) -> bool:
        return all(
            any(row in clause for row in rows)
            or any(not clause.isdisjoint(self._choices[slot]) for slot in rest)
            for clause in self._clauses
        )

    def state(self, rows: Collection[int]) -> Hashable:
        return tuple(any(row in clause for row in rows) for clause in self._clauses)


class OneATree:
    """No two providers of one tree, as before microversion 1.29."""

    def __init__(self, slots: frozenset[int], root: Callable[[int], int]) -> None:
        self.slots, self._root = slots, root

    def possible(self, rows: Collection[int], rest: Collection[int]) -> bool:
        chosen = set(rows)
        return len({self._root(row) for row in chosen}) == len(chosen)

    def state(self, rows: Collection[int]) -> Hashable:
        return frozenset(rows)


def conditions(
    snapshot: Snapshot, query: CandidateQuery, slots: Sequence[Slot]
) -> list[Callable[[Choices], Together]]:
    """Return what makes the conditions of *query* for a tree, given its choices."""
    trees = snapshot.shape.trees

    @cache
    def line(row: int) -> frozenset[int]:
        return frozenset(trees.line(row))

    def of(suffixes: Collection[str]) -> frozenset[int]:
        return frozenset(i for i, slot in enumerate(slots) if slot.group.suffix in suffixes)

    def made() -> Iterator[Callable[[Choices], Together]]:
        for suffixes in query.same_subtrees:
            if len(among := of(suffixes)) > 1:
                yield lambda choices, among=among: Subtree(among, choices, line)  # type: ignore[misc]
        spread = next((group for group in query.groups if not group.suffix), None)
        if spread is not None and spread.traits.required:
            clauses = [
                frozenset(carriers(snapshot, names).tolist()) for names in spread.traits.required
            ]
            yield lambda choices: Cover(of({""}), choices, clauses)
        if not query.nested and trees.nested:
            yield lambda _: OneATree(frozenset(range(len(slots))), lambda row: int(trees.root[row]))

    return list(made())
