"""What one process remembers about tokens so that a request need not ask the database again.

Nothing is believed longer than a second (who a token is) or a minute (which keys there are), so
what another controller changed counts here no later than that.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from datetime import datetime

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from lanekeeper.clock import Stopwatch, monotonic
from lanekeeper.control.caller import Caller
from lanekeeper.control.single_flight import SingleFlight

CALLER_AGE_S_MAX = 1.0
KEYS_AGE_S_MAX = 60.0
_KEYS_AGE_S_MIN = 1.0  # so that a flood of forged tokens is no flood of queries
_CALLERS_MAX = 4096


class TokenMemory:
    """Validated tokens and the keys that seal them. Thread-safe."""

    def __init__(self, stopwatch: Stopwatch = monotonic) -> None:
        self._stopwatch = stopwatch
        self._lock = threading.Lock()
        self._callers: OrderedDict[str, tuple[float, datetime, Caller]] = OrderedDict()
        self._flight = SingleFlight[tuple[float, MultiFernet]]()
        self._forgotten_s = float("-inf")
        self._keys: tuple[float, MultiFernet] | None = None

    # Callers --------------------------------------------------------------------------------------

    def now_s(self) -> float:
        """When a look at the database begins; ``remember`` wants it back."""
        return self._stopwatch()

    def recall(self, text: str, now: datetime) -> Caller | None:
        """Who *text* was at most a second ago, unless it has expired since."""
        with self._lock:
            seen_s, expires_at, caller = self._callers.get(text, (None, now, None))
        if seen_s is None or expires_at <= now:
            return None
        return caller if self._stopwatch() - seen_s <= CALLER_AGE_S_MAX else None

    def remember(self, text: str, seen_s: float, expires_at: datetime, caller: Caller) -> None:
        """Believe what a look that began at *seen_s* has found, unless all was forgotten since."""
        with self._lock:
            if seen_s < self._forgotten_s:
                return  # the look may have been before the change
            self._callers[text] = (seen_s, expires_at, caller)
            self._callers.move_to_end(text)
            while len(self._callers) > _CALLERS_MAX:
                self._callers.popitem(last=False)

    def forget(self) -> None:
        """Look everything up again; called after each change of users, roles or tokens."""
        with self._lock:
            self._forgotten_s = self._stopwatch()
            self._callers.clear()

    # Seals ----------------------------------------------------------------------------------------

    def seal(self, payload: bytes, load_keys: Callable[[], Sequence[str]]) -> str:
        """Seal *payload* with the newest key; *load_keys* lists all of them, newest first."""
        keys = self._known(load_keys, KEYS_AGE_S_MAX)
        return keys.encrypt(payload).decode().rstrip("=")

    def unseal(self, text: str, load_keys: Callable[[], Sequence[str]]) -> bytes | None:
        """Return the payload, or None when no key fits: forged, or from another installation."""
        padded = text + "=" * (-len(text) % 4)
        for age_s_max in (KEYS_AGE_S_MAX, _KEYS_AGE_S_MIN):  # a new key may not be known here yet
            try:
                return self._known(load_keys, age_s_max).decrypt(padded.encode())
            except InvalidToken:
                continue
        return None

    def forget_keys(self) -> None:
        self._keys = None

    def _known(self, load_keys: Callable[[], Sequence[str]], age_s_max: float) -> MultiFernet:
        keys = self._keys
        if keys is None or self._stopwatch() - keys[0] > age_s_max:
            keys = self._keys = self._flight.run(lambda: self._loaded(load_keys))
        return keys[1]

    def _loaded(self, load_keys: Callable[[], Sequence[str]]) -> tuple[float, MultiFernet]:
        return self._stopwatch(), MultiFernet([Fernet(key) for key in load_keys()])


def new_key() -> str:
    """A fresh key as it is kept in the database."""
    return Fernet.generate_key().decode()
