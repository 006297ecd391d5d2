"""Whether this controller can do its work now."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import sqlalchemy as sa

from lanekeeper.control.site import Site
from lanekeeper.domain.errors import Unavailable
from lanekeeper.store.tables import host


@dataclass(frozen=True, slots=True)
class Readiness:
    """``checks`` names each thing looked at and says ``ok`` or what is wrong with it."""

    ready: bool
    checks: Mapping[str, str]


def readiness(site: Site) -> Readiness:
    try:
        with site.database.read() as connection:
            connection.scalar(sa.select(sa.func.count()).select_from(host))
    except Unavailable as error:
        return Readiness(ready=False, checks={"database": str(error)})
    return Readiness(ready=True, checks={"database": "ok"})
