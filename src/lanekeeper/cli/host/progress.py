"""Telling people how far a change is, while it happens."""

from __future__ import annotations

import argparse
import select
import sys
from contextlib import suppress
from typing import TextIO

from lanekeeper.host.stage import Progress, Stage, Verb, silent

_READ_WITHIN_MS = 1000


def progress(arguments: argparse.Namespace) -> Progress:
    """Return what tells each stage on standard output; JSON goes there alone."""
    return silent if arguments.json else _Teller()


class _Teller:
    """Prints stages, as long as somebody takes them.

    Whoever stops reading, or is cut off by the very change that is told, must neither end it
    half-way nor hold it up: a terminal that is not read any more would block the write for ever.
    """

    def __init__(self) -> None:
        self._is_read = True

    def __call__(self, stage: Stage) -> None:
        self._is_read = self._is_read and _takes(sys.stdout)
        if not self._is_read:
            return
        width = len(str(stage.count))
        undo = "undo: " if stage.verb is Verb.UNDO else ""
        with suppress(OSError):
            print(f"[{stage.number:{width}}/{stage.count}] {undo}{stage.action}", flush=True)


def _takes(stream: TextIO) -> bool:
    """Return whether *stream* takes a line within a second."""
    try:
        descriptor = stream.fileno()
    except (OSError, ValueError):
        return not stream.closed  # no file at all, as where tests read along
    ready = select.poll()
    ready.register(descriptor, select.POLLOUT)
    return bool(ready.poll(_READ_WITHIN_MS))
