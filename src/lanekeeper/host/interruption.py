"""Signals that ask a process to end, noted so that the step at work can be finished first."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_ASKING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interruption:
    """Whether this process was asked to end, and by which signal first."""

    def __init__(self) -> None:
        self.signal: signal.Signals | None = None

    def reason(self) -> str:
        """Return the signal's name; empty when none has come."""
        return "" if self.signal is None else self.signal.name

    def note(self, number: int, _frame: FrameType | None = None) -> None:
        """Note a signal; the first one counts."""
        if self.signal is None:
            self.signal = signal.Signals(number)


@contextmanager
def interruption() -> Iterator[Interruption]:
    """Note SIGINT, SIGTERM and SIGHUP while inside. One that is ignored (nohup) stays so."""
    noted = Interruption()
    before = {number: signal.getsignal(number) for number in _ASKING}
    taken = [number for number, handler in before.items() if handler is not signal.SIG_IGN]
    for number in taken:
        signal.signal(number, noted.note)
    try:
        yield noted
    finally:
        for number in taken:
            signal.signal(number, before[number] or signal.SIG_DFL)
