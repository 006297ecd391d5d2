"""Hears what other controllers on the same database have ordered, and rings the bells here."""

from __future__ import annotations

import sqlalchemy as sa

from lanekeeper.control.site import Site
from lanekeeper.store.tables import host

LOOK_EVERY_S = 0.25


class Watch:
    """Knows every host's generation as it was seen last.

    SQLite has one controller, which rings its own bells, so there is nothing to watch.
    """

    def __init__(self, site: Site) -> None:
        self._site = site
        self._known: dict[str, int] = {}
        self.is_needed = site.database.engine.dialect.name != "sqlite"

    def look(self) -> None:
        """Ring for each host whose generation is not the one seen last.

        Raises:
            Unavailable: the database cannot be read.
        """
        with self._site.database.read() as connection:
            rows = connection.execute(sa.select(host.c.id, host.c.generation)).all()
        for host_id, generation in rows:
            if self._known.get(host_id) != generation:
                self._known[host_id] = generation
                self._site.bells.ring(host_id)
