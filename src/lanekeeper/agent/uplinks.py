"""The uplinks of PFs that somebody needs to hear of at once: read each second, between looks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from threading import Event, Lock, Thread

import structlog

from lanekeeper.clock import Stopwatch
from lanekeeper.domain.errors import HostFault, NotFound
from lanekeeper.domain.network.uplink import Course, Patience, first, why_down
from lanekeeper.domain.pci.address import PciAddress
from lanekeeper.host.machine import Machine

EVERY_S = 1.0

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Standing:
    """How uplinks are.

    Attributes:
        down: why nothing passes there, of those of which that counts.
        unsure: those and all that have not been well for long, are followed since just now, or
            have never been read.
    """

    down: Mapping[PciAddress, str] = field(default_factory=dict)
    unsure: frozenset[PciAddress] = frozenset()


def nobody() -> None:
    """Wake nobody."""


class Uplinks:
    """Follows uplinks on a thread of its own, which begins with the first one. Thread-safe.

    Attributes:
        wake: called when one goes down, or is up again.
    """

    def __init__(self, machine: Machine, stopwatch: Stopwatch, every_s: float = EVERY_S) -> None:
        self.wake: Callable[[], None] = nobody
        self._machine = machine
        self._stopwatch = stopwatch
        self._every_s = every_s
        self._lock = Lock()
        self._patience = Patience()
        self._courses: dict[PciAddress, Course] = {}
        self._has_begun = False
        self._stopping = Event()
        self._thread: Thread | None = None

    def watch(self, pfs: frozenset[PciAddress], patience: Patience) -> Standing:
        """Follow *pfs* and no others; returns how they are.

        Those of the first call had guests before this agent did: what is down counts, as it may
        have before, so that no VF that is held down has its link back for a moment. What is
        followed later may have been set up just now.
        """
        with self._lock:
            self._patience = patience
            self._courses = {pf: one for pf, one in self._courses.items() if pf in pfs}
            for pf in pfs - self._courses.keys():
                found, now_s = self._read(pf), self._stopwatch()
                if found is not None:
                    self._courses[pf] = first(found, now_s, at_once=not self._has_begun)
            self._has_begun = True
            if pfs and self._thread is None:
                self._thread = Thread(target=self._run, name="uplinks", daemon=True)
                self._thread.start()
            now_s, all_ = self._stopwatch(), self._courses.items()
            sure = frozenset(pf for pf, one in all_ if one.is_sure(now_s, patience))
            return Standing({pf: one.down for pf, one in all_ if one.down}, pfs - sure)

    def look(self) -> bool:
        """Read all; returns whether one of them counts otherwise than before.

        One that cannot be read now is as it was.
        """
        changed = False
        with self._lock:
            for pf, before in self._courses.items():
                if (found := self._read(pf)) is None:
                    continue
                now = before.follow(found, self._stopwatch(), self._patience)
                self._courses[pf] = now
                if bool(now.down) != bool(before.down):
                    changed = True
                    state = {"state": "down", "why": now.down} if now.down else {"state": "up"}
                    log.warning("uplink", device=str(pf), **state)
        return changed

    def close(self) -> None:
        """End the thread soon."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join()

    def _run(self) -> None:
        while not self._stopping.wait(self._every_s):
            try:
                if self.look():
                    self.wake()
            except Exception:  # a bug must not end the watch: it goes on, and is seen in the log
                log.exception("uplinks", outcome="failed")

    def _read(self, pf: PciAddress) -> str | None:
        """Why nothing passes; empty where something may, or there is no interface that could tell.

        None where it cannot be read now.
        """
        try:
            return why_down(self._machine.uplink(pf))
        except NotFound:
            return ""
        except HostFault:
            return None
