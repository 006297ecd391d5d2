"""Who answers DHCP on a network, and which hosts do."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import sqlalchemy as sa

from lanekeeper.domain.network.port import PortRecord
from lanekeeper.store.network.network import SERVES_NETWORK
from lanekeeper.store.network.port import port_list
from lanekeeper.store.tables import host, network, port, server


def bridges_of(connection: sa.Connection, host_id: str) -> Mapping[str, str]:
    """Physical network to the bridge on it, as the host told; empty where it has none."""
    found = connection.scalar(sa.select(host.c.facts["bridges"]).where(host.c.id == host_id))
    return found or {}


def hosts_answering(connection: sa.Connection, network_ids: Iterable[str]) -> tuple[str, ...]:
    """Ids, in order, of the hosts with a bridge that have servers on one of these networks."""
    rows = connection.execute(
        sa.select(host.c.id, host.c.facts["bridges"].label("bridges"))
        .where(
            host.c.id.in_(
                sa.select(server.c.host_id)
                .join(port, port.c.device_id == server.c.id)
                .where(port.c.network_id.in_(tuple(network_ids)))
            )
        )
        .order_by(host.c.id)
    )
    return tuple(row.id for row in rows if row.bridges)


def answering_ports(connection: sa.Connection, network_ids: Iterable[str]) -> dict[str, PortRecord]:
    """The port from which each network is answered; the oldest, if somebody made another."""
    wanted = {"network_id": tuple(network_ids), "device_owner": (SERVES_NETWORK,)}
    return {found.network_id: found for found in reversed(port_list(connection, wanted))}


def network_hold(connection: sa.Connection, network_id: str) -> str | None:
    """Have this transaction be the only one that gives the network something, until it ends.

    Returns its project's id; None when it is gone.
    """
    mine = sa.select(network.c.project_id).where(network.c.id == network_id)
    found: str | None = connection.scalar(mine.with_for_update(key_share=True))
    return found
