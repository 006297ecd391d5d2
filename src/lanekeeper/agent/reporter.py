"""Telling the controller, and only what it does not know yet."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress

import structlog

from lanekeeper.agent.client import Client
from lanekeeper.crash import reached
from lanekeeper.domain.errors import Conflict, Error, NotFound
from lanekeeper.hypervisor.guest_files import GuestDirectories
from lanekeeper.protocol import CONSOLE_BYTES, TURNED, HostFacts, HostHealth, HostState, HostVfs

log = structlog.get_logger()


class ListingRefused(Conflict):
    """The controller does not take over what the configuration lists (``protocol.TURNED``)."""


class Reporter:
    """Sends facts, state and consoles of one host; what did not arrive is sent again."""

    def __init__(self, client: Client, directories: GuestDirectories, host_name: str) -> None:
        self._client = client
        self._directories = directories
        self._log = log.bind(host=host_name)
        self._facts: HostFacts | None = None
        self._health: HostHealth | None = None
        self._vfs: HostVfs | None = None
        self._consoles: dict[str, int] = {}
        self._consoles_for = ""
        self._complaint = ""
        self._arrived = False
        self._forgotten = 0
        self.state = HostState()

    def forget(self) -> None:
        """Take it that the controller knows nothing: it was away, it may be another one."""
        self._forgotten += 1  # what is on its way now may have met the one before
        self._facts, self._health, self._vfs, self._arrived = None, None, None, False
        self._consoles.clear()

    def try_facts(self, facts: HostFacts) -> None:
        """Ask whether the controller would take *facts*. Raises as ``Client.try_facts`` does."""
        self._client.try_facts(facts)

    def tell_facts(self, facts: HostFacts) -> None:
        """Tell *facts* if they are news.

        Raises:
            ListingRefused: the configuration cannot be, so that saying it again will not help.
        """
        if facts != self._facts:
            before = self._forgotten
            arrived = self._try("facts", lambda: self._put_facts(facts))
            self._facts = facts if arrived and before == self._forgotten else None

    def _put_facts(self, facts: HostFacts) -> None:
        try:
            self._client.put_facts(facts)
        except Conflict as error:
            if error.code == TURNED:
                raise ListingRefused(str(error), hint=error.hint, code=error.code) from error
            raise

    def tell_health(self, health: HostHealth) -> None:
        if health != self._health:
            told = self._put_if_known("health", lambda: self._client.put_health(health))
            self._health = health if told else None

    def tell_vfs(self, vfs: HostVfs) -> None:
        if vfs != self._vfs:
            told = self._put_if_known("vfs", lambda: self._client.put_vfs(vfs))
            self._vfs = vfs if told else None

    def _put_if_known(self, what: str, put: Callable[[], None]) -> bool:
        """An older controller that knows no such thing is told once, until it was away."""
        before = self._forgotten

        def send() -> None:
            with suppress(NotFound):
                put()

        return self._try(what, send) and before == self._forgotten

    def tell_state(self, state: HostState) -> None:
        if state == self.state and self._arrived:
            return
        self.state = state
        before = self._forgotten
        reached("agent.report.before")
        arrived = self._try("state", lambda: self._client.put_state(state))
        self._arrived = arrived and before == self._forgotten
        reached("agent.report.after")

    def tell_consoles(self, server_ids: Iterable[str], mark: str) -> None:
        """Send the tails that have changed, and all of them once for each *mark* of an order.

        Whoever asks anew is told anew: a tail that stays the same would be taken for silence.
        """
        wanted = frozenset(server_ids)
        if mark != self._consoles_for:
            self._consoles_for = mark
            self._consoles.clear()
        self._consoles = {key: one for key, one in self._consoles.items() if key in wanted}
        for server_id in wanted:
            self._tell_console(server_id)

    def _tell_console(self, server_id: str) -> None:
        try:
            tail = self._directories.of(server_id).console_tail(CONSOLE_BYTES)
        except (Error, OSError) as error:
            self._log.warning("console read", server=server_id, error=str(error))
            return
        if self._consoles.get(server_id) != hash(tail):
            arrived = self._try("console", lambda: self._client.put_console(server_id, tail))
            if arrived:
                self._consoles[server_id] = hash(tail)

    def _try(self, what: str, send: Callable[[], None]) -> bool:
        """Send; say of the same failure only once."""
        try:
            send()
        except ListingRefused:
            raise
        except Error as error:
            if str(error) != self._complaint:
                self._complaint = str(error)
                self._log.warning("report", what=what, outcome="failed", error=str(error))
            return False
        self._complaint = ""
        return True
