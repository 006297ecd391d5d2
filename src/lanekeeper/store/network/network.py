"""Networks and their segments. The segment's keys say that a VLAN id is used once."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from lanekeeper.domain.errors import Conflict
from lanekeeper.domain.network.network import EVERYBODY, NetworkRecord, NetworkWanted
from lanekeeper.domain.network.segment import NetworkType, Segment
from lanekeeper.store.network.rbac import is_shared_with, rbac_insert, shared_with_of
from lanekeeper.store.row import check_revision
from lanekeeper.store.tables import network, port, segment, subnet

FILTERS = frozenset({"id", "name", "project_id"})
"""Columns by which ``network_list`` narrows; the API filters the rest exactly."""

SERVES_NETWORK = "network:dhcp"
"""Ports of this owner go with their network. Source: neutron ``db/db_base_plugin_v2.py``."""

_CHUNK = 500


def network_list(
    connection: sa.Connection,
    wanted: Mapping[str, Collection[str]] | None = None,
    *,
    project_id: str | None = None,
) -> tuple[NetworkRecord, ...]:
    """Read networks, oldest first.

    *wanted* narrows by FILTERS; *project_id* to what that project sees: its own, shared and
    external ones.
    """
    query = sa.select(network).order_by(network.c.created_at, network.c.id)
    for column, values in (wanted or {}).items():
        query = query.where(network.c[column].in_(values))
    if project_id is not None:
        query = query.where(visible_to(project_id))
    rows = connection.execute(query).mappings().all()
    ids = [row["id"] for row in rows]
    segments, subnets = segments_of(connection, ids), _subnets_of(connection, ids)
    shared = shared_with_of(connection, ids)
    return tuple(
        _record(row, segments[row["id"]], subnets[row["id"]], shared[row["id"]]) for row in rows
    )


def visible_to(project_id: str) -> sa.ColumnElement[bool]:
    """The condition on ``network`` that a project sees it."""
    own = network.c.project_id == project_id
    return sa.or_(own, network.c.external, is_shared_with(project_id))


def network_show(
    connection: sa.Connection, network_id: str, *, project_id: str | None = None
) -> NetworkRecord | None:
    """Read one network; None when it is not there, or not for *project_id* to see."""
    found = network_list(connection, {"id": (network_id,)}, project_id=project_id)
    return found[0] if found else None


def network_insert(
    connection: sa.Connection,
    network_id: str,
    wanted: NetworkWanted,
    *,
    project_id: str,
    now: datetime,
) -> None:
    """Make a network, yet without a segment, from which its MTU follows."""
    connection.execute(
        network.insert().values(
            id=network_id,
            project_id=project_id,
            name=wanted.name,
            description=wanted.description,
            admin_state_up=wanted.admin_state_up,
            external=wanted.external,
            port_security_enabled=wanted.port_security_enabled,
            qos_policy_id=wanted.qos_policy_id,
            tags=list(wanted.tags),
            created_at=now,
            updated_at=now,
        )
    )
    if wanted.shared:
        rbac_insert(connection, network_id, project_id, EVERYBODY)


def network_set_mtu(connection: sa.Connection, network_id: str, mtu: int) -> None:
    """Complete a network that is being made."""
    connection.execute(network.update().where(network.c.id == network_id).values(mtu=mtu))


def segments_of(
    connection: sa.Connection, network_ids: Iterable[str]
) -> Mapping[str, tuple[Segment, ...]]:
    """The segments of each network, in order; empty for one that has none."""
    found: dict[str, tuple[Segment, ...]] = defaultdict(tuple)
    for ids in _chunks(network_ids):
        rows = connection.execute(
            sa.select(segment)
            .where(segment.c.network_id.in_(ids))
            .order_by(segment.c.position, segment.c.id)
        )
        for row in rows:
            found[row.network_id] += (
                Segment(
                    id=row.id,
                    network_type=NetworkType(row.network_type),
                    physical_network=row.physical_network,
                    segmentation_id=row.segmentation_id,
                    name=row.name,
                    description=row.description,
                ),
            )
    return found


def network_delete(
    connection: sa.Connection, network_id: str, *, revision: int | None = None
) -> None:
    """Delete a network with its subnets, its segments and the ports that serve only it.

    Raises:
        Stale: *revision* is not the present one.
        Conflict: code NetworkInUse; ports are left on it, also one that came this moment.
    """
    check_revision(connection, network, network_id, revision)
    connection.execute(
        port.delete().where(port.c.network_id == network_id, port.c.device_owner == SERVES_NETWORK)
    )
    left = list(
        connection.scalars(sa.select(port.c.id).where(port.c.network_id == network_id).limit(3))
    )
    if left:
        raise _in_use(network_id, left)
    try:
        with connection.begin_nested():
            connection.execute(network.delete().where(network.c.id == network_id))
    except IntegrityError as error:  # a port was made between the look and the deletion
        raise _in_use(network_id, ()) from error


def _in_use(network_id: str, ports: Sequence[str]) -> Conflict:
    named = f": {', '.join(ports)}" if ports else ""
    return Conflict(
        f"network {network_id} has ports in use{named}",
        hint="delete them first",
        code="NetworkInUse",
    )


def _subnets_of(
    connection: sa.Connection, network_ids: Iterable[str]
) -> Mapping[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = defaultdict(tuple)
    for ids in _chunks(network_ids):
        rows = connection.execute(
            sa.select(subnet.c.network_id, subnet.c.id)
            .where(subnet.c.network_id.in_(ids))
            .order_by(subnet.c.created_at, subnet.c.id)
        )
        for network_id, subnet_id in rows:
            found[network_id] += (subnet_id,)
    return found


def _chunks(ids: Iterable[str]) -> Iterable[Sequence[str]]:
    every = list(dict.fromkeys(ids))
    return (every[at : at + _CHUNK] for at in range(0, len(every), _CHUNK))


def _record(
    row: sa.RowMapping,
    segments: tuple[Segment, ...],
    subnets: tuple[str, ...],
    shared_with: frozenset[str],
) -> NetworkRecord:
    return NetworkRecord(
        id=row["id"],
        project_id=row["project_id"],
        name=row["name"],
        description=row["description"],
        admin_state_up=row["admin_state_up"],
        shared_with=shared_with,
        external=row["external"],
        port_security_enabled=row["port_security_enabled"],
        mtu=row["mtu"],
        qos_policy_id=row["qos_policy_id"],
        segments=segments,
        subnets=subnets,
        tags=tuple(row["tags"]),
        revision=row["revision"],
        created_at=row["created_at"],
        updated_at=row["updated_at"],
    )
