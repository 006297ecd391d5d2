"""Telling a lost race from rows that are wrong."""

from __future__ import annotations

import psycopg
from sqlalchemy.exc import IntegrityError

from lanekeeper.store.tables import allocation, claim, pinned_cpu

_DECIDING = frozenset({claim.name, allocation.name, pinned_cpu.name})
_SQLITE = "UNIQUE constraint failed: "


def is_lost_race(error: IntegrityError) -> bool:
    """Whether a key of claims, CPUs or allocations was taken: by somebody who was faster."""
    told = error.orig
    if isinstance(told, psycopg.errors.UniqueViolation):
        return told.diag.table_name in _DECIDING
    _, _, column = str(told).partition(_SQLITE)
    return column.partition(".")[0] in _DECIDING
