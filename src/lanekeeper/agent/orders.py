"""What the controller has ordered last, and whether it may be obeyed.

The order is kept on disk before it is obeyed. After a restart it counts only once the controller
has confirmed it (304 for its generation and mark, or a newer one): the world may have moved on
while this agent was away, and a server that was started elsewhere must not start here too.
"""

from __future__ import annotations

from threading import Condition
from typing import Protocol

import structlog

from lanekeeper.agent.state_dir import StateDir
from lanekeeper.domain.errors import Conflict
from lanekeeper.protocol import Desired

POLL_S = 55

log = structlog.get_logger()


class Asks(Protocol):
    """The one question that this module asks."""

    def desired(self, after: str, wait_s: int) -> Desired | None: ...


def mark_of(desired: Desired) -> str:
    """Name a desired state as the protocol does."""
    return f"{desired.generation}.{desired.mark}"


class Orders:
    """The last order. One thread polls, any may look."""

    def __init__(self, client: Asks, state: StateDir, poll_s: int = POLL_S) -> None:
        self._client = client
        self._state = state
        self._poll_s = poll_s
        self._known = state.desired()
        self._confirmed = False
        self._frozen = False
        self._lock = Condition()

    def current(self) -> Desired | None:
        """Return what is to be obeyed now; None while nothing is known or the host is frozen."""
        with self._lock:
            return self._known if self._confirmed and not self._frozen else None

    @property
    def frozen(self) -> bool:
        with self._lock:
            return self._frozen

    def memos(self) -> dict[str, str]:
        """What the controller gave along with each server; empty unless the host is frozen."""
        with self._lock:
            if not self._frozen or self._known is None:
                return {}
            return {server.id: server.memo for server in self._known.servers}

    def poll(self) -> bool:
        """Ask once; returns whether what ``current`` says has changed.

        Raises:
            Conflict: the controller has frozen this host, or sent an order that is older than
                one obeyed already; ``current`` is None from here on until one is right again.
            Others: as ``Client`` does; ``current`` stays.
        """
        before = self.current()
        after = mark_of(self._known) if self._known else ""
        try:
            answer = self._client.desired(after, self._poll_s if self._confirmed else 0)
            if answer is not None:
                self._accept(answer)
        except Conflict:
            with self._lock:
                self._frozen = True
            raise
        with self._lock:
            self._frozen = False
            self._confirmed = self._known is not None
        return self.current() is not before

    def _accept(self, desired: Desired) -> None:
        known = self._known
        is_other = known is not None and mark_of(desired) != mark_of(known)
        if known is not None and is_other and desired.generation <= known.generation:
            raise Conflict(
                f"the controller orders state {mark_of(desired)}, but {mark_of(known)} was "
                "ordered before: it has lost history",
                hint="see what runs here, then on the controller: lanekeeper db adopt",
            )
        self._state.save_desired(desired)
        with self._lock:
            self._known = desired
