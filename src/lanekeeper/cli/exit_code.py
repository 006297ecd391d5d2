"""What a command's exit code says, and how an expected failure is printed."""

from __future__ import annotations

import signal
import sys

from lanekeeper.domain import errors

DONE, NO, USAGE, UNAVAILABLE = 0, 1, 2, 3
INTERRUPTED = 128 + signal.SIGINT  # as shells have it

_CODES: tuple[tuple[type[errors.Error], int], ...] = (
    (errors.Invalid, USAGE),
    (errors.Unavailable, UNAVAILABLE),
    (errors.Error, NO),
)


def ended_by(number: signal.Signals) -> int:
    """Return the code of a command that a signal ended, as shells have it."""
    return 128 + number


def tell(error: errors.Error) -> int:
    """Print ``error: …`` and, when known, ``hint: …`` to stderr; return the exit code."""
    for part in error.parts:
        print(f"error: {part}", file=sys.stderr)
        if part.hint:
            print(f"hint: {part.hint}", file=sys.stderr)
    return next(code for kind, code in _CODES if isinstance(error, kind))
