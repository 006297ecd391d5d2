"""Which providers there are and how they hang together, by rows."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from lanekeeper.domain.placement.rows import NONE, Mask, Rows

GONE = -1


@dataclass(frozen=True)
class Trees:
    """Which providers there are and how they hang together.

    Attributes:
        parent: row of the parent, GONE for a root.
        root: row of the root; GONE for a row whose provider was deleted.
    """

    ids: Sequence[str] = ()
    row_of: Mapping[str, int] = field(default_factory=dict)
    parent: Rows = field(default_factory=lambda: NONE)
    root: Rows = field(default_factory=lambda: NONE)

    def with_providers(
        self, changed: Collection[str], lines: Iterable[tuple[str, str | None, str]]
    ) -> Trees:
        """Return the trees in which of *changed* exactly those of *lines* exist."""
        told = {line[0]: line for line in lines}
        if all(self._is_as_told(id_, told.get(id_)) for id_ in changed):
            return self
        known = {None, *self.row_of, *told}
        # A row that hangs in the air must not stop the whole fleet; `verify` tells of it.
        there = {id_: line for id_, line in told.items() if {line[1], line[2]} <= known}
        added = [id_ for id_ in there if id_ not in self.row_of]
        ids, row_of = [*self.ids, *added], dict(self.row_of)
        row_of.update((id_, len(self.ids) + number) for number, id_ in enumerate(added))
        parent = np.concatenate([self.parent, np.full(len(added), GONE, np.int32)])
        root = np.concatenate([self.root, np.full(len(added), GONE, np.int32)])
        for id_, parent_id, root_id in there.values():
            parent[row_of[id_]] = GONE if parent_id is None else row_of[parent_id]
            root[row_of[id_]] = row_of[root_id]
        for id_ in changed:
            if id_ not in there and id_ in row_of:
                root[row_of.pop(id_)] = GONE
        return Trees(ids, row_of, parent, root)

    def _is_as_told(self, id_: str, line: tuple[str, str | None, str] | None) -> bool:
        row = self.row_of.get(id_)
        if row is None or line is None:
            return row is None and line is None
        _, parent_id, root_id = line
        parent = GONE if parent_id is None else self.row_of.get(parent_id)
        return bool(self.parent[row] == parent and self.root[row] == self.row_of.get(root_id))

    @cached_property
    def _by_root(self) -> tuple[Rows, Rows]:
        """Rows in the order of their roots, and the roots in that order."""
        order = np.argsort(self.root, kind="stable").astype(np.int32)
        return order, self.root[order]

    @cached_property
    def nested(self) -> bool:
        """Whether any provider has a parent."""
        return bool(((self.parent >= 0) & (self.root >= 0)).any())

    @cached_property
    def alive(self) -> Mask:
        return self.root >= 0

    def members(self, roots: Rows) -> Rows:
        """Every row of the trees with these root rows, tree by tree."""
        order, by = self._by_root
        starts = np.searchsorted(by, roots, "left")
        ends = np.searchsorted(by, roots, "right")
        parts = [order[start:end] for start, end in zip(starts, ends, strict=True)]
        return np.concatenate(parts) if parts else NONE

    def line(self, row: int) -> tuple[int, ...]:
        """A row and its ancestors, nearest first."""
        found = []
        while row >= 0 and row not in found:
            found.append(row)
            row = int(self.parent[row])
        return tuple(found)
