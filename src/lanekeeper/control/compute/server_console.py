"""Reading a server's console: its host is asked, and what it sends is waited for."""

from __future__ import annotations

import threading
from datetime import datetime, timedelta

import sqlalchemy as sa

from lanekeeper.control.caller import Caller
from lanekeeper.control.compute.server import server_held
from lanekeeper.control.site import Site
from lanekeeper.domain.errors import Conflict
from lanekeeper.store.compute.console import console_get
from lanekeeper.store.compute.server import ServerRecord, server_update
from lanekeeper.store.host.desired import desired_touch

_CONSOLE_WAIT_S = 10.0
_CONSOLE_KEPT = timedelta(seconds=60)


def read_console(site: Site, caller: Caller, server_id: str) -> str:
    """The tail of a server's console; its host is asked for it, and given ten seconds.

    Raises:
        NotFound: there is none, or it is another project's.
        Conflict: it has no host, so no console.
    """
    asked = site.clock()

    def work(connection: sa.Connection) -> ServerRecord:
        record = server_held(connection, caller, server_id)
        if record.host_id is None:
            raise Conflict(f"Instance {server_id} is not ready: it has no host, so no console.")
        server_update(connection, server_id, console_wanted_until=asked + _CONSOLE_KEPT)
        if not _console_asked(record, asked):
            desired_touch(connection, record.host_id)
        return record

    heard = threading.Event()
    stop = site.bells.listen(server_id, heard.set)
    try:
        record = site.database.write(work)
        assert record.host_id is not None, "checked with the row"
        site.bells.ring(record.host_id)
        since = asked - _CONSOLE_KEPT if _console_asked(record, asked) else asked
        return _console_text(site, server_id, since, heard)
    finally:
        stop()


def _console_asked(record: ServerRecord, now: datetime) -> bool:
    """Whether somebody reads this console already, so that its host sends it anyway."""
    return record.console_wanted_until is not None and record.console_wanted_until > now


def _console_text(site: Site, server_id: str, since: datetime, heard: threading.Event) -> str:
    """Wait for a tail that is younger than *since*; take an older one, or none, at the end."""
    steps = 20
    text = ""
    for _ in range(steps):
        with site.database.read() as connection:
            found = console_get(connection, server_id)
        text = found.text if found else ""
        if found is not None and found.at >= since and text:
            break
        heard.wait(_CONSOLE_WAIT_S / steps)
        heard.clear()
    return text


def console_tail(text: str, length: int | None) -> str:
    """The last *length* lines; all of them for None or a negative number."""
    if length is None or length < 0:
        return text
    return "\n".join(text.splitlines()[-length:]) if length else ""
