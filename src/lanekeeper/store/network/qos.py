"""QoS policies, their rules within; and which ports each of them speaks of."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from lanekeeper.domain.errors import Conflict
from lanekeeper.domain.network.qos import QosPolicyRecord, QosPolicyWanted, QosRule, rule_read
from lanekeeper.store.row import check_revision
from lanekeeper.store.tables import network, port, qos_policy

FILTERS = frozenset({"id", "name", "project_id"})

_CHUNK = 500


def qos_policy_list(
    connection: sa.Connection,
    wanted: Mapping[str, Collection[str]] | None = None,
    *,
    project_id: str | None = None,
) -> tuple[QosPolicyRecord, ...]:
    """Read policies, oldest first; with *project_id* its own and the shared ones."""
    query = sa.select(qos_policy).order_by(qos_policy.c.created_at, qos_policy.c.id)
    for column, values in (wanted or {}).items():
        query = query.where(qos_policy.c[column].in_(values))
    if project_id is not None:
        query = query.where(sa.or_(qos_policy.c.project_id == project_id, qos_policy.c.shared))
    return tuple(_record(row) for row in connection.execute(query).mappings())


def qos_policy_hold(connection: sa.Connection, policy_id: str) -> bool:
    """Keep a policy from being deleted until the commit; returns whether it is there."""
    query = sa.select(qos_policy.c.id).where(qos_policy.c.id == policy_id)
    return connection.scalar(query.with_for_update(read=True, key_share=True)) is not None


def qos_policy_default(connection: sa.Connection, project_id: str) -> str | None:
    """The id of the policy that a project's new networks get; None where there is none."""
    return connection.scalar(
        sa.select(qos_policy.c.id).where(
            qos_policy.c.project_id == project_id, qos_policy.c.is_default
        )
    )


def qos_policy_insert(
    connection: sa.Connection,
    policy_id: str,
    wanted: QosPolicyWanted,
    *,
    project_id: str,
    now: datetime,
) -> None:
    """Make a policy, yet without rules.

    Raises:
        Conflict: code QoSPolicyDefaultAlreadyExists. The transaction must be left.
    """
    try:
        with connection.begin_nested():
            connection.execute(
                qos_policy.insert().values(
                    id=policy_id,
                    project_id=project_id,
                    name=wanted.name,
                    description=wanted.description,
                    shared=wanted.shared,
                    is_default=wanted.is_default,
                    created_at=now,
                    updated_at=now,
                )
            )
    except IntegrityError as error:
        raise _has_default(project_id) from error


def qos_policy_write(
    connection: sa.Connection, policy_id: str, project_id: str, values: Mapping[str, Any]
) -> None:
    """Change columns of a policy that ``row_update`` holds already; its revision stays.

    Raises:
        Conflict: code QoSPolicyDefaultAlreadyExists. The transaction must be left.
    """
    if not values:
        return
    change = qos_policy.update().where(qos_policy.c.id == policy_id).values(**values)
    try:
        with connection.begin_nested():
            connection.execute(change)
    except IntegrityError as error:
        raise _has_default(project_id) from error


def qos_policy_delete(
    connection: sa.Connection, policy_id: str, *, revision: int | None = None
) -> None:
    """Delete a policy with its rules.

    Raises:
        Stale: *revision* is not the present one.
        Conflict: code QosPolicyInUse; a port or a network has it.
    """
    check_revision(connection, qos_policy, policy_id, revision)
    try:
        with connection.begin_nested():
            connection.execute(qos_policy.delete().where(qos_policy.c.id == policy_id))
    except IntegrityError as error:
        raise _in_use(connection, policy_id) from error


def qos_users(connection: sa.Connection, policy_id: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Ids of the ports and of the networks that name a policy."""
    found = [
        tuple(
            connection.scalars(
                sa.select(table.c.id)
                .where(table.c.qos_policy_id == policy_id)
                .order_by(table.c.created_at, table.c.id)
            )
        )
        for table in (port, network)
    ]
    return found[0], found[1]


def qos_rules_of(
    connection: sa.Connection, policy_ids: Iterable[str | None]
) -> Mapping[str, tuple[QosRule, ...]]:
    """The rules of each policy, by its id."""
    ids = sorted({policy_id for policy_id in policy_ids if policy_id})
    found: dict[str, tuple[QosRule, ...]] = {}
    for at in range(0, len(ids), _CHUNK):
        rows = connection.execute(
            sa.select(qos_policy.c.id, qos_policy.c.rules).where(
                qos_policy.c.id.in_(ids[at : at + _CHUNK])
            )
        )
        found |= {row.id: tuple(map(rule_read, row.rules)) for row in rows}
    return found


def _has_default(project_id: str) -> Conflict:
    return Conflict(
        f"project {project_id} has a default QoS policy already",
        hint="take the default from that one first: openstack network qos policy set --no-default",
        code="QoSPolicyDefaultAlreadyExists",
    )


def _in_use(connection: sa.Connection, policy_id: str) -> Conflict:
    ports, networks = qos_users(connection, policy_id)
    kind, ids = ("port", ports) if ports else ("network", networks)
    named = f" by {kind} {', '.join(ids[:3])}" if ids else ""
    return Conflict(
        f"QoS Policy {policy_id} is used{named}",
        hint="take it from there first: --no-qos-policy",
        code="QosPolicyInUse",
    )


def _record(row: sa.RowMapping) -> QosPolicyRecord:
    return QosPolicyRecord(
        id=row["id"],
        project_id=row["project_id"],
        name=row["name"],
        description=row["description"],
        shared=row["shared"],
        is_default=row["is_default"],
        rules=tuple(map(rule_read, row["rules"])),
        tags=tuple(row["tags"]),
        revision=row["revision"],
        created_at=row["created_at"],
        updated_at=row["updated_at"],
    )
