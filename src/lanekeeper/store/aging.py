"""Records that are kept for a time, and no more than so many: what is beyond either goes."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from lanekeeper.store.batch import MOST


@dataclass(frozen=True, slots=True)
class Aging:
    """Rows of *table*, which has ``id`` and ``at``; of them those that *among* holds for."""

    table: sa.Table
    among: sa.ColumnElement[bool]

    def beyond(self, connection: sa.Connection, kept: int) -> datetime | None:
        """When the youngest of those was that come after the *kept* youngest; None for fewer."""
        at = self.table.c.at
        moments = sa.select(at).where(self.among).order_by(at.desc())
        found: datetime | None = connection.scalar(moments.offset(kept).limit(1))
        return found

    def forget(self, connection: sa.Connection, until: datetime) -> int:
        """Delete what was *until* then and before, the oldest first.

        At most as many as go into one statement; returns how many those were.
        """
        id_, at = self.table.c.id, self.table.c.at
        oldest = sa.select(id_).where(self.among, at <= until).order_by(at).limit(MOST)
        ids = connection.scalars(oldest).all()
        if ids:
            connection.execute(self.table.delete().where(id_.in_(ids)))
        return len(ids)
