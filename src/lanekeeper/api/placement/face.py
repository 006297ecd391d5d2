"""Placement, 1.0 to 1.39."""

from __future__ import annotations

from typing import Any

from lanekeeper.api.faults import placement_fault
from lanekeeper.api.microversion import Microversion, Versions
from lanekeeper.api.placement import (
    allocations,
    candidates,
    inventories,
    names,
    resource_providers,
)
from lanekeeper.api.placement.views import PREFIX, rule
from lanekeeper.api.row import Call, Face, Row
from lanekeeper.domain.errors import NotOffered

VERSIONS = Versions(service="placement", least=Microversion(1, 0), most=Microversion(1, 39))


def versions(call: Call[None]) -> dict[str, Any]:
    """Say which versions there are; a version that is not there is refused before (406)."""
    return {
        "versions": [
            {
                "id": "v1.0",
                "status": "CURRENT",
                "min_version": str(VERSIONS.least),
                "max_version": str(VERSIONS.most),
                "links": [{"rel": "self", "href": ""}],
            }
        ]
    }


def reshape(call: Call[None]) -> None:
    """Refuse to move inventories between providers."""
    raise NotOffered(
        "the reshaper is not there",
        hint="providers of hosts and devices follow what the hosts report",
    )


ROWS: tuple[Row[Any], ...] = (
    Row(method="GET", path="/", handler=versions),
    Row(
        method="POST",
        path="/reshaper",
        handler=reshape,
        policy=rule("reshaper:reshape", "role:admin or role:service"),
        since="1.30",
    ),
    *resource_providers.ROWS,
    *inventories.ROWS,
    *names.ROWS,
    *allocations.ROWS,
    *candidates.ROWS,
)
FACE = Face(name="placement", prefix=PREFIX, rows=ROWS, envelope=placement_fault, versions=VERSIONS)
