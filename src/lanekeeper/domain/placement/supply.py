"""Who could serve one part of a query, on all trees at once.

The unit is a *slot*: what one provider has to give, all of it. A suffixed group is one slot; the
group without suffix may be spread over a tree and is one slot for each class. Trees are named by
their root's row, the *anchor*; a sharing provider serves trees of others too.

Source: placement ``objects/research_context.py``, whose rules these are, also where the API
reference is silent.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import reduce

import numpy as np

from lanekeeper.domain.placement.labels import Labels
from lanekeeper.domain.placement.query import AnyOf, CandidateQuery, Group
from lanekeeper.domain.placement.rows import NONE, Mask, Rows, among
from lanekeeper.domain.placement.snapshot import Shape, Snapshot


@dataclass(frozen=True, slots=True)
class Slot:
    """What one provider has to give for *group*: resources as (class, amount)."""

    group: Group
    resources: tuple[tuple[str, int], ...]

    @property
    def asks(self) -> Hashable:
        """Equal for slots that the same rows could serve."""
        group = self.group
        return self.resources, group.traits, group.aggregates, group.in_tree, bool(group.suffix)


@dataclass(frozen=True, slots=True, eq=False)
class Supply:
    """The rows that could serve a slot, and all others that ask for the same.

    Attributes:
        rows: those that serve their own tree, in the order of *anchors*.
        anchors: the root of each, ascending.
        shared: a sharing row and the anchors of other trees that it serves.
    """

    rows: Rows
    anchors: Rows
    shared: tuple[tuple[int, Mask], ...]

    @property
    def every_row(self) -> Rows:
        """All rows, ascending."""
        lent = [row for row, _ in self.shared]
        return np.unique(np.concatenate([self.rows, np.array(lent, np.int32)]))

    def reached(self, size: int) -> Mask:
        """Which of *size* rows are anchors that somebody serves."""
        mask = np.zeros(size, dtype=np.bool_)
        mask[self.anchors] = True
        return reduce(np.logical_or, (anchors for _, anchors in self.shared), mask)

    def reached_by(self, carriers: Rows, size: int) -> Mask:
        """Which of *size* rows are anchors that one of *carriers* (ascending) serves."""
        mask = np.zeros(size, dtype=np.bool_)
        mask[self.anchors[among(self.rows, carriers)]] = True
        lent = (anchors for row, anchors in self.shared if among(np.array([row]), carriers)[0])
        return reduce(np.logical_or, lent, mask)

    def at(self, anchors: Rows) -> Iterator[list[int]]:
        """For each of *anchors* in turn the rows that could serve the slot there."""
        starts = np.searchsorted(self.anchors, anchors, "left").tolist()
        ends = np.searchsorted(self.anchors, anchors, "right").tolist()
        for anchor, start, end in zip(anchors.tolist(), starts, ends, strict=True):
            rows = self.rows[start:end].tolist()
            rows += [row for row, served in self.shared if served[anchor]]
            yield rows


def slots_of(query: CandidateQuery) -> tuple[Slot, ...]:
    slots: list[Slot] = []
    for group in query.groups:
        if group.suffix:
            slots.append(Slot(group, group.resources))
        else:
            slots += [Slot(group, (resource,)) for resource in group.resources]
    return tuple(slots)


def supplies_of(snapshot: Snapshot, slots: Sequence[Slot]) -> tuple[Supply, ...]:
    """Find for each slot the rows that could serve it; those that ask for the same share one."""
    found: dict[Hashable, Supply] = {}
    for slot in slots:
        if slot.asks not in found:
            found[slot.asks] = _supply_of(snapshot, slot)
    return tuple(found[slot.asks] for slot in slots)


def _supply_of(snapshot: Snapshot, slot: Slot) -> Supply:
    rows = _with_resources(snapshot, slot) if slot.resources else _with_labels(snapshot, slot.group)
    if slot.group.suffix:
        return _alone(snapshot.shape, slot, rows)
    return _spread(snapshot.shape, slot, rows)


def carriers(snapshot: Snapshot, traits: Iterable[str]) -> Rows:
    """Rows that have at least one of *traits*, ascending."""
    return rows_with(snapshot.shape.traits, traits)


def roots_admitted(shape: Shape, wanted: AnyOf) -> Mask:
    """Anchors whose own traits are as *wanted* says."""
    rows = _carrying(np.flatnonzero(shape.trees.alive).astype(np.int32), shape.traits, wanted)
    mask = np.zeros(shape.size, dtype=np.bool_)
    mask[rows[shape.trees.root[rows] == rows]] = True
    return mask


def anchors_with_traits(
    shape: Shape, clauses: Iterable[frozenset[str]], supplies: Sequence[Supply]
) -> Mask:
    """Anchors where each clause is met by some row that could be chosen.

    A choice that meets all of them together may still not exist; there is none elsewhere.
    """
    mask = np.ones(shape.size, dtype=np.bool_)
    for clause in clauses:
        carriers = rows_with(shape.traits, clause)
        mask &= reduce(np.logical_or, (s.reached_by(carriers, shape.size) for s in supplies))
    return mask


def rows_at(shape: Shape, supplies: Iterable[Supply]) -> Rows:
    """How many different rows could serve one of *supplies* at each anchor."""
    different = set(supplies)
    counts = np.zeros(shape.size, dtype=np.int32)
    own = np.unique(np.concatenate([one.rows for one in different]))
    counts += np.bincount(shape.trees.root[own], minlength=shape.size).astype(np.int32)
    lent: dict[int, Mask] = {}
    for one in different:
        for row, anchors in one.shared:
            lent[row] = anchors | lent.get(row, False)
    for anchors in lent.values():
        counts += anchors
    return counts


def _with_resources(snapshot: Snapshot, slot: Slot) -> Rows:
    """Rows that have all of the slot's resources, in the tree that its group names, if any."""
    parts = []
    for name, amount in slot.resources:
        stock = snapshot.stocks.get(name)
        if stock is None:
            return NONE
        parts.append(stock.fitting(amount))
    rows = reduce(lambda one, other: one[among(one, other)], parts)
    if not slot.group.in_tree:
        return rows
    trees = snapshot.shape.trees
    member = trees.row_of.get(slot.group.in_tree)
    return NONE if member is None else rows[trees.root[rows] == trees.root[member]]


def _with_labels(snapshot: Snapshot, group: Group) -> Rows:
    """Rows for a group without resources: it must ask for some trait or aggregate.

    Which tree it names does not matter then, in Placement either.
    """
    shape = snapshot.shape
    for labels, wanted in ((shape.traits, group.traits), (shape.aggregates, group.aggregates)):
        if wanted.required:
            return rows_with(labels, wanted.required[0])
    return NONE


def _alone(shape: Shape, slot: Slot, rows: Rows) -> Supply:
    """One provider with all the traits and aggregates itself; its root's do not count."""
    rows = _carrying(rows, shape.traits, slot.group.traits)
    rows = _carrying(rows, shape.aggregates, slot.group.aggregates)
    shared = [(row, shape.sharing[row]) for row in rows.tolist() if row in shape.sharing]
    return _supply(shape, rows, shared)


def _spread(shape: Shape, slot: Slot, rows: Rows) -> Supply:
    """One class of the group that may be spread: in an aggregate is also whose root is.

    Required traits are a matter of all that are chosen together; forbidden ones of each.
    """
    group, root = slot.group, shape.trees.root
    rows = _carrying(rows, shape.traits, AnyOf((), group.traits.forbidden))
    inside = AnyOf(group.aggregates.required)
    bad = rows_with(shape.aggregates, group.aggregates.forbidden)
    mine = _are(rows, shape.aggregates, inside)
    by_root = _are(root[rows], shape.aggregates, inside)
    clean = ~among(rows, bad)
    own = rows[(mine | by_root) & clean & ~among(root[rows], bad)]
    shared = []
    if shape.sharing and not group.in_tree:
        good = np.ones(shape.size, dtype=np.bool_)
        good[bad] = False
        lenders = rows[mine & clean].tolist()
        shared = [(row, shape.sharing[row] & good) for row in lenders if row in shape.sharing]
    return _supply(shape, own, shared)


def _supply(shape: Shape, rows: Rows, shared: list[tuple[int, Mask]]) -> Supply:
    anchors = shape.trees.root[rows]
    order = np.argsort(anchors, kind="stable")
    return Supply(rows[order], anchors[order], tuple(shared))


def rows_with(labels: Labels, names: Iterable[str]) -> Rows:
    """Rows with at least one of the names, ascending."""
    parts = [labels.of(name) for name in names]
    if len(parts) == 1:
        return parts[0]
    found: Rows = np.unique(np.concatenate(parts)) if parts else NONE
    return found


def _carrying(rows: Rows, labels: Labels, wanted: AnyOf) -> Rows:
    return rows[_are(rows, labels, wanted)]


def _are(rows: Rows, labels: Labels, wanted: AnyOf) -> Mask:
    """Which of *rows*, in any order, are as *wanted* says."""
    mask = np.ones(len(rows), dtype=np.bool_)
    for clause in wanted.required:
        mask &= among(rows, rows_with(labels, clause))
    if wanted.forbidden:
        mask &= ~among(rows, rows_with(labels, wanted.forbidden))
    return mask
