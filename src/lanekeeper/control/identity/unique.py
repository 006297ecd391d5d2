"""Writes whose names are kept apart by the database."""

from __future__ import annotations

from typing import TypeVar

from sqlalchemy.exc import IntegrityError

from lanekeeper.control.site import Site
from lanekeeper.domain.errors import Conflict
from lanekeeper.store.writer import Work

T = TypeVar("T")


def write_unique(site: Site, work: Work[T], taken: str) -> T:
    """Run *work* in one transaction.

    Raises:
        Conflict: a key of the database refused it; *taken* is what the caller is told.
    """
    try:
        return site.database.write(work)
    except IntegrityError as error:
        raise Conflict(taken) from error
