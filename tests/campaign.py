"""How much a campaign tries: less in the run before each push, all of it in ``--long``."""

from __future__ import annotations

import os

VARIABLE = "LANEKEEPER_LONG"
"""Set by ``./dev test --long``; by itself it makes a run of pytest thorough too."""


def size(usual: int, long: int) -> int:
    """Return how many examples, steps or clients there are in this run."""
    return long if os.environ.get(VARIABLE) else usual
