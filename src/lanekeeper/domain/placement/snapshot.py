"""All providers at one moment, in columns: what the candidate search reads.

A provider is a *row*, a small integer that it keeps for as long as it exists. A snapshot is never
changed: ``with_lines`` makes the next one and shares with it every column that stays the same, so a
search goes on undisturbed while the inventory moves on, and a claim costs a copy of the few columns
that it touches.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import numpy.typing as npt

from lanekeeper.domain.placement.inventory import INT_MAX
from lanekeeper.domain.placement.labels import Labels
from lanekeeper.domain.placement.rows import NONE, Mask, Rows, among
from lanekeeper.domain.placement.trees import Trees

SHARING = "MISC_SHARES_VIA_AGGREGATE"
_CAPACITY, _USED, _MIN, _MAX, _STEP = range(5)


@dataclass(frozen=True, slots=True)
class Lines:
    """What the database has of some providers, as it comes from there.

    Attributes:
        providers: (id, parent's id or None, root's id).
        stock: (provider id, class, capacity, used, min_unit, max_unit, step_size).
        traits: (provider id, trait).
        aggregates: (provider id, aggregate id).
    """

    providers: Sequence[tuple[str, str | None, str]] = ()
    stock: Sequence[tuple[str, str, int, int, int, int, int]] = ()
    traits: Sequence[tuple[str, str]] = ()
    aggregates: Sequence[tuple[str, str]] = ()


@dataclass(frozen=True, slots=True)
class InventoryColumns:
    """One resource class: who has an inventory of it, and how much.

    Attributes:
        rows: ascending.
        values: capacity, used, min_unit, max_unit, step_size; one column a row.
    """

    rows: Rows = field(default_factory=lambda: NONE)
    values: npt.NDArray[np.int64] = field(default_factory=lambda: np.empty((5, 0), np.int64))

    def fitting(self, amount: int) -> Rows:
        """Rows that can give *amount* at once, and are asked for an amount that they deal in."""
        capacity, used, min_unit, max_unit, step = self.values
        if amount > INT_MAX:
            return NONE
        fits = (used + amount <= capacity) & (min_unit <= amount) & (amount <= max_unit)
        found: Rows = self.rows[fits & (amount % step == 0)]
        return found

    def room(self, row: int) -> int:
        """How much one consumer may take of a row that has an inventory, all of it together."""
        capacity, used, _, max_unit, _ = self.values[:, np.searchsorted(self.rows, row)]
        return int(min(capacity - used, max_unit))

    def rooms(self, rows: Rows) -> npt.NDArray[np.int64]:
        """``room`` of many rows, all of which have an inventory."""
        capacity, used, _, max_unit, _ = self.values[:, np.searchsorted(self.rows, rows)]
        found: npt.NDArray[np.int64] = np.minimum(capacity - used, max_unit)
        return found

    def at(self, rows: Rows) -> tuple[Rows, Rows, Rows]:
        """Of *rows* (ascending) those with an inventory, their capacity, and what is used."""
        if not len(self.rows) or not len(rows):
            return NONE, NONE, NONE
        found = np.searchsorted(self.rows, rows)
        found[found == len(self.rows)] = 0
        hit = self.rows[found] == rows
        place = found[hit]
        return rows[hit], self.values[_CAPACITY, place], self.values[_USED, place]

    def with_rows(self, changed: Rows, lines: Sequence[tuple[int, ...]]) -> InventoryColumns:
        """Return the stock in which rows *changed* (ascending) have exactly *lines*."""
        told = np.array(sorted(lines), dtype=np.int64).reshape(-1, 6)
        rows, values = told[:, 0].astype(np.int32), told[:, 1:].T
        touched = among(self.rows, changed)
        if np.array_equal(self.rows[touched], rows):
            if np.array_equal(self.values[:, touched], values):
                return self
            copy = self.values.copy()
            copy[:, touched] = values
            return InventoryColumns(self.rows, copy)
        all_rows = np.concatenate([self.rows[~touched], rows])
        order = np.argsort(all_rows, kind="stable")
        every = np.concatenate([self.values[:, ~touched], values], axis=1)
        return InventoryColumns(all_rows[order], every[:, order])


@dataclass(frozen=True)
class Lending:
    """What sharing providers are followed from: it stays the same object while that does."""

    trees: Trees
    aggregates: Labels
    carriers: Rows

    @cached_property
    def served(self) -> Mapping[int, Mask]:
        """Sharing rows to the root rows of other trees that they serve, as a mask.

        A provider with MISC_SHARES_VIA_AGGREGATE serves each tree of which a member is in one of
        its aggregates.

        Source: placement ``objects/research_context.py``, anchors_for_sharing_providers.
        """
        root, found = self.trees.root, {}
        for row in self.carriers.tolist():
            mask = np.zeros(len(self.trees.ids), dtype=np.bool_)
            for name in self.aggregates.carried_by(row):
                mask[root[self.aggregates.of(name)]] = True
            mask[root[row]] = False
            found[row] = mask
        return found


@dataclass(frozen=True, slots=True)
class Shape:
    """All but the amounts: what changes rarely, and what is derived from it once."""

    trees: Trees
    traits: Labels
    aggregates: Labels
    lending: Lending

    @classmethod
    def of(cls, trees: Trees, traits: Labels, aggregates: Labels, before: Shape | None) -> Shape:
        """Put them together; *before* lends what did not change."""
        lending = Lending(trees, aggregates, traits.of(SHARING))
        if before is not None and (
            before.trees is trees
            and before.aggregates is aggregates
            and np.array_equal(before.lending.carriers, lending.carriers)
        ):
            lending = before.lending
        return cls(trees, traits, aggregates, lending)

    @property
    def size(self) -> int:
        """How many rows there are, deleted ones included."""
        return len(self.trees.ids)

    @property
    def sharing(self) -> Mapping[int, Mask]:
        """Sharing rows to the root rows of other trees that they serve."""
        return self.lending.served


_EMPTY = Shape.of(Trees(), Labels(), Labels(), None)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Everything that candidates are searched in."""

    shape: Shape = _EMPTY
    stocks: Mapping[str, InventoryColumns] = field(default_factory=dict)

    def with_stock(self, changed: Collection[str], lines: Lines) -> Snapshot:
        """Return the snapshot after inventories or use of providers *changed*, and nothing else.

        Providers that it does not know are passed over.
        """
        stocks = _restocked(self.stocks, self.shape.trees.row_of, changed, lines)
        return Snapshot(self.shape, stocks)

    def with_lines(self, changed: Collection[str], lines: Lines) -> Snapshot:
        """Return the snapshot in which providers *changed* are exactly as *lines* say.

        One that is in *changed* and not in *lines* is gone.
        """
        before = self.shape
        trees = before.trees.with_providers(changed, lines.providers)
        row_of = trees.row_of
        known = row_of if trees is before.trees else {**before.trees.row_of, **row_of}
        rows = _ascending(known[id_] for id_ in changed if id_ in known)
        shape = Shape.of(
            trees,
            before.traits.with_rows(rows, _placed(row_of, lines.traits)),
            before.aggregates.with_rows(rows, _placed(row_of, lines.aggregates)),
            before,
        )
        return Snapshot(shape, _restocked(self.stocks, known, changed, lines))


def _restocked(
    stocks: Mapping[str, InventoryColumns],
    row_of: Mapping[str, int],
    changed: Collection[str],
    lines: Lines,
) -> Mapping[str, InventoryColumns]:
    rows = _ascending(row_of[id_] for id_ in changed if id_ in row_of)
    gathered: dict[str, list[tuple[int, ...]]] = defaultdict(list)
    for id_, name, *values in lines.stock:
        if id_ in row_of:
            gathered[name].append((row_of[id_], *values))
    result: dict[str, InventoryColumns] = {}
    for name in {**stocks, **gathered}:
        now = stocks.get(name, InventoryColumns()).with_rows(rows, gathered.get(name, ()))
        if len(now.rows):
            result[name] = now
    return result


def _placed(
    row_of: Mapping[str, int], pairs: Iterable[tuple[str, str]]
) -> Iterable[tuple[int, str]]:
    return ((row_of[id_], name) for id_, name in pairs if id_ in row_of)


def _ascending(rows: Iterable[int]) -> Rows:
    found: Rows = np.unique(np.fromiter(rows, np.int32))
    return found
