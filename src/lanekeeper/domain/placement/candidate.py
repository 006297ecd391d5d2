"""Searching allocation candidates: who could give what, in which combination.

Groups are matched with providers, not multiplied with them. All trees are narrowed down at once in
columns; then one tree after the other is searched depth first, and the search stops at the limit.
Within a tree the slot with the fewest choices goes first, a branch that leaves the rest without a
matching is not entered, and one that failed is not tried again in another order. So the first
candidates cost what they cost, however many there would be in all.

Source: the rules of Placement's API reference, "List allocation candidates", and its
``objects/allocation_candidate.py``.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from typing import NamedTuple

import numpy as np

from lanekeeper.domain.placement.budget import Budget, Spent
from lanekeeper.domain.placement.query import CandidateQuery
from lanekeeper.domain.placement.rows import Mask, Rows
from lanekeeper.domain.placement.snapshot import Snapshot
from lanekeeper.domain.placement.supply import (
    Slot,
    Supply,
    anchors_with_traits,
    roots_admitted,
    rows_at,
    slots_of,
    supplies_of,
)
from lanekeeper.domain.placement.together import Choices
from lanekeeper.domain.placement.walk import Walk

_AT_ONCE = 256
"""Anchors whose choices are looked up together."""


class Candidate(NamedTuple):
    """One way to serve the whole query; providers are rows of the snapshot.

    A tuple, since there are a thousand in an answer: it costs a third of an object of its own.

    Attributes:
        slots: those of the query, the same object in all candidates of a search.
        rows: who serves each of them.
    """

    anchor: int
    slots: tuple[Slot, ...]
    rows: tuple[int, ...]

    @property
    def amounts(self) -> dict[int, dict[str, int]]:
        """Row to class to units, all groups added up; no row that gives nothing."""
        found: dict[int, dict[str, int]] = {}
        for slot, row in zip(self.slots, self.rows, strict=True):
            if slot.resources:  # a group without resources only says where it is
                part = found.setdefault(row, {})
                for name, amount in slot.resources:
                    part[name] = part.get(name, 0) + amount
        return found

    @property
    def mappings(self) -> dict[str, tuple[int, ...]]:
        """Suffix to the rows that serve the group, each once."""
        found: dict[str, dict[int, None]] = {}
        for slot, row in zip(self.slots, self.rows, strict=True):
            found.setdefault(slot.group.suffix, {})[row] = None
        return {suffix: tuple(rows) for suffix, rows in found.items()}

    @property
    def identity(self) -> object:
        """Equal for candidates that are the same to whoever asked, at whatever anchor."""
        amounts = frozenset(
            (row, name, amount)
            for row, part in self.amounts.items()
            for name, amount in part.items()
        )
        return amounts, frozenset(
            (suffix, frozenset(rows)) for suffix, rows in self.mappings.items()
        )


@dataclass(frozen=True, slots=True)
class Order:
    """In which order candidates come.

    Attributes:
        seed: trees and providers in an order that follows from it; None: as they were made.
        in_turn: one candidate of each tree in turn, instead of all of a tree before the next.
    """

    seed: int | None = None
    in_turn: bool = False


@dataclass(frozen=True, slots=True)
class Found:
    """What a search came to.

    Attributes:
        given_up: whether it ended early, having looked for long without finding anything more.
    """

    candidates: tuple[Candidate, ...]
    given_up: bool = False


def search(snapshot: Snapshot, query: CandidateQuery, order: Order | None = None) -> Found:
    """Find the candidates of *query*, at most ``query.limit`` of them, no two equal."""
    slots = slots_of(query)
    supplies = supplies_of(snapshot, slots)
    anchors = np.flatnonzero(_anchors(snapshot, query, slots, supplies)).astype(np.int32)
    order = order or Order()
    rng = None if order.seed is None else np.random.default_rng(order.seed)
    if rng is not None:
        anchors = rng.permutation(anchors)
    walk = Walk(snapshot, query, slots, supplies, rng)
    trees = (_tree(walk, anchor, choices) for anchor, choices in _choices(supplies, anchors))
    every = _in_turn(trees) if order.in_turn else chain.from_iterable(trees)
    candidates: list[Candidate] = []
    try:
        for found in islice(_distinct(snapshot, every, walk.budget), query.limit):
            candidates.append(found)  # noqa: PERF402  what there is when the budget ends counts
    except Spent:
        return Found(tuple(candidates), given_up=True)
    return Found(tuple(candidates))


def involved(snapshot: Snapshot, query: CandidateQuery, found: Sequence[Candidate]) -> Rows:
    """Rows that the summaries tell of, ascending: all providers of trees that give something.

    Without nested providers (before microversion 1.29) those only that give something.
    """
    trees = snapshot.shape.trees
    slots = slots_of(query)
    giving = [at for at, slot in enumerate(slots) if slot.resources]
    chosen = np.array([one.rows for one in found], np.int32).reshape(len(found), len(slots))
    rows = np.unique(chosen[:, giving])
    if not query.nested and trees.nested:
        return rows
    members: Rows = np.sort(trees.members(np.unique(trees.root[rows])))
    return members


def _anchors(
    snapshot: Snapshot, query: CandidateQuery, slots: Sequence[Slot], supplies: Sequence[Supply]
) -> Mask:
    """Roots of trees that could serve the query, as far as that is seen without trying.

    Each slot, taken alone, has somebody to serve it there, and there are as many providers as are
    asked for apart from each other.
    """
    shape = snapshot.shape
    mask = roots_admitted(shape, query.root_traits)
    for one in set(supplies):
        mask &= one.reached(shape.size)
    for group in query.groups:
        if not group.suffix and group.traits.required:
            spread = [supplies[i] for i, slot in enumerate(slots) if slot.group is group]
            mask &= anchors_with_traits(shape, group.traits.required, spread)
    apart = [supplies[i] for i, slot in enumerate(slots) if slot.group.suffix]
    if query.isolate and len(apart) > 1:
        mask &= rows_at(shape, apart) >= len(apart)
    return mask


def _choices(
    supplies: Sequence[Supply], anchors: Rows
) -> Iterator[tuple[int, tuple[list[int], ...]]]:
    """For each anchor in turn the rows that could serve each slot."""
    different = list(dict.fromkeys(supplies))
    place = [different.index(one) for one in supplies]
    for start in range(0, len(anchors), _AT_ONCE):
        some = anchors[start : start + _AT_ONCE]
        for anchor, *found in zip(some.tolist(), *(s.at(some) for s in different), strict=True):
            yield anchor, tuple(found[i] for i in place)


def _tree(walk: Walk, anchor: int, choices: Choices) -> Iterator[Candidate]:
    slots = walk.slots
    for chosen in walk.combinations(choices):
        yield Candidate(anchor, slots, chosen)


def _in_turn(trees: Iterable[Iterator[Candidate]]) -> Iterator[Candidate]:
    """One of each, then the next of each that has more; a tree is not begun before its turn."""
    going: deque[Iterator[Candidate]] = deque()
    for tree in trees:
        for found in islice(tree, 1):
            yield found
            going.append(tree)
    while going:
        tree = going.popleft()
        for found in islice(tree, 1):
            yield found
            going.append(tree)


def _distinct(
    snapshot: Snapshot, every: Iterable[Candidate], budget: Budget
) -> Iterator[Candidate]:
    """Leave out what came before: only what sharing providers alone give has several anchors."""
    sharing, seen = snapshot.shape.sharing, set()
    for found in every:
        budget.spend(len(found.rows))
        if sharing and all(row in sharing for row in found.rows):
            if found.identity in seen:
                continue
            seen.add(found.identity)
        budget.renew()
        yield found
