"""When agents were last heard: kept in memory, written in one batch now and then."""

from __future__ import annotations

import threading
from datetime import datetime, timedelta

from lanekeeper.clock import Clock
from lanekeeper.domain.errors import Unavailable
from lanekeeper.store.database import Database
from lanekeeper.store.host import hosts_seen


class Heartbeats:
    """Collects heartbeats and flushes them every *interval_s* seconds on a thread of its own.

    What is lost with the process is at most one interval old, far less than the time after which
    an agent counts as down.
    """

    def __init__(self, database: Database, clock: Clock, interval_s: float = 10.0) -> None:
        self._database = database
        self._clock = clock
        self._interval_s = interval_s
        self._lock = threading.Lock()
        self._seen: dict[str, datetime] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="heartbeats", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def seen(self, host_id: str) -> None:
        with self._lock:
            self._seen[host_id] = self._clock()

    def flush(self) -> None:
        """Write what has been collected; on failure it is kept for the next time."""
        with self._lock:
            batch, self._seen = self._seen, {}
        if not batch:
            return
        try:
            self._database.write(lambda connection: hosts_seen(connection, batch.items()))
        except Unavailable:
            with self._lock:
                self._seen = batch | self._seen

    def close(self) -> None:
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()
        self.flush()

    def _run(self) -> None:
        while not self._stop.wait(self._interval_s):
            self.flush()


def is_alive(seen_at: datetime | None, now: datetime, down_after_s: float) -> bool:
    """Whether an agent last heard at *seen_at* counts as up."""
    return seen_at is not None and now - seen_at <= timedelta(seconds=down_after_s)
