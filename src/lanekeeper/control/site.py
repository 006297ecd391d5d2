"""What one controller works with, made once by ``main`` and passed to every use-case."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from lanekeeper.clock import Clock
from lanekeeper.config import Config
from lanekeeper.control.compute.fleet import FleetMemory
from lanekeeper.control.identity.token_memory import TokenMemory
from lanekeeper.control.image.fetches import Fetches
from lanekeeper.control.placement.memory import InventoryMemory
from lanekeeper.domain.scheduling.fleet import Fleet
from lanekeeper.store.database import Database


class Bells:
    """Wakes whoever waits for a host's desired state to change. Thread-safe; holds no state.

    A ring that nobody hears is no loss: waiters look at the database again before they wait.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: dict[str, set[Callable[[], None]]] = {}
        self.closed = False

    def ring(self, host_id: str) -> None:
        """Call every callback that waits for *host_id*; call this after the commit."""
        with self._lock:
            callbacks = tuple(self._waiting.get(host_id, ()))
        for callback in callbacks:
            callback()

    def ring_all(self, host_ids: Iterable[str]) -> None:
        """``ring`` for each of *host_ids*."""
        for host_id in host_ids:
            self.ring(host_id)

    def close(self) -> None:
        """Call everybody for the last time: whoever wakes sees ``closed`` and goes home."""
        self.closed = True
        with self._lock:
            hosts = tuple(self._waiting)
        for host_id in hosts:
            self.ring(host_id)

    def listen(self, host_id: str, callback: Callable[[], None]) -> Callable[[], None]:
        """Have *callback* called at each ring; returns the function that ends it."""
        with self._lock:
            self._waiting.setdefault(host_id, set()).add(callback)

        def stop() -> None:
            with self._lock:
                callbacks = self._waiting.get(host_id, set())
                callbacks.discard(callback)
                if not callbacks:
                    self._waiting.pop(host_id, None)

        return stop


@dataclass(slots=True, kw_only=True, eq=False)
class Site:
    """The controller's world.

    Attributes:
        config: replaced as a whole when it is read again; who needs two values of it takes it once.
        state_dir: private directory (mode 0700) of this controller; images lie below it.
        controller_id: this controller's among those on the same database, for as long as its
            state directory lives.
    """

    database: Database
    config: Config
    clock: Clock
    state_dir: Path
    controller_id: str = ""
    fetches: Fetches = field(default_factory=Fetches)
    bells: Bells = field(default_factory=Bells)
    token_memory: TokenMemory = field(default_factory=TokenMemory)
    inventory: InventoryMemory = field(default_factory=InventoryMemory)
    fleet: FleetMemory = field(default_factory=FleetMemory)

    def hosts(self) -> Fleet:
        """Every host as the scheduler sees it now.

        Raises:
            Unavailable: the database cannot be read.
        """
        return self.fleet.current(self.database, self.clock(), self.config.lanekeeper.agent_down_s)
