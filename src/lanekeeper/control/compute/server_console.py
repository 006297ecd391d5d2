"""Reading a server's console: its host is asked, and what it sends is waited for."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa

from lanekeeper.control.caller import Caller
from lanekeeper.control.compute.server import server_held
from lanekeeper.control.host.heartbeat import is_alive
from lanekeeper.control.site import Site
from lanekeeper.domain.errors import Conflict
from lanekeeper.store.compute.console import ConsoleRecord, console_get
from lanekeeper.store.compute.server import ServerRecord, server_update
from lanekeeper.store.host.desired import desired_touch
from lanekeeper.store.host.host import HostRecord, host_get

_WAIT_S = 10.0
_STEPS = 20
_KEPT = timedelta(seconds=60)


@dataclass(frozen=True, slots=True)
class ConsoleLog:
    """What a guest has printed, as far as is known here.

    Attributes:
        note: why *text* may not be all of it, one sentence; empty when the host has sent it now.
    """

    text: str
    note: str = ""

    def tail(self, length: int | None) -> str:
        """The last *length* lines, all for None or a negative number; the note is a line before."""
        text = self.text
        if length is not None and length >= 0:
            text = "\n".join(text.splitlines()[-length:]) if length else ""
        return f"[{self.note}]\n{text}" if self.note else text


@dataclass(frozen=True, slots=True)
class _Question:
    """Who was asked, and how young an answer has to be."""

    host: HostRecord
    since: datetime


def read_console(
    site: Site, caller: Caller, server_id: str, *, wait_s: float = _WAIT_S
) -> ConsoleLog:
    """The tail of a server's console; its host is asked for it, and given *wait_s* to answer.

    A host that is silent is not waited for. What it had sent before is told with a note.

    Raises:
        NotFound: there is no such server, or it is another project's.
        Conflict: it has no host, so no console; or its host does not answer, and never has.
    """
    asked = site.clock()

    def work(connection: sa.Connection) -> _Question:
        record = server_held(connection, caller, server_id)
        if record.host_id is None:
            raise Conflict(f"Instance {server_id} is not ready: it has no host, so no console.")
        server_update(connection, server_id, console_wanted_until=asked + _KEPT)
        found = console_get(connection, server_id)
        host = host_get(connection, record.host_id)
        if found is not None and _is_followed(record, asked) and found.at >= asked - _KEPT:
            return _Question(host, since=found.at)
        # An agent sends a tail that has not changed again only if what is wanted has changed.
        desired_touch(connection, host.id)
        return _Question(host, since=asked)

    heard = threading.Event()
    stop = site.bells.listen(server_id, heard.set)
    try:
        question = site.database.write(work)
        site.bells.ring(question.host.id)
        silence = _silence(site, question.host, asked)
        found = _answer(site, server_id, question.since, heard, 0 if silence else wait_s)
    finally:
        stop()
    if found is not None and found.at >= question.since and not silence:
        return ConsoleLog(found.text)
    why = silence or f"the host of this server has not sent its console within {wait_s:g} s"
    if found is None or not found.text:
        raise Conflict(
            f"The console of instance {server_id} cannot be read: {why}.",
            hint="ask again once its host answers; its operator sees in lanekeeper agent list why "
            "it does not",
        )
    return ConsoleLog(found.text, f"{why}; what was known last, {found.at.isoformat()}, follows")


def _is_followed(record: ServerRecord, now: datetime) -> bool:
    """Whether somebody reads this console already, so that its host sends what is new anyway."""
    return record.console_wanted_until is not None and record.console_wanted_until > now


def _silence(site: Site, host: HostRecord, now: datetime) -> str:
    """Why there is no answer to wait for, in words for members; empty when there may be one."""
    if host.frozen_reason:
        return "the host of this server is frozen, so it tells no consoles"
    if host.seen_at is None:
        return "the host of this server has never answered"
    if is_alive(host.seen_at, now, site.config.lanekeeper.agent_down_s):
        return ""
    silent_s = (now - host.seen_at).total_seconds()
    return f"the host of this server has not answered for {silent_s:.0f} s"


def _answer(
    site: Site, server_id: str, since: datetime, heard: threading.Event, wait_s: float
) -> ConsoleRecord | None:
    """Wait for a tail that is not older than *since*, and has text; at the end take what is there.

    A guest that has printed nothing yet may be just starting.
    """
    steps_left = _STEPS if wait_s else 0
    while True:
        with site.database.read() as connection:
            found = console_get(connection, server_id)
        has_come = found is not None and found.at >= since and bool(found.text)
        if has_come or not steps_left:
            return found
        heard.wait(wait_s / _STEPS)
        heard.clear()
        steps_left -= 1
