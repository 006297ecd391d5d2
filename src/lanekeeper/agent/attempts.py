"""How often something was tried in vain, and when it may be tried again."""

from __future__ import annotations

from dataclasses import dataclass
from threading import Lock

from lanekeeper.clock import Stopwatch
from lanekeeper.domain.errors import Error, Invalid, Unavailable

TRIES_MAX = 4
FIRST_WAIT_S = 1.0
_LONGEST_WAIT_S = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """The failures of one thing.

    Attributes:
        order: what was to be done; another order starts from zero.
        next_s: on the stopwatch, when to try again.
        given_up: nothing will be tried until the order changes.
    """

    order: str
    failures: int
    problem: str
    next_s: float
    given_up: bool


class Attempts:
    """Failures by key (a server's or a device's id). Thread-safe."""

    def __init__(self, stopwatch: Stopwatch, first_wait_s: float = FIRST_WAIT_S) -> None:
        self._stopwatch = stopwatch
        self._first_wait_s = first_wait_s
        self._lock = Lock()
        self._by_key: dict[str, Attempt] = {}

    def get(self, key: str) -> Attempt | None:
        with self._lock:
            return self._by_key.get(key)

    def is_due(self, key: str, order: str) -> bool:
        """Whether *order* may be tried now."""
        last = self.get(key)
        if last is None or last.order != order:
            return True
        return not last.given_up and last.next_s <= self._stopwatch()

    def failed(self, key: str, order: str, error: Error, *, endless: bool = False) -> Attempt:
        """Note a failure; *endless* orders are never given up.

        What is invalid is given up at once; what waits for another machine never is.
        """
        with self._lock:
            last = self._by_key.get(key)
            before = last.failures if last is not None and last.order == order else 0
            failures = before + 1
            hopeless = isinstance(error, Invalid) or failures >= TRIES_MAX
            attempt = Attempt(
                order=order,
                failures=failures,
                problem=f"{error} ({error.hint})" if error.hint else str(error),
                next_s=self._stopwatch() + min(self._first_wait_s * 2**before, _LONGEST_WAIT_S),
                given_up=hopeless and not endless and not isinstance(error, Unavailable),
            )
            self._by_key[key] = attempt
            return attempt

    def succeeded(self, key: str) -> None:
        with self._lock:
            self._by_key.pop(key, None)

    def keep(self, keys: frozenset[str]) -> None:
        """Forget all but *keys*: what is no longer wanted needs no memory."""
        with self._lock:
            self._by_key = {key: one for key, one in self._by_key.items() if key in keys}

    def wait_s(self) -> float | None:
        """Seconds until the next thing may be tried again; None when there is none."""
        with self._lock:
            times = [one.next_s for one in self._by_key.values() if not one.given_up]
        return max(0.0, min(times) - self._stopwatch()) if times else None
