"""The time, handed in wherever it is needed so that a test can turn the hands."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime

Clock = Callable[[], datetime]
"""Returns the present moment, aware, in UTC."""

Stopwatch = Callable[[], float]
"""Returns seconds that only ever grow; for intervals and time limits."""


def utc_now() -> datetime:
    return datetime.now(UTC)


monotonic: Stopwatch = time.monotonic
