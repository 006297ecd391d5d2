"""Lanekeeper's own operations, beside OpenStack's."""

from __future__ import annotations

from typing import Any

from lanekeeper.api.faults import own_fault
from lanekeeper.api.lanekeeper import capacity, device, explain, host, port, usage
from lanekeeper.api.row import Face, Row

ROWS: tuple[Row[Any], ...] = (
    *host.ROWS,
    *device.ROWS,
    *port.ROWS,
    *explain.ROWS,
    *capacity.ROWS,
    *usage.ROWS,
)
FACE = Face(name="lanekeeper", prefix="/lanekeeper/v1", rows=ROWS, envelope=own_fault)
