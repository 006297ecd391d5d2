"""SIGHUP: read the configuration again, and go on with what of it can change in a running program.

What is wrong with it is said in the log, and all stays as it was.
"""

from __future__ import annotations

import os
import queue
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import structlog

from lanekeeper.config import Config, load
from lanekeeper.config.change import Program, change
from lanekeeper.domain.errors import Error

log = structlog.get_logger("lanekeeper.config")

_END = 0
_ENDS_WITHIN_S = 15


class Hangups:
    """The SIGHUPs of this process; they wait for ``each``, so one that is early is not lost."""

    def __init__(self) -> None:
        self._waiting: queue.SimpleQueue[int] = queue.SimpleQueue()  # a handler may put into it
        self._thread: threading.Thread | None = None

    def each(self, work: Callable[[], None]) -> None:
        """Call *work* after each, on a thread of its own: a handler must not log, or wait."""

        def serve() -> None:
            while self._waiting.get() != _END:
                work()

        self._thread = threading.Thread(target=serve, name="reload", daemon=True)
        self._thread.start()

    def heard(self, number: int) -> None:
        self._waiting.put(number)

    def close(self) -> None:
        self._waiting.put(_END)
        if self._thread is not None:
            self._thread.join(_ENDS_WITHIN_S)  # it is a daemon: one that hangs ends with us


@contextmanager
def hangups() -> Iterator[Hangups]:
    """Take SIGHUP for the word to read the configuration again.

    It still ends a program whose terminal has gone.
    """
    found = Hangups()
    on_terminal = _has_terminal()

    def hear(number: int, _: object) -> None:
        if on_terminal and not _has_terminal():
            os.kill(os.getpid(), signal.SIGTERM)
        else:
            found.heard(number)

    before = signal.signal(signal.SIGHUP, hear)
    try:
        yield found
    finally:
        signal.signal(signal.SIGHUP, before)
        found.close()


def _has_terminal() -> bool:
    return sys.__stdin__ is not None and not sys.__stdin__.closed and sys.__stdin__.isatty()


def reread(
    files: Sequence[Path], now: Config, program: Program, take: Callable[[Config], None]
) -> None:
    """Read *files* once more and have *take* go on with what they say.

    Args:
        files: as the program was given them.
        now: what holds.
        program: says what of the configuration is its business.
        take: goes on with another configuration, or raises an Error and has changed nothing.
    """
    try:
        loaded = load(files)
        found = change(now, loaded.config, program)
        take(found.config)
    except Error as error:
        _tell_refused(error)
        return
    except Exception:  # a bug must not end the thread, nor the program that served so far
        log.exception("config.refused", outcome="failed")
        return
    for warning in loaded.warnings:
        log.warning("config.noticed", outcome=warning)
    for name in found.kept:
        log.warning("config.kept", outcome=f"{name} has changed, which only a restart takes over")
    log.info("config.reloaded", outcome="ok", changed=list(found.taken))


def _tell_refused(error: Error) -> None:
    log.error(
        "config.refused",
        outcome="what held before still holds",
        error=str(error),
        hint=error.hint,
    )
