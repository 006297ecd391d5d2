"""All hosts at one moment, as views and in columns: what filters and weights ask of all at once."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lanekeeper.domain.scheduling.host import HostView

Flags = NDArray[np.bool_]
Numbers = NDArray[np.int64]
Rows = NDArray[np.intp]

_SHAPES_KEPT = 1_000
"""Shapes that no host has any more and that are carried along before they are forgotten."""


@dataclass(frozen=True, slots=True)
class Codes:
    """A column of values that are not numbers: *of* says which number stands for which."""

    column: Numbers
    of: Mapping[Any, int]

    @classmethod
    def encode(cls, values: Sequence[object]) -> Codes:
        of: dict[object, int] = {}
        column = [of.setdefault(value, len(of)) for value in values]
        return cls(np.array(column, np.int64), of)

    def is_(self, value: object) -> Flags:
        return np.equal(self.column, self.of.get(value, -1))

    def where(self, passes: Callable[[Any], bool]) -> Flags:
        """Which rows have a value that *passes*: asked once for each value, not for each row."""
        passing = np.zeros(max(self.of.values(), default=-1) + 1, np.bool_)
        for value, code in self.of.items():
            passing[code] = passes(value)
        return passing[self.column]

    def with_values(self, rows: Sequence[int], values: Sequence[object]) -> Codes:
        of = self.of
        if any(value not in of for value in values):
            if len(of) > 2 * len(self.column) + _SHAPES_KEPT:
                of = _in_use(of, self.column)
            of, unused = dict(of), max(of.values(), default=-1) + 1
            for value in values:
                unused += of.setdefault(value, unused) == unused
        column = self.column.copy()
        column[list(rows)] = [of[value] for value in values]
        return Codes(column, of)


def _in_use(of: Mapping[object, int], column: Numbers) -> dict[object, int]:
    used = set(column.tolist())
    return {value: code for value, code in of.items() if code in used}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Fleet:
    """Row *n* of every column tells of ``views[n]``. Never edited: a change makes another one.

    Attributes:
        views: every host, by name.
        row_of: host id to row.
        free: resource class to what is free of it, which may be below zero.
        reached: physical network to whether a host's PFs reach it.
        switched: physical network to whether a host has a virtual switch on it.
        guarding: whether a host guards ports of its virtual switches.
        pairing: whether its guests can have failover pairs.
        free_devices: how many listed devices can be had.
        shapes: ``HostView.device_shape``; numa_shapes: ``HostView.numa_shape``.
        aggregates: ``HostView.aggregates``.
        platforms: ``HostView.platform``.
    """

    views: tuple[HostView, ...] = ()
    row_of: Mapping[str, int] = field(default_factory=dict)
    enabled: Flags = field(default_factory=lambda: np.zeros(0, np.bool_))
    alive: Flags = field(default_factory=lambda: np.zeros(0, np.bool_))
    thawed: Flags = field(default_factory=lambda: np.zeros(0, np.bool_))
    zones: Codes = field(default_factory=lambda: Codes.encode(()))
    free: Mapping[str, Numbers] = field(default_factory=dict)
    reached: Mapping[str, Flags] = field(default_factory=dict)
    switched: Mapping[str, Flags] = field(default_factory=dict)
    guarding: Flags = field(default_factory=lambda: np.zeros(0, np.bool_))
    pairing: Flags = field(default_factory=lambda: np.zeros(0, np.bool_))
    free_devices: Numbers = field(default_factory=lambda: np.zeros(0, np.int64))
    shapes: Codes = field(default_factory=lambda: Codes.encode(()))
    numa_shapes: Codes = field(default_factory=lambda: Codes.encode(()))
    aggregates: Codes = field(default_factory=lambda: Codes.encode(()))
    platforms: Codes = field(default_factory=lambda: Codes.encode(()))

    @classmethod
    def of(cls, views: Iterable[HostView]) -> Fleet:
        """Take hosts in any order; their names are unique."""
        ordered = tuple(sorted(views, key=lambda view: view.name))
        classes = {name for view in ordered for name in view.stocks}
        networks = {name for view in ordered for name in view.physical_networks}
        switched = {name for view in ordered for name in view.bridges}
        return cls(
            views=ordered,
            row_of={view.id: row for row, view in enumerate(ordered)},
            enabled=_flags(ordered, _enabled),
            alive=_flags(ordered, _alive),
            thawed=_flags(ordered, _thawed),
            zones=Codes.encode([view.zone for view in ordered]),
            free={name: _numbers(ordered, _free_of(name)) for name in classes},
            reached={name: _flags(ordered, _reaches(name)) for name in networks},
            switched={name: _flags(ordered, _switches(name)) for name in switched},
            guarding=_flags(ordered, _guards),
            pairing=_flags(ordered, _pairs),
            free_devices=_numbers(ordered, _free_devices),
            shapes=Codes.encode([view.device_shape for view in ordered]),
            numa_shapes=Codes.encode([view.numa_shape for view in ordered]),
            aggregates=Codes.encode([view.aggregates for view in ordered]),
            platforms=Codes.encode([view.platform for view in ordered]),
        )

    def __len__(self) -> int:
        return len(self.views)

    def view(self, host_id: str) -> HostView | None:
        row = self.row_of.get(host_id)
        return None if row is None else self.views[row]

    def row_by_name(self, name: str) -> int | None:
        row = bisect_left(self.views, name, key=lambda view: view.name)
        return row if row < len(self.views) and self.views[row].name == name else None

    def with_views(self, changed: Mapping[str, HostView | None]) -> Fleet:
        """Return the fleet in which each host of *changed*, by id, is as told; None is gone."""
        rows, views = [], []
        for host_id, view in changed.items():
            row = self.row_of.get(host_id)
            if row is None and view is None:
                continue
            if row is None or view is None or view.name != self.views[row].name:
                known = {**{one.id: one for one in self.views}, **changed}
                return Fleet.of(one for one in known.values() if one is not None)
            if view != self.views[row]:
                rows.append(row)
                views.append(view)
        return self._patched(rows, views) if rows else self

    def _patched(self, rows: Sequence[int], views: Sequence[HostView]) -> Fleet:
        everyone = list(self.views)
        for row, view in zip(rows, views, strict=True):
            everyone[row] = view
        classes = {*self.free, *(name for view in views for name in view.stocks)}
        networks = {*self.reached, *(name for view in views for name in view.physical_networks)}
        switched = {*self.switched, *(name for view in views for name in view.bridges)}
        nothing, nowhere = np.zeros(len(self), np.int64), np.zeros(len(self), np.bool_)

        def put(column: NDArray[Any], what: Callable[[HostView], object]) -> NDArray[Any]:
            patched = column.copy()
            patched[list(rows)] = [what(view) for view in views]
            return patched

        return replace(
            self,
            views=tuple(everyone),
            enabled=put(self.enabled, _enabled),
            alive=put(self.alive, _alive),
            thawed=put(self.thawed, _thawed),
            zones=self.zones.with_values(rows, [view.zone for view in views]),
            free={name: put(self.free.get(name, nothing), _free_of(name)) for name in classes},
            reached={
                name: put(self.reached.get(name, nowhere), _reaches(name)) for name in networks
            },
            switched={
                name: put(self.switched.get(name, nowhere), _switches(name)) for name in switched
            },
            guarding=put(self.guarding, _guards),
            pairing=put(self.pairing, _pairs),
            free_devices=put(self.free_devices, _free_devices),
            shapes=self.shapes.with_values(rows, [view.device_shape for view in views]),
            numa_shapes=self.numa_shapes.with_values(rows, [view.numa_shape for view in views]),
            aggregates=self.aggregates.with_values(rows, [view.aggregates for view in views]),
            platforms=self.platforms.with_values(rows, [view.platform for view in views]),
        )


def everyone(fleet: Fleet) -> Flags:
    """Pass all hosts."""
    return np.ones(len(fleet), np.bool_)


def nobody(fleet: Fleet) -> Flags:
    """Pass none."""
    return np.zeros(len(fleet), np.bool_)


def _flags(views: Sequence[HostView], what: Callable[[HostView], bool]) -> Flags:
    return np.fromiter(map(what, views), np.bool_, len(views))


def _numbers(views: Sequence[HostView], what: Callable[[HostView], int]) -> Numbers:
    return np.fromiter(map(what, views), np.int64, len(views))


def _enabled(view: HostView) -> bool:
    return view.enabled


def _alive(view: HostView) -> bool:
    return view.alive


def _thawed(view: HostView) -> bool:
    return not view.frozen_reason


def _guards(view: HostView) -> bool:
    return view.guards


def _pairs(view: HostView) -> bool:
    return view.pairs


def _free_devices(view: HostView) -> int:
    return view.free_devices


def _free_of(resource_class: str) -> Callable[[HostView], int]:
    return lambda view: view.stock(resource_class).free


def _reaches(network: str) -> Callable[[HostView], bool]:
    return lambda view: network in view.physical_networks


def _switches(network: str) -> Callable[[HostView], bool]:
    return lambda view: network in view.bridges
