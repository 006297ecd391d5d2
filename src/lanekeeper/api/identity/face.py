"""Identity v3, as Keystone answers it."""

from __future__ import annotations

from typing import Any

from lanekeeper.api.faults import identity_fault
from lanekeeper.api.identity import (
    application_credential,
    assignment,
    catalog,
    domain,
    limit,
    project,
    role,
    token,
    user,
    version,
)
from lanekeeper.api.row import Face, Row

_ROWS: tuple[Row[Any], ...] = (
    *version.ROWS,
    *token.ROWS,
    *catalog.ROWS,
    *domain.ROWS,
    *project.ROWS,
    *user.ROWS,
    *application_credential.ROWS,
    *role.ROWS,
    *assignment.ROWS,
    *limit.ROWS,
)

FACE = Face(name="identity", prefix="/identity", rows=_ROWS, envelope=identity_fault)
