"""One look at the database at a time, whose outcome goes to all who waited for it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

from lanekeeper.domain.errors import Unavailable

T = TypeVar("T")

_LANDS_WITHIN_S = 60.0
"""Longer than a look may take: the database's own bounds end it before."""


class _Flight(Generic[T]):
    """One look that is to begin: who boards before it begins gets what it finds."""

    def __init__(self) -> None:
        self.led = False
        self.landed = threading.Event()
        self.found: list[T] = []
        self.failure: BaseException | None = None


class SingleFlight(Generic[T]):
    """Lets one caller look while the others wait. Thread-safe.

    What a caller gets began after it had asked, so it is never older than the question. A failure
    goes to all who wait at that moment, or a database that does not answer would keep each of
    them, one after the other, for as long as it keeps one.

    Source: the name is that of Go's ``golang.org/x/sync/singleflight``, which answers from a look
    that had begun before.
    """

    def __init__(self, lands_within_s: float = _LANDS_WITHIN_S) -> None:
        self._lands_within_s = lands_within_s
        self._lock = threading.Lock()
        self._runway = threading.Lock()
        self._boarding: _Flight[T] | None = None

    def run(self, look: Callable[[], T]) -> T:
        """What *look* returns or raises, or that of another caller who began after this call.

        Raises:
            Unavailable: a look takes longer than any should.
        """
        with self._lock:
            if self._boarding is None:
                self._boarding = _Flight()
            flight = self._boarding
            leads, flight.led = not flight.led, True
        if leads:
            self._lead(flight, look)
        if not flight.landed.wait(self._lands_within_s):
            raise self._late()
        if flight.failure is not None:
            raise flight.failure
        return flight.found[0]

    def _lead(self, flight: _Flight[T], look: Callable[[], T]) -> None:
        """Look once the one before has landed; after too long a wait all give up who wait."""
        if not self._runway.acquire(timeout=self._lands_within_s):
            with self._lock:
                if self._boarding is flight:
                    self._boarding = None
            flight.failure = self._late()
            flight.landed.set()
            return
        try:
            self._fly(flight, look)
        finally:
            self._runway.release()

    def _late(self) -> Unavailable:
        return Unavailable(f"the database was not read within {self._lands_within_s:g} s")

    def _fly(self, flight: _Flight[T], look: Callable[[], T]) -> None:
        with self._lock:
            if flight.landed.is_set():  # with the failure of the one before
                return
            self._boarding = None
        try:
            flight.found.append(look())
        except BaseException as error:
            flight.failure = error
            with self._lock:
                waiting, self._boarding = self._boarding, None
            if waiting is not None:
                waiting.failure = error
                waiting.landed.set()
            raise
        finally:
            flight.landed.set()
