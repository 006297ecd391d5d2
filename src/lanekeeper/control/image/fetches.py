"""Long copies that go on whoever waits for them: few at once, one for each thing."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path

_AT_ONCE = 4


class Fetches:
    """Runs copies on threads of their own. Thread-safe.

    Whoever asks for a thing that is being fetched waits for that fetch.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running: dict[str, Future[Path]] = {}
        self._places = threading.Semaphore(_AT_ONCE)
        self.closed = False

    def start(self, key: str, fetch: Callable[[], Path]) -> Future[Path]:
        """Have *fetch* run, unless one for *key* is running; the future ends as it ends."""
        with self._lock:
            running = self._running.get(key)
            if running is not None:
                return running
            future: Future[Path] = Future()
            future.set_running_or_notify_cancel()  # who goes away does not end it for the others
            self._running[key] = future
        threading.Thread(
            target=self._run, args=(key, fetch, future), name=f"fetch-{key[:8]}", daemon=True
        ).start()
        return future

    def close(self) -> None:
        """Let what runs see that nobody wants it any more."""
        self.closed = True

    def _run(self, key: str, fetch: Callable[[], Path], future: Future[Path]) -> None:
        try:
            with self._places:
                found = fetch()
        except Exception as error:  # handed to whoever waits
            self._forget(key)
            future.set_exception(error)
        else:
            self._forget(key)
            future.set_result(found)

    def _forget(self, key: str) -> None:
        with self._lock:
            del self._running[key]
