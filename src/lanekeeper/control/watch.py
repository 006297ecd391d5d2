"""Hears what other controllers on the same database have ordered, and rings the bells here."""

from __future__ import annotations

import threading

import sqlalchemy as sa

from lanekeeper.control.site import Site
from lanekeeper.domain.errors import Unavailable
from lanekeeper.store.tables import host

INTERVAL_S = 0.25


class Watch:
    """Looks at every host's generation four times a second, on a thread of its own.

    SQLite has one controller, which rings its own bells, so there is nothing to watch.
    """

    def __init__(self, site: Site) -> None:
        self._site = site
        self._known: dict[str, int] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watch", daemon=True)

    def start(self) -> None:
        if self._site.database.engine.dialect.name != "sqlite":
            self._thread.start()

    def look(self) -> None:
        """Ring for each host whose generation is not the one seen last."""
        with self._site.database.read() as connection:
            rows = connection.execute(sa.select(host.c.id, host.c.generation)).all()
        for host_id, generation in rows:
            if self._known.get(host_id) != generation:
                self._known[host_id] = generation
                self._site.bells.ring(host_id)

    def close(self) -> None:
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        while not self._stop.wait(INTERVAL_S):
            try:
                self.look()
            except Unavailable:
                continue  # every request says so; this only comes back
