"""When agents were last heard: kept in memory, written together now and then."""

from __future__ import annotations

import threading
from collections.abc import Collection, Mapping
from datetime import datetime, timedelta

import sqlalchemy as sa

from lanekeeper.clock import Clock
from lanekeeper.store.batch import batches
from lanekeeper.store.database import Database
from lanekeeper.store.host.host import hosts_hold_idle, hosts_refused, hosts_seen

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
        """Write what has been collected, some hosts at a time.

        A heartbeat waits for nobody and has nobody wait: hosts that are at work in another
        transaction are passed over, and kept for the next time with all that could not be written.

        Raises:
            Unavailable: the database cannot be written.
        """
        with self._lock:
            seen, self._seen = self._seen, {}
            refused, self._refused = self._refused, {}
        left = seen.keys() | refused.keys()
        try:
            for batch in batches(left):
                left = (left - set(batch)) | self._write(batch, seen, refused)
        finally:  # whatever went wrong: what was heard is not forgotten
            with self._lock:
                self._seen = _only(seen, left) | self._seen
                self._refused = _only(refused, left) | self._refused

    def _write(
        self, host_ids: list[str], seen: Mapping[str, datetime], refused: Mapping[str, datetime]
    ) -> set[str]:
        """Write what was heard of these hosts; returns those that have to wait."""

        def work(connection: sa.Connection) -> set[str]:
            busy = hosts_hold_idle(connection, host_ids)
            free = set(host_ids) - busy
            hosts_seen(connection, _only(seen, free).items())
            hosts_refused(connection, _only(refused, free))
            return busy

        return self._database.write(work)


def _only(heard: Mapping[str, datetime], host_ids: Collection[str]) -> dict[str, datetime]:
    return {host_id: at for host_id, at in heard.items() if host_id in host_ids}


def is_alive(seen_at: datetime | None, now: datetime, down_after_s: float) -> bool:
    """Whether an agent last heard at *seen_at* counts as up."""
    return seen_at is not None and now - seen_at <= timedelta(seconds=down_after_s)
