"""Whom networks are shared with. The row is what lets a project in."""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping

import sqlalchemy as sa

from lanekeeper.domain.network.network import EVERYBODY
from lanekeeper.domain.network.rbac import RbacRecord
from lanekeeper.store.row import row_insert_new
from lanekeeper.store.tables import network, network_rbac, port

_CHUNK = 500


def is_shared_with(project_id: str | None) -> sa.ColumnElement[bool]:
    """The condition on ``network`` that it is shared with a project; None: with everybody."""
    return sa.exists(
        sa.select(network_rbac.c.id).where(
            network_rbac.c.network_id == network.c.id,
            network_rbac.c.target_project.in_((EVERYBODY, project_id or EVERYBODY)),
        )
    )


def rbac_list(
    connection: sa.Connection,
    wanted: Mapping[str, Collection[str]] | None = None,
    *,
    project_id: str | None = None,
) -> tuple[RbacRecord, ...]:
    """Read policies by id, narrowed by columns; those of *project_id* alone when it is given."""
    query = sa.select(network_rbac).order_by(network_rbac.c.id)
    for column, values in (wanted or {}).items():
        query = query.where(network_rbac.c[column].in_(values))
    if project_id is not None:
        query = query.where(network_rbac.c.project_id == project_id)
    return tuple(RbacRecord(**row) for row in connection.execute(query).mappings())


def shared_with_of(
    connection: sa.Connection, network_ids: Iterable[str]
) -> Mapping[str, frozenset[str]]:
    """The projects that each network is shared with; empty for one that is not."""
    found: dict[str, frozenset[str]] = defaultdict(frozenset)
    ids = list(dict.fromkeys(network_ids))
    for at in range(0, len(ids), _CHUNK):
        rows = connection.execute(
            sa.select(network_rbac.c.network_id, network_rbac.c.target_project).where(
                network_rbac.c.network_id.in_(ids[at : at + _CHUNK])
            )
        )
        for network_id, target in rows:
            found[network_id] |= {target}
    return found


def rbac_insert(
    connection: sa.Connection,
    network_id: str,
    project_id: str,
    target_project: str,
    *,
    rbac_id: str | None = None,
) -> RbacRecord | None:
    """Share a network with a project; None when it is already."""
    made = RbacRecord(
        id=rbac_id or str(uuid.uuid4()),
        project_id=project_id,
        network_id=network_id,
        target_project=target_project,
    )
    values = {name: getattr(made, name) for name in RbacRecord.__slots__}
    return made if row_insert_new(connection, network_rbac, values) else None


def rbac_delete(connection: sa.Connection, rbac_id: str) -> bool:
    """Share a network no more; waits for whoever makes a port by it just now."""
    gone = connection.execute(network_rbac.delete().where(network_rbac.c.id == rbac_id))
    return gone.rowcount == 1


def rbac_hold(connection: sa.Connection, network_id: str, project_id: str) -> bool:
    """Have a network stay shared with a project until the commit; whether it is."""
    found = connection.execute(
        sa.select(network_rbac.c.id)
        .where(
            network_rbac.c.network_id == network_id,
            network_rbac.c.target_project.in_((EVERYBODY, project_id)),
        )
        .with_for_update(read=True)
    )
    return found.first() is not None


def projects_on(connection: sa.Connection, network_id: str) -> frozenset[str]:
    """The projects that have ports on a network."""
    mine = port.c.network_id == network_id
    return frozenset(connection.scalars(sa.select(port.c.project_id).where(mine).distinct()))
