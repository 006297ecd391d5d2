"""Work that comes round again, on a thread of its own."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Self

import structlog

from lanekeeper.domain.errors import Unavailable

log = structlog.get_logger("lanekeeper.periodic")
_ENDS_WITHIN_S = 15


class Periodic:
    """Calls *work* every *interval_s* seconds between ``start`` and ``close``.

    A database that is away is no reason to end: every request says so, this only comes round
    again. Neither is a bug in the work: its traceback is in the log, once a round. Work that does
    not come to an end within *ends_within_s* of ``close`` is left behind, and ends with the
    process.
    """

    def __init__(
        self,
        name: str,
        interval_s: float,
        work: Callable[[], None],
        ends_within_s: float = _ENDS_WITHIN_S,
    ) -> None:
        self._name = name
        self._interval_s = interval_s
        self._work = work
        self._ends_within_s = ends_within_s
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(self._ends_within_s)
        if self._thread.is_alive():
            log.warning(
                f"{self._name}.left_behind",
                error=f"it is still at work {self._ends_within_s:g} s after it was told to stop; "
                "the program ends without it",
            )

    def _run(self) -> None:
        while not self._stop.wait(self._interval_s):
            try:
                self._work()
            except Unavailable as error:
                log.warning(f"{self._name}.put_off", error=str(error))
            except Exception:  # a periodic duty must come round again, whatever went wrong
                log.exception(f"{self._name}.failed")
