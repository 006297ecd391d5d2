"""Asking the controller for orders, again and again, and less often while there is no answer."""

from __future__ import annotations

import random
from collections.abc import Callable
from threading import Event, Thread

import structlog

from lanekeeper.agent.orders import Orders
from lanekeeper.agent.reporter import Reporter
from lanekeeper.clock import Stopwatch
from lanekeeper.domain.errors import Error

_AGAIN_S = 0.5
_AGAIN_MAX_S = 30.0

log = structlog.get_logger()


class Poller:
    """Asks on a thread of its own until *stopping*, and calls *wake* when other orders may count.

    After a time without an answer *reporter* tells the controller again of all that is here.
    """

    def __init__(
        self,
        host_name: str,
        orders: Orders,
        reporter: Reporter,
        stopwatch: Stopwatch,
        *,
        stopping: Event,
        wake: Callable[[], None],
    ) -> None:
        self._host_name = host_name
        self._orders = orders
        self._reporter = reporter
        self._stopwatch = stopwatch
        self._stopping = stopping
        self._wake = wake
        self._log = log.bind(host=host_name)

    def start(self) -> None:
        """Begin; the thread may outlive *stopping* by one poll."""
        Thread(target=self._run, name=f"poll-{self._host_name}", daemon=True).start()

    def _run(self) -> None:
        failures, complaint, was_frozen = 0, "", False
        while not self._stopping.is_set():
            asked_at = self._stopwatch()
            try:
                has_changed = self._orders.poll()
            except (Error, OSError) as error:
                if self._stopping.is_set():
                    return
                failures += 1
                if self._orders.frozen and not was_frozen:
                    self._reporter.forget()  # it is to hear all that is here
                was_frozen = self._orders.frozen
                if str(error) != complaint:
                    complaint = str(error)
                    self._log.warning("orders poll", outcome="failed", error=complaint)
                self._wake()
                wait_s = min(_AGAIN_S * 2 ** min(failures, 10), _AGAIN_MAX_S)
                self._stopping.wait(wait_s * random.uniform(0.5, 1.0))  # noqa: S311  # spreads load
                continue
            if failures:
                self._reporter.forget()
            failures, complaint, was_frozen = 0, "", False
            if has_changed:
                self._wake()
            elif self._stopwatch() - asked_at < _AGAIN_S:
                self._stopping.wait(_AGAIN_S)  # parked polls do not come back at once
