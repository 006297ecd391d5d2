"""Weights: which of the hosts that fit is taken first.

As in Nova, what a weigher says of the hosts is stretched over 0 to 1, taken as often as its
multiplier says, and added up.

Source: nova ``weights.py``, ``scheduler/weights``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import isfinite

import numpy as np
from numpy.typing import NDArray

from lanekeeper.domain.compute.server_group import GroupPolicy
from lanekeeper.domain.scheduling.fleet import Fleet, Numbers, Rows
from lanekeeper.domain.scheduling.host import ServerRequest, values_of
from lanekeeper.domain.scheduling.multiplier import Multipliers

_DEVICES_MAX = 100
Weigher = Callable[[ServerRequest, Fleet], Numbers]


def free_devices(request: ServerRequest, fleet: Fleet) -> Numbers:
    """The fewer devices are free, the better.

    So servers that need none leave the hosts that have some to those that do, and servers that
    need some fill one host before they break into the next.
    """
    return devices_weight(fleet.free_devices)


def devices_weight(free: Numbers) -> Numbers:
    """What so many free devices weigh: 100 for none down to 1 for 99 and more."""
    return _DEVICES_MAX - np.minimum(free, _DEVICES_MAX - 1)


def _free(resource_class: str) -> Weigher:
    def weigher(request: ServerRequest, fleet: Fleet) -> Numbers:
        return fleet.free.get(resource_class, np.zeros(len(fleet), np.int64))

    return weigher


def _members(policy: GroupPolicy, sign: int) -> Weigher:
    def weigher(request: ServerRequest, fleet: Fleet) -> Numbers:
        group = request.group
        if group is None or group.policy is not policy:
            return np.zeros(len(fleet), np.int64)
        counts = (sign * view.groups.get(group.id, 0) for view in fleet.views)
        return np.fromiter(counts, np.int64, len(fleet))

    return weigher


WEIGHERS: Mapping[str, Weigher] = {
    "pci": free_devices,
    "cpu": _free("VCPU"),
    "ram": _free("MEMORY_MB"),
    "disk": _free("DISK_GB"),
    "soft_affinity": _members(GroupPolicy.SOFT_AFFINITY, 1),
    "soft_anti_affinity": _members(GroupPolicy.SOFT_ANTI_AFFINITY, -1),
}
"""By the name of its multiplier."""


def by_weight(request: ServerRequest, fleet: Fleet, rows: Rows, multipliers: Multipliers) -> Rows:
    """Sort *rows* of the fleet, the best host first; equal hosts go by name."""
    if len(rows) == 0:
        return rows
    total = np.zeros(len(rows))
    for name, weigher in WEIGHERS.items():
        multiplier = _multiplier(name, fleet, rows, getattr(multipliers, name))
        if np.any(multiplier):
            total += multiplier * _stretched(weigher(request, fleet)[rows])
    # What differs only by how numbers are rounded is equal.
    return rows[np.lexsort([rows, -np.round(total, 9)])]


def _multiplier(
    name: str, fleet: Fleet, rows: Rows, configured: float
) -> float | NDArray[np.float64]:
    """How much a weigher counts for each of *rows*: aggregates may say otherwise for their hosts.

    Source: nova ``scheduler/utils.py``, get_weight_multiplier.
    """
    key = f"{name}_weight_multiplier"
    said = {
        code: number
        for aggregates, code in fleet.aggregates.of.items()
        if (number := _least(values_of(aggregates, key))) is not None
    }
    if not said:
        return configured
    by_code = np.full(max(fleet.aggregates.of.values()) + 1, configured)
    by_code[list(said)] = list(said.values())
    multipliers: NDArray[np.float64] = by_code[fleet.aggregates.column[rows]]
    return multipliers


def _least(texts: set[str]) -> float | None:
    """The least number of all; None where there is none, or one of them is no number."""
    try:
        numbers = [float(text) for text in texts]
    except ValueError:
        return None
    return min(numbers) if numbers and all(map(isfinite, numbers)) else None


def _stretched(values: Numbers) -> NDArray[np.float64]:
    least, most = values.min(), values.max()
    if least == most:
        return np.zeros(len(values))
    stretched: NDArray[np.float64] = (values - least) / (most - least)
    return stretched
