"""One tree, searched depth first for choices of providers that go together.

A choice gives each slot a row. What makes slots depend on each other: groups that must be on
different providers, amounts of one class that add up on one provider, groups of one subtree, traits
that the spread group covers together.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass, field
from functools import partial
from itertools import permutations, product
from math import prod
from operator import itemgetter

import numpy as np
import numpy.typing as npt

from lanekeeper.domain.placement.assignment import Demand, assignable
from lanekeeper.domain.placement.budget import Budget
from lanekeeper.domain.placement.query import CandidateQuery
from lanekeeper.domain.placement.snapshot import Snapshot
from lanekeeper.domain.placement.supply import Slot, Supply
from lanekeeper.domain.placement.together import Choices, Together, conditions

_FEW = 3
"""Groups that must be apart, up to which multiplying out and sieving is quicker than care,"""
_MANY = 1000
"""as long as there are no more choices than these in all."""


@dataclass(slots=True)
class Walk:
    """What is the same for all trees of one search.

    Attributes:
        rng: shuffles the choices of each slot, if given.
        budget: what the whole search may still spend.
    """

    snapshot: Snapshot
    query: CandidateQuery
    slots: tuple[Slot, ...]
    supplies: tuple[Supply, ...]
    rng: np.random.Generator | None = None
    budget: Budget = field(default_factory=Budget)
    contended: frozenset[str] = field(init=False)
    together: list[Callable[[Choices], Together]] = field(init=False)
    apart: frozenset[int] = field(init=False)
    _places: tuple[list[int], list[int]] = field(init=False)
    _in_order: Callable[[tuple[int, ...]], tuple[int, ...]] = field(init=False)

    def __post_init__(self) -> None:
        asked = Counter(name for slot in self.slots for name, _ in slot.resources)
        several = [name for name, count in asked.items() if count > 1]
        self.contended = frozenset(name for name in several if self._is_scarce(name))
        self.together = conditions(self.snapshot, self.query, self.slots)
        suffixed = frozenset(i for i, slot in enumerate(self.slots) if slot.group.suffix)
        self.apart = suffixed if self.query.isolate and len(suffixed) > 1 else frozenset()
        # Amounts of slots that are apart anyway add up nowhere.
        self.contended = frozenset(
            name for name in self.contended if not self._drawing_on(name) <= self.apart
        )
        if not self.apart and len(self.contended) == 1:
            (name,) = self.contended
            if self._serves_one(name):  # who may not share a row has to be apart
                self.apart, self.contended = self._drawing_on(name), frozenset()

        apart = sorted(self.apart)
        others = [slot for slot in range(len(self.slots)) if slot not in self.apart]
        self._places = apart, others
        place = {slot: at for at, slot in enumerate([*apart, *others])}
        if apart:  # from the order of places to that of the slots
            self._in_order = itemgetter(*(place[slot] for slot in range(len(self.slots))))

    def _drawing_on(self, name: str) -> frozenset[int]:
        """Slots that want some of a class."""
        return frozenset(i for i, slot in enumerate(self.slots) if name in dict(slot.resources))

    def _is_scarce(self, name: str) -> bool:
        """Whether some row that could serve it has not room for all that is asked of a class."""
        needed = sum(self._amounts(name))
        return any(bool((rooms < needed).any()) for rooms in self._rooms(name))

    def _serves_one(self, name: str) -> bool:
        """Whether no row that could serve a class has room for two of those who want some."""
        needed = sum(sorted(self._amounts(name))[:2])
        return not any(bool((rooms >= needed).any()) for rooms in self._rooms(name))

    def _amounts(self, name: str) -> list[int]:
        return [dict(self.slots[i].resources)[name] for i in self._drawing_on(name)]

    def _rooms(self, name: str) -> Iterator[npt.NDArray[np.int64]]:
        """What there is of a class at the rows that could serve those who want some."""
        stock = self.snapshot.stocks.get(name)
        if stock is not None:
            for one in {self.supplies[i] for i in self._drawing_on(name)}:
                yield stock.rooms(one.every_row)

    def combinations(self, choices: Choices) -> Iterator[tuple[int, ...]]:
        """Every tuple of rows, one a slot in the slots' order, that goes together."""
        alike = self._are_alike(choices)
        if self.rng is not None:
            choices = [self.rng.permutation(rows).tolist() for rows in choices]
        if self.contended or self.together:
            return Tree(self, choices).combinations()
        if not self.apart:
            return product(*choices)
        if alike:
            return self._arranged(choices)
        if not self._is_quickly_sieved(choices):
            return Tree(self, choices).combinations()
        apart, every = self._places[0], product(*choices)
        return (rows for rows in every if len({rows[slot] for slot in apart}) == len(apart))

    def _are_alike(self, choices: Choices) -> bool:
        """Whether all slots that must be apart have the same choice, as equal devices have."""
        return len({id(choices[slot]) for slot in self.apart}) == 1

    def _arranged(self, choices: Choices) -> Iterator[tuple[int, ...]]:
        """Every order of the one choice that slots have which must be apart, and all of the rest.

        None of them is a dead end, so there is nothing to be careful about.
        """
        apart, others = self._places
        rest = [choices[slot] for slot in others]
        few = [*product(*rest)] if prod(map(len, rest)) <= _MANY else None
        for chosen in permutations(choices[apart[0]], len(apart)):
            for more in few or product(*rest):
                yield self._in_order(chosen + more)

    def _is_quickly_sieved(self, choices: Choices) -> bool:
        return len(self.apart) <= _FEW and prod(map(len, choices)) <= _MANY


@dataclass(slots=True)
class _Frame:
    """One slot that is being chosen for: the rows that are left to try."""

    slot: int
    rows: Iterator[int]
    fruitful: bool = False


class Tree:
    """The search of one tree. The slot with the fewest choices goes first."""

    def __init__(self, walk: Walk, choices: Choices) -> None:
        self._walk, self._choices = walk, choices
        self._order = sorted(range(len(choices)), key=lambda slot: len(choices[slot]))
        self._chosen: dict[int, int] = {}  # slot to row, in the order of choosing
        self._used: set[int] = set()  # rows of slots that must be apart
        self._taken: dict[tuple[int, str], int] = {}
        self._rooms: dict[tuple[int, str], int] = {}
        self._failed: set[Hashable] = set()
        self._together = [made(choices) for made in walk.together]
        self._judges = [
            [one for one in self._together if slot in one.slots] for slot in range(len(choices))
        ]
        self._contended = [
            [(name, amount) for name, amount in slot.resources if name in walk.contended]
            for slot in walk.slots
        ]
        self._kinds: list[str | None] = [None] if walk.apart else []
        self._kinds += walk.contended
        self._tight = self._is_tight()
        self._differing = [kind for kind in self._kinds if self._tight and self._differ(kind)]

    def combinations(self) -> Iterator[tuple[int, ...]]:
        """Every choice that goes together, as rows in the order of the slots."""
        if self._tight and not self._assignable(0):
            return
        frames = [self._frame(0)]
        while frames:
            frame = frames[-1]
            self._put_back(frame.slot)
            row = next(frame.rows, None)
            if row is None:
                self._leave(frames)
                continue
            self._walk.budget.spend()
            if not self._take(frame.slot, row):
                continue
            if len(frames) == len(self._order):
                frame.fruitful = True
                yield tuple(self._chosen[slot] for slot in range(len(self._order)))
            elif self._worth_entering(len(frames)):
                frames.append(self._frame(len(frames)))

    def _frame(self, depth: int) -> _Frame:
        slot = self._order[depth]
        return _Frame(slot, iter(self._choices[slot]))

    def _leave(self, frames: list[_Frame]) -> None:
        """Go back up; what bore no fruit need not be entered again from the same state."""
        done = frames.pop()
        if not done.fruitful:
            self._failed.add(self._state(len(frames)))
        elif frames:
            frames[-1].fruitful = True

    def _take(self, slot: int, row: int) -> bool:
        """Choose *row* for *slot* if that goes with what is chosen; else leave all as it is."""
        apart = slot in self._walk.apart
        if apart and row in self._used:
            return False
        contended = self._contended[slot]
        for name, amount in contended:
            if self._taken.get((row, name), 0) + amount > self._room(row, name):
                return False
        if apart:
            self._used.add(row)
        self._chosen[slot] = row
        for name, amount in contended:
            self._taken[row, name] = self._taken.get((row, name), 0) + amount
        if all(self._possible(one) for one in self._judges[slot]):
            return True
        self._put_back(slot)
        return False

    def _possible(self, one: Together) -> bool:
        rows = [self._chosen[slot] for slot in one.slots if slot in self._chosen]
        return one.possible(rows, [slot for slot in one.slots if slot not in self._chosen])

    def _put_back(self, slot: int) -> None:
        row = self._chosen.pop(slot, None)
        if row is None:
            return
        if slot in self._walk.apart:
            self._used.discard(row)
        for name, amount in self._contended[slot]:
            left = self._taken[row, name] - amount
            if left:
                self._taken[row, name] = left
            else:
                del self._taken[row, name]

    def _worth_entering(self, depth: int) -> bool:
        if self._tight and not self._assignable(depth):
            return False
        return not self._failed or self._state(depth) not in self._failed

    def _state(self, depth: int) -> Hashable:
        """All that what follows depends on; equal for orders of choosing that come to the same."""
        return (
            depth,
            frozenset(self._used),
            frozenset(self._taken.items()),
            tuple(
                one.state([self._chosen[slot] for slot in one.slots if slot in self._chosen])
                for one in self._together
            ),
        )

    def _room(self, row: int, name: str) -> int:
        room = self._rooms.get((row, name))
        if room is None:
            room = self._rooms[row, name] = self._walk.snapshot.stocks[name].room(row)
        return room

    def _demands(self, kind: str | None, depth: int) -> list[Demand]:
        """Slots from *depth* on that draw on the same: places apart (None), or a class."""
        left = self._order[depth:]
        if kind is None:
            return [Demand(self._choices[i], 1) for i in left if i in self._walk.apart]
        return [
            Demand(self._choices[i], amount)
            for i in left
            for wanted, amount in self._walk.slots[i].resources
            if wanted == kind
        ]

    def _differ(self, kind: str | None) -> bool:
        """Whether the slots that draw on *kind* want different rows or amounts of it.

        Where they are all alike, each that is chosen for takes one share of as many as there are,
        whichever row gives it: what could be assigned at the start still can.
        """
        demands = self._demands(kind, 0)
        return len({(frozenset(demand.rows), demand.amount) for demand in demands}) > 1

    def _is_tight(self) -> bool:
        """Whether slots could take from each other what they need: only then is it looked into."""
        if self._walk.apart:
            counts = sorted(len(self._choices[slot]) for slot in self._walk.apart)
            if any(count <= place for place, count in enumerate(counts)):
                return True
        for name in self._walk.contended:
            demands = [
                (self._choices[i], amount)
                for i, slot in enumerate(self._walk.slots)
                for wanted, amount in slot.resources
                if wanted == name
            ]
            needed = sum(amount for _, amount in demands)
            if any(self._room(row, name) < needed for rows, _ in demands for row in rows):
                return True
        return False

    def _assignable(self, depth: int) -> bool:
        """Whether the slots from *depth* on could still be served, each class looked at alone."""
        return all(
            assignable(
                self._demands(kind, depth), partial(self._left, kind), self._walk.budget.spend
            )
            for kind in (self._differing if depth else self._kinds)
        )

    def _left(self, name: str | None, row: int) -> int:
        if name is None:
            return 0 if row in self._used else 1
        return self._room(row, name) - self._taken.get((row, name), 0)
