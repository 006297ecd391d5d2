"""Image v2, as Glance answers it."""

from __future__ import annotations

from typing import Any

from lanekeeper.api.faults import image_fault
from lanekeeper.api.image import data, definition, image, schema, version
from lanekeeper.api.row import Face, Row

_ROWS: tuple[Row[Any], ...] = (
    *version.ROWS,
    *image.ROWS,
    *data.ROWS,
    *schema.ROWS,
    *definition.ROWS,
)

FACE = Face(name="image", prefix="/image", rows=_ROWS, envelope=image_fault)
