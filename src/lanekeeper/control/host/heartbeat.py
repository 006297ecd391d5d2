"""When agents were last heard: kept in memory, written in one batch now and then."""

from __future__ import annotations

import threading
from datetime import datetime, timedelta

import sqlalchemy as sa

from lanekeeper.clock import Clock
from lanekeeper.store.database import Database
from lanekeeper.store.host.host import hosts_refused, hosts_seen

FLUSH_EVERY_S = 10.0
"""What is lost with the process is at most this old, far less than an agent takes to be down."""


_REFUSED_MAX = 1000
"""Whoever is refused names a host, which may be none."""


class Heartbeats:
    """Collects heartbeats and refusals; whoever made it calls ``flush`` every FLUSH_EVERY_S."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._lock = threading.Lock()
        self._seen: dict[str, datetime] = {}
        self._refused: dict[str, datetime] = {}

    def seen(self, host_id: str) -> None:
        with self._lock:
            self._seen[host_id] = self._clock()

    def refused(self, host_id: str) -> None:
        """Somebody came in the name of a host, without its credential."""
        with self._lock:
            if len(self._refused) < _REFUSED_MAX:
                self._refused[host_id] = self._clock()

    def flush(self) -> None:
        """Write what has been collected; on failure it is kept for the next time.

        Raises:
            Unavailable: the database cannot be written.
        """
        with self._lock:
            batch, self._seen = self._seen, {}
            refused, self._refused = self._refused, {}
        if not batch and not refused:
            return

        def work(connection: sa.Connection) -> None:
            hosts_seen(connection, batch.items())
            hosts_refused(connection, refused)

        try:
            self._database.write(work)
        except Exception:  # whatever it was: what was heard is not forgotten
            with self._lock:
                self._seen = batch | self._seen
                self._refused = refused | self._refused
            raise


def is_alive(seen_at: datetime | None, now: datetime, down_after_s: float) -> bool:
    """Whether an agent last heard at *seen_at* counts as up."""
    return seen_at is not None and now - seen_at <= timedelta(seconds=down_after_s)
