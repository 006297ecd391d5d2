"""Security groups, their rules within. Rules are changed below a guard on the group's revision."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Collection, Mapping
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from lanekeeper.domain.network.guard.of_port import prefix_of
from lanekeeper.domain.network.security_group import (
    DEFAULT,
    SecurityGroupRecord,
    default_group_id,
    first_rules,
)
from lanekeeper.store.row import check_revision, row_change_list, row_insert_new
from lanekeeper.store.tables import address, port, security_group

FILTERS = frozenset({"id", "name", "project_id"})

Rules = list[dict[str, Any]]


def security_group_list(
    connection: sa.Connection,
    wanted: Mapping[str, Collection[str]] | None = None,
    *,
    project_id: str | None = None,
) -> tuple[SecurityGroupRecord, ...]:
    """Read groups, oldest first; those of *project_id* alone when it is given."""
    query = sa.select(security_group).order_by(security_group.c.created_at, security_group.c.id)
    for column, values in (wanted or {}).items():
        query = query.where(security_group.c[column].in_(values))
    if project_id is not None:
        query = query.where(security_group.c.project_id == project_id)
    return tuple(_record(row) for row in connection.execute(query).mappings())


def security_group_default(connection: sa.Connection, project_id: str, now: datetime) -> str:
    """Return the id of a project's default group; make it if it is not there."""
    group_id = default_group_id(project_id)
    known = sa.select(security_group.c.id).where(security_group.c.id == group_id)
    if connection.scalar(known) is None:
        security_group_insert(
            connection, group_id, project_id, DEFAULT, "Default security group", now=now
        )
    return group_id


def security_group_insert(
    connection: sa.Connection,
    group_id: str,
    project_id: str,
    name: str,
    description: str = "",
    *,
    stateful: bool = True,
    now: datetime,
) -> None:
    """Make a group with the rules that every new one has; one that is there stays as it is."""
    rules = [new_rule(fields, now) for fields in first_rules(group_id, name)]
    values = {
        "id": group_id,
        "project_id": project_id,
        "name": name,
        "description": description,
        "stateful": stateful,
        "rules": rules,
        "created_at": now,
        "updated_at": now,
    }
    row_insert_new(connection, security_group, values)


def new_rule(fields: Mapping[str, Any], now: datetime) -> dict[str, Any]:
    """A rule with an id and its times, as stored."""
    at = now.strftime("%Y-%m-%dT%H:%M:%SZ")
    return {"id": str(uuid.uuid4()), **fields, "created_at": at, "updated_at": at}


def security_group_change_rules(
    connection: sa.Connection, group_id: str, change: Callable[[Rules], Rules], now: datetime
) -> bool:
    """Replace the rules by what *change* makes of them; returns whether the group is there."""
    return row_change_list(connection, security_group, group_id, "rules", change, now=now)


def security_group_of_rule(
    connection: sa.Connection, rule_id: str, *, project_id: str | None = None
) -> SecurityGroupRecord | None:
    """The group that holds a rule; rules are looked through, since groups are few."""
    groups = security_group_list(connection, project_id=project_id)
    return next((g for g in groups if any(rule["id"] == rule_id for rule in g.rules)), None)


def security_group_users(connection: sa.Connection, group_id: str) -> tuple[str, ...]:
    """Ids of ports that name the group; those of the whole table are looked through."""
    text = sa.cast(port.c.security_groups, sa.Text)
    rows = connection.execute(
        sa.select(port.c.id, port.c.security_groups).where(text.contains(group_id, autoescape=True))
    )
    return tuple(port_id for port_id, groups in rows if group_id in groups)


def security_group_members(
    connection: sa.Connection, group_ids: Collection[str]
) -> dict[str, set[str]]:
    """Prefixes from which ports of each group may send: their addresses and allowed pairs'.

    Ports of the whole table are looked through, whether or not anybody has them, as Neutron does.
    """
    text = sa.cast(port.c.security_groups, sa.Text)
    named = sa.or_(*(text.contains(group_id, autoescape=True) for group_id in sorted(group_ids)))
    rows = connection.execute(
        sa.select(port.c.security_groups, port.c.allowed_address_pairs, address.c.ip)
        .outerjoin(address, address.c.port_id == port.c.id)
        .where(named)
    )
    found: dict[str, set[str]] = {group_id: set() for group_id in group_ids}
    for groups, pairs, ip in rows:
        prefixes = {*([ip] if ip else ()), *(prefix_of(pair["ip_address"]) for pair in pairs)}
        for group_id in found.keys() & set(groups):
            found[group_id] |= prefixes
    return found


def security_group_delete(
    connection: sa.Connection, group_id: str, *, revision: int | None = None
) -> bool:
    """Delete a group with its rules; returns whether it was there.

    Raises:
        Stale: *revision* is not the present one.
    """
    check_revision(connection, security_group, group_id, revision)
    gone = connection.execute(security_group.delete().where(security_group.c.id == group_id))
    return gone.rowcount == 1


def _record(row: sa.RowMapping) -> SecurityGroupRecord:
    return SecurityGroupRecord(
        id=row["id"],
        project_id=row["project_id"],
        name=row["name"],
        description=row["description"],
        stateful=row["stateful"],
        rules=tuple(row["rules"]),
        tags=tuple(row["tags"]),
        revision=row["revision"],
        created_at=row["created_at"],
        updated_at=row["updated_at"],
    )
