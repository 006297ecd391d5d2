"""Letting go of what a server holds, all of it at once and none of it twice."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa

from lanekeeper.crash import reached
from lanekeeper.store.compute.server import ServerRecord, server_delete
from lanekeeper.store.compute.usage import ended_server_insert
from lanekeeper.store.device.life import claim_release
from lanekeeper.store.network.port_hold import port_drop_for_server
from lanekeeper.store.placement.allocation import allocation_drop
from lanekeeper.store.placement.consumer import consumer_drop
from lanekeeper.store.topology.claim import cells_release


def release_server(
    connection: sa.Connection, record: ServerRecord, now: datetime, *, is_end: bool = True
) -> None:
    """Give back everything and forget the server; its devices go to cleaning.

    What it used is kept, unless it *is_end* of nothing: its row is about to be written anew.

    Amounts and cells come first, devices after them, ports last, as when they are taken: so two
    transactions never wait for each other in a ring.
    """
    reached("controller.release.before")
    allocation_drop(connection, record.id)
    cells_release(connection, record.id)
    claim_release(connection, record.id, now)
    port_drop_for_server(connection, record.id, now)
    consumer_drop(connection, record.id)
    server_delete(connection, record.id)
    if is_end:
        ended_server_insert(connection, record, now)
    reached("controller.release.after")
