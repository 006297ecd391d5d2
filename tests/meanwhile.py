"""What happens between two steps of a caller: a rival, or a database that goes away."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import Any, cast

import sqlalchemy as sa

from lanekeeper.control.site import Site
from lanekeeper.store.database import Database


@dataclass
class _Meanwhile:
    database: Database
    happens: Callable[[], object]

    def read(self) -> AbstractContextManager[sa.Connection]:
        return self.database.read()

    def write(self, work: Callable[[sa.Connection], Any]) -> Any:
        self.happens()
        return self.database.write(work)


def meanwhile(site: Site, happens: Callable[[], object]) -> Site:
    """The same site for a caller, before each of whose writes something else *happens*."""
    return replace(site, database=cast(Database, _Meanwhile(site.database, happens)))
