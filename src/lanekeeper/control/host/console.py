"""Console tails: the agent uploads one while somebody reads it."""

from __future__ import annotations

import sqlalchemy as sa

from lanekeeper.control.site import Site
from lanekeeper.domain.errors import NotFound
from lanekeeper.store.compute.console import console_put
from lanekeeper.store.host.desired import host_lock
from lanekeeper.store.tables import server


def console_store(site: Site, host_id: str, server_id: str, text: str) -> None:
    """Keep the tail of a guest's console and wake whoever waits for it.

    Raises:
        NotFound: that server is not on that host.
    """

    def work(connection: sa.Connection) -> None:
        host_lock(connection, host_id)
        mine = sa.select(server.c.id).where(server.c.id == server_id, server.c.host_id == host_id)
        if connection.scalar(mine) is None:
            raise NotFound(f"no server {server_id} on this host")
        # PostgreSQL's text cannot hold NUL, and a terminal shows nothing for it.
        console_put(connection, server_id, text.replace("\0", ""), site.clock())

    site.database.write(work)
    site.bells.ring(server_id)
