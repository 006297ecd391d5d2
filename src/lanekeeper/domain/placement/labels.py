"""Names that providers carry: their traits, or the aggregates that they are members of."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np

from lanekeeper.domain.placement.rows import NONE, Rows, among

_CHUNK = 256
"""Rows whose names are kept together: as much is copied when one of them changes."""
_UNNAMED: tuple[frozenset[str], ...] = (frozenset(),) * _CHUNK


@dataclass(frozen=True, slots=True)
class Labels:
    """Both ways round, and never changed: what stays the same is shared with the labels before.

    Attributes:
        rows_of: name to the rows that carry it, ascending; no name without a row.
        names_of: what each row carries, in chunks.
    """

    rows_of: Mapping[str, Rows] = field(default_factory=dict)
    names_of: tuple[tuple[frozenset[str], ...], ...] = ()

    def of(self, name: str) -> Rows:
        return self.rows_of.get(name, NONE)

    def carried_by(self, row: int) -> frozenset[str]:
        """Return the names that *row* carries."""
        place = row // _CHUNK
        return self.names_of[place][row % _CHUNK] if place < len(self.names_of) else frozenset()

    def with_rows(self, changed: Rows, pairs: Iterable[tuple[int, str]]) -> Labels:
        """Return labels in which rows *changed* (ascending) carry exactly what *pairs* say.

        The work is that of the names which some row gains or loses, not of all that there are.
        """
        gathered: dict[int, set[str]] = defaultdict(set)
        for row, name in pairs:
            gathered[row].add(name)
        same: dict[frozenset[str], frozenset[str]] = {}  # many rows carry the same
        told: dict[int, frozenset[str]] = {}
        gained: dict[str, list[int]] = defaultdict(list)
        lost: dict[str, list[int]] = defaultdict(list)
        for row in changed.tolist():
            names, before = frozenset(gathered.get(row, ())), self.carried_by(row)
            if names == before:
                continue
            told[row] = same.setdefault(names, names)
            for name in names - before:
                gained[name].append(row)
            for name in before - names:
                lost[name].append(row)
        if not told:
            return self
        result = dict(self.rows_of)
        for name in {**gained, **lost}:
            old = self.of(name)
            kept = old[~among(old, np.array(lost.get(name, ()), np.int32))]
            more = np.array(gained.get(name, ()), np.int32)
            now = np.insert(kept, np.searchsorted(kept, more), more)
            result[name] = now
            if not len(now):
                del result[name]
        return Labels(result, _with_names(self.names_of, told))


def _with_names(
    chunks: tuple[tuple[frozenset[str], ...], ...], told: Mapping[int, frozenset[str]]
) -> tuple[tuple[frozenset[str], ...], ...]:
    """Return *chunks* in which each row of *told* has these names."""
    by_chunk: dict[int, list[int]] = defaultdict(list)
    for row in told:
        by_chunk[row // _CHUNK].append(row)
    missing = max(by_chunk) + 1 - len(chunks)
    result = [*chunks, *((_UNNAMED,) * missing)]
    for place, rows in by_chunk.items():
        chunk = list(result[place])
        for row in rows:
            chunk[row % _CHUNK] = told[row]
        result[place] = tuple(chunk)
    return tuple(result)
