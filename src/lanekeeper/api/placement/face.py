"""Placement, 1.0 to 1.39."""

from __future__ import annotations

from typing import Any

from lanekeeper.api.faults import placement_fault
from lanekeeper.api.microversion import Versions
from lanekeeper.api.placement import (
    aggregates,
    allocations,
    candidates,
    inventories,
    reshaper,
    resource_classes,
    resource_providers,
    traits,
    usages,
)
from lanekeeper.api.placement.service import build
from lanekeeper.api.placement.version import LEAST, MOST
from lanekeeper.api.placement.views import BASES, PREFIX, fresh
from lanekeeper.api.row import Call, Face, Reply, Row

VERSIONS = Versions(service="placement", least=LEAST, most=MOST)


def versions(call: Call[bytes]) -> Reply:
    """Say which versions there are; a version that is not there is refused before (406)."""
    body = {
        "versions": [
            {
                "id": "v1.0",
                "status": "CURRENT",
                "min_version": str(LEAST),
                "max_version": str(MOST),
                "links": [{"rel": "self", "href": ""}],
            }
        ]
    }
    return fresh(call, body)


ROWS: tuple[Row[Any], ...] = (
    Row(method="GET", path="/", handler=versions),
    *reshaper.ROWS,
    *resource_providers.ROWS,
    *inventories.ROWS,
    *traits.ROWS,
    *aggregates.ROWS,
    *resource_classes.ROWS,
    *allocations.ROWS,
    *usages.ROWS,
    *candidates.ROWS,
)
FACE = Face(
    name="placement",
    prefix=PREFIX,
    rows=ROWS,
    envelope=placement_fault,
    versions=VERSIONS,
    body_bytes_max=8 * 2**20,  # a reshape carries a whole site's inventories
    bases=BASES,
    build=build,
)
