"""Segments of networks. Their keys say that a VLAN id of a physical network is used once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from lanekeeper.domain.errors import Conflict
from lanekeeper.domain.network.network import NetworkRecord
from lanekeeper.domain.network.port import VifType
from lanekeeper.domain.network.segment import NetworkType, Segment
from lanekeeper.store.network.network import network_show
from lanekeeper.store.row import row_insert_new
from lanekeeper.store.tables import device, host, port, port_binding, segment


def segment_insert(
    connection: sa.Connection, network_id: str, new: Segment, position: int = 0
) -> bool:
    """Take a segment for a network; False when another network has it."""
    values = {
        "id": new.id,
        "network_id": network_id,
        "network_type": new.network_type,
        "physical_network": new.physical_network,
        "segmentation_id": new.segmentation_id,
        "name": new.name,
        "description": new.description,
        "position": position,
    }
    return row_insert_new(connection, segment, values)


def segment_network(connection: sa.Connection, segment_id: str) -> str | None:
    """The id of the network that a segment is of; None when there is no such segment."""
    found = sa.select(segment.c.network_id).where(segment.c.id == segment_id)
    network_id: str | None = connection.scalar(found)
    return network_id


def segment_move(connection: sa.Connection, segment_id: str, vlan: int) -> bool:
    """Give a vlan segment another id; False when another network has it."""
    try:
        with connection.begin_nested():
            connection.execute(
                segment.update().where(segment.c.id == segment_id).values(segmentation_id=vlan)
            )
    except IntegrityError:
        return False
    return True


def segment_holder(
    connection: sa.Connection, physical_network: str, vlan: int | None
) -> NetworkRecord | None:
    """The network that has a VLAN id of *physical_network*, or for None has it untagged."""
    holder = connection.scalar(
        sa.select(segment.c.network_id).where(
            segment.c.physical_network == physical_network,
            segment.c.segmentation_id == vlan
            if vlan is not None
            else segment.c.network_type == NetworkType.FLAT,
        )
    )
    return network_show(connection, holder) if holder else None


def vlans_used(connection: sa.Connection, physical_network: str) -> frozenset[int]:
    """Every VLAN id of *physical_network* that some network has."""
    ids = connection.scalars(
        sa.select(segment.c.segmentation_id).where(
            segment.c.physical_network == physical_network,
            segment.c.segmentation_id.is_not(None),
        )
    )
    return frozenset(ids)


def physical_networks_served(connection: sa.Connection) -> frozenset[str]:
    """Physical networks that some host's devices are tagged with, or its bridges are on."""
    names = connection.scalars(sa.select(device.c.physical_network).distinct())
    bridges = connection.scalars(sa.select(host.c.facts["bridges"]))
    return frozenset(
        (*filter(None, names), *(name for mapped in bridges if mapped for name in mapped))
    )


def segments_end(connection: sa.Connection, network_id: str) -> int:
    """The position of the next segment of a network."""
    last = sa.select(sa.func.max(segment.c.position)).where(segment.c.network_id == network_id)
    position = connection.scalar(last)
    return 0 if position is None else int(position) + 1


def segment_write(connection: sa.Connection, segment_id: str, values: Mapping[str, Any]) -> bool:
    """Change columns of a segment; whether it is there."""
    mine = segment.c.id == segment_id
    if not values:
        return connection.scalar(sa.select(segment.c.id).where(mine)) is not None
    return connection.execute(segment.update().where(mine).values(**values)).rowcount == 1


def segment_users(connection: sa.Connection, segment_id: str) -> tuple[str, ...]:
    """The first few ports, by id, that are bound on a segment or may go to a host on it."""
    network_id = sa.select(segment.c.network_id).where(segment.c.id == segment_id)
    # Of a port that was bound before it said where, any segment of its network may be it.
    unsaid = sa.and_(
        port.c.segment_id.is_(None),
        port.c.network_id == network_id.scalar_subquery(),
        port.c.vif_type.not_in((VifType.UNBOUND, VifType.FAILED)),
    )
    users = sa.union(
        sa.select(port.c.id).where(sa.or_(port.c.segment_id == segment_id, unsaid)),
        sa.select(port_binding.c.port_id).where(port_binding.c.segment_id == segment_id),
    )
    return tuple(sorted(connection.scalars(users.limit(3))))


def segment_delete(connection: sa.Connection, segment_id: str) -> None:
    """Delete a segment.

    Raises:
        Conflict: code SegmentInUse; ports are bound on it, or may go to a host on it.
    """
    if left := segment_users(connection, segment_id):
        raise _in_use(segment_id, f"ports are bound on it: {', '.join(left)}")
    try:
        with connection.begin_nested():
            connection.execute(segment.delete().where(segment.c.id == segment_id))
    except IntegrityError as error:  # a port was bound between the look and the deletion
        raise _in_use(segment_id, "ports are bound on it") from error


def _in_use(segment_id: str, why: str) -> Conflict:
    return Conflict(f"Segment '{segment_id}' cannot be deleted: {why}", code="SegmentInUse")
