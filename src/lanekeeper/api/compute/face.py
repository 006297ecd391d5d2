"""Compute v2.1, as Nova answers it."""

from __future__ import annotations

from typing import Any

from lanekeeper.api.compute import (
    aggregate,
    extension,
    flavor,
    hypervisor,
    keypair,
    quota,
    server,
    server_action,
    server_group,
    server_note,
    server_part,
    usage,
    version,
)
from lanekeeper.api.faults import compute_fault
from lanekeeper.api.row import Face, Row

_ROWS: tuple[Row[Any], ...] = (
    *version.ROWS,
    *flavor.ROWS,
    *server.ROWS,
    *server_action.ROWS,
    *server_note.ROWS,
    *server_part.ROWS,
    *keypair.ROWS,
    *aggregate.ROWS,
    *hypervisor.ROWS,
    *quota.ROWS,
    *usage.ROWS,
    *extension.ROWS,
    *server_group.ROWS,
)

FACE = Face(
    name="compute",
    prefix="/compute",
    rows=_ROWS,
    envelope=compute_fault,
    versions=version.VERSIONS,
)
