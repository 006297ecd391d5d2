"""The crash tests' hook: a process that kills itself at a named point.

With ``LANEKEEPER_KILL_AT=POINT`` (or ``POINT:N`` for the Nth time) in its environment a process
gets SIGKILL as soon as it reaches that point: no handler runs, nothing is flushed, just as when
the power fails. Without the variable a point costs one comparison.
"""

from __future__ import annotations

import os
import signal
import threading
from collections import Counter

VARIABLE = "LANEKEEPER_KILL_AT"

_passed: Counter[str] = Counter()
_lock = threading.Lock()


def reached(point: str) -> None:
    """End this process here and now if the environment says so; else do nothing."""
    wanted = os.environ.get(VARIABLE)
    if not wanted:
        return
    name, _, times = wanted.partition(":")
    if name != point:
        return
    with _lock:
        _passed[point] += 1
        if _passed[point] >= int(times or 1):
            os.kill(os.getpid(), signal.SIGKILL)
