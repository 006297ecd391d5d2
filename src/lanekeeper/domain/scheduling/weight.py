"""Weights: which of the hosts that fit is taken first.

As in Nova, what a weigher says of the hosts is stretched over 0 to 1, taken as often as its
multiplier says, and added up.

Source: nova ``weights.py``, ``scheduler/weights``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from lanekeeper.domain.scheduling.fleet import Fleet, Numbers, Rows
from lanekeeper.domain.scheduling.host import ServerRequest
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


WEIGHERS: Mapping[str, Weigher] = {
    "pci": free_devices,
    "cpu": _free("VCPU"),
    "ram": _free("MEMORY_MB"),
    "disk": _free("DISK_GB"),
}
"""By the name of its multiplier."""


def by_weight(request: ServerRequest, fleet: Fleet, rows: Rows, multipliers: Multipliers) -> Rows:
    """Sort *rows* of the fleet, the best host first; equal hosts go by name."""
    if len(rows) == 0:
        return rows
    total = np.zeros(len(rows))
    for name, weigher in WEIGHERS.items():
        if multiplier := getattr(multipliers, name):
            total += multiplier * _stretched(weigher(request, fleet)[rows])
    # What differs only by how numbers are rounded is equal.
    return rows[np.lexsort([rows, -np.round(total, 9)])]


def _stretched(values: Numbers) -> NDArray[np.float64]:
    least, most = values.min(), values.max()
    if least == most:
        return np.zeros(len(values))
    stretched: NDArray[np.float64] = (values - least) / (most - least)
    return stretched
