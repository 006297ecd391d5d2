"""Who holds a port: given to a server, taken back, and how far it has come.

``device_id = ''`` decides who gets a port that two servers want.
"""

from __future__ import annotations

import secrets
from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from lanekeeper.domain.errors import Conflict, NotFound
from lanekeeper.domain.network.address import Draw, draw_mac, parse_mac
from lanekeeper.domain.network.port import SERVER_OWNER, PortStatus, VifType, VnicType
from lanekeeper.domain.network.profile import users_part
from lanekeeper.domain.network.promise import NOTHING, Promise
from lanekeeper.store.network.port import MAC_TRIES, port_missing, port_set_mac, unbound
from lanekeeper.store.network.port_binding import bindings_drop
from lanekeeper.store.tables import claim, device, port


def port_attach(
    connection: sa.Connection,
    port_id: str,
    *,
    server_id: str,
    host_name: str,
    availability_zone: str,
    profile: Mapping[str, Any],
    vif_type: VifType,
    vif_details: Mapping[str, Any],
    now: datetime,
    segment_id: str | None = None,
    bandwidth_provider_id: str | None = None,
    held: Promise = NOTHING,
) -> None:
    """Give a port that nobody holds to a server on a host; its status becomes BUILD.

    *profile* (see ``domain/network/profile.py``) is laid over what the user wrote. A whole card's
    port takes the card's MAC. *segment_id* is that of its network on which it is bound.
    What it holds of its card's bandwidth, *held*, the caller has taken.

    Raises:
        NotFound: code PortNotFound.
        Conflict: codes PortInUse, MacAddressInUse. The transaction must be left.
    """
    up = sa.case((port.c.admin_state_up, PortStatus.BUILD), else_=PortStatus.DOWN)
    taken = connection.execute(
        port.update()
        .where(port.c.id == port_id, port.c.device_id == "")
        .values(
            device_id=server_id,
            device_owner=f"{SERVER_OWNER}{availability_zone}",
            binding_host=host_name,
            vif_type=vif_type,
            vif_details=dict(vif_details),
            binding_failure="",
            segment_id=segment_id,
            bandwidth_provider_id=bandwidth_provider_id if held else None,
            egress_kbps=held.egress_kbps,
            ingress_kbps=held.ingress_kbps,
            status=up,
            revision=port.c.revision + 1,
            updated_at=now,
        )
        .returning(port.c.binding_profile, port.c.vnic_type)
    ).one_or_none()
    if taken is None:
        raise _not_free(connection, port_id)
    bindings_drop(connection, port_id, (host_name,))  # the port's own row says it now
    merged = {**users_part(taken.binding_profile), **profile}
    connection.execute(port.update().where(port.c.id == port_id).values(binding_profile=merged))
    card_mac = profile.get("device_mac_address")
    if taken.vnic_type == VnicType.DIRECT_PHYSICAL and card_mac:
        port_set_mac(connection, port_id, parse_mac(card_mac))


def ports_follow(connection: sa.Connection, device_ids: Collection[str], now: datetime) -> None:
    """Have the profiles of ports name the addresses that their devices have now."""
    rows = connection.execute(
        sa.select(port.c.id, port.c.binding_profile, device.c.address)
        .join(claim, claim.c.request_id == port.c.id)
        .join(device, device.c.id == claim.c.device_id)
        .where(claim.c.device_id.in_(device_ids), port.c.device_id == claim.c.consumer_id)
        .order_by(port.c.id)
    ).all()
    for row in rows:
        connection.execute(
            port.update()
            .where(port.c.id == row.id)
            .values(
                binding_profile={**row.binding_profile, "pci_slot": row.address},
                revision=port.c.revision + 1,
                updated_at=now,
            )
        )


def port_detach(
    connection: sa.Connection,
    port_id: str,
    now: datetime,
    *,
    server_id: str | None = None,
    draw: Draw = secrets.randbelow,
) -> bool:
    """Take a port back from its server (from *server_id* only, if given); it is unbound then.

    Returns whether it was held. A second call does nothing.
    """
    holder = port.c.device_id == server_id if server_id else port.c.device_id != ""
    freed = connection.execute(
        port.update()
        .where(port.c.id == port_id, holder)
        .values(
            device_id="",
            device_owner="",
            **unbound(),
            revision=port.c.revision + 1,
            updated_at=now,
        )
        .returning(port.c.binding_profile, port.c.vnic_type)
    ).one_or_none()
    if freed is None:
        return False
    bindings_drop(connection, port_id)  # where that server might have gone
    profile = users_part(freed.binding_profile)
    connection.execute(port.update().where(port.c.id == port_id).values(binding_profile=profile))
    if freed.vnic_type == VnicType.DIRECT_PHYSICAL:  # or the card's MAC would be there twice
        _draw_new_mac(connection, port_id, draw)
    return True


def port_drop_for_server(
    connection: sa.Connection, server_id: str, now: datetime
) -> tuple[str, ...]:
    """Let go of all ports of a server: those made for it are deleted, others detached.

    Returns the ids of the deleted ones. A second call does nothing.
    """
    mine = port.c.device_id == server_id
    gone = connection.scalars(
        port.delete().where(mine, port.c.created_by_server).returning(port.c.id)
    ).all()
    for port_id in connection.scalars(sa.select(port.c.id).where(mine).order_by(port.c.id)).all():
        port_detach(connection, port_id, now, server_id=server_id)
    return tuple(sorted(gone))


def port_status(
    connection: sa.Connection, port_ids: Collection[str], status: PortStatus, now: datetime
) -> None:
    """Say how far ports have come; one that is administratively down is never BUILD or ACTIVE."""
    condition = port.c.id.in_(port_ids) & (port.c.status != status)
    if status in (PortStatus.BUILD, PortStatus.ACTIVE):
        condition &= port.c.admin_state_up
    connection.execute(
        port.update()
        .where(condition)
        .values(status=status, revision=port.c.revision + 1, updated_at=now)
    )


def _draw_new_mac(connection: sa.Connection, port_id: str, draw: Draw) -> None:
    for left in reversed(range(MAC_TRIES)):
        try:
            port_set_mac(connection, port_id, draw_mac(draw))
        except Conflict:
            if left == 0:
                raise
        else:
            return


def _not_free(connection: sa.Connection, port_id: str) -> NotFound | Conflict:
    holder = connection.scalar(sa.select(port.c.device_id).where(port.c.id == port_id))
    if holder is None:
        return port_missing(port_id)
    return Conflict(f"Port {port_id} is still in use by {holder}", code="PortInUse")
