"""Compute v2.1, as Nova answers it."""

from __future__ import annotations

from typing import Any

from lanekeeper.api.compute import flavor, server, server_action, version
from lanekeeper.api.faults import compute_fault
from lanekeeper.api.row import Face, Row

_ROWS: tuple[Row[Any], ...] = (
    *version.ROWS,
    *flavor.ROWS,
    *server.ROWS,
    *server_action.ROWS,
)

FACE = Face(
    name="compute",
    prefix="/compute",
    rows=_ROWS,
    envelope=compute_fault,
    versions=version.VERSIONS,
)
