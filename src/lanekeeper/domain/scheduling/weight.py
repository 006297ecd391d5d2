"""Weights: which of the hosts that fit is taken first."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from lanekeeper.domain.scheduling.fleet import Fleet, Numbers, Rows
from lanekeeper.domain.scheduling.host import ServerRequest

Weight = Callable[[ServerRequest, Fleet], Numbers]


def without_devices(request: ServerRequest, fleet: Fleet) -> Numbers:
    """Servers that need no device leave the hosts with free ones to those that do."""
    return np.zeros(len(fleet), np.int64) if request.needs else -fleet.free_devices


def free_memory(request: ServerRequest, fleet: Fleet) -> Numbers:
    """Spread servers: the more memory is free, the better."""
    return fleet.free.get("MEMORY_MB", np.zeros(len(fleet), np.int64))


WEIGHTS: tuple[Weight, ...] = (without_devices, free_memory)
"""The first that tells two hosts apart decides; equal hosts go by name."""


def by_weight(request: ServerRequest, fleet: Fleet, rows: Rows) -> Rows:
    """Sort *rows* of the fleet, the best host first."""
    columns = [-weight(request, fleet)[rows] for weight in reversed(WEIGHTS)]
    return rows[np.lexsort([rows, *columns])]
