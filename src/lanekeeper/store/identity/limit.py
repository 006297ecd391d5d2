"""Limits: what every project may have, and what single ones may have in its place."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from lanekeeper.domain.identity.limit import Limit, RegisteredLimit
from lanekeeper.store.tables import project_limit, registered_limit

_LIMIT = sa.select(
    project_limit, registered_limit.c.resource_name, registered_limit.c.region_id
).join(registered_limit, registered_limit.c.id == project_limit.c.registered_id)
_PROJECT = sa.bindparam("project", type_=sa.Text)
# Every claim asks it, so it is made once.
_AMOUNTS = sa.select(
    registered_limit.c.resource_name,
    registered_limit.c.default_limit,
    project_limit.c.resource_limit,
).outerjoin(
    project_limit,
    sa.and_(
        project_limit.c.registered_id == registered_limit.c.id,
        project_limit.c.project_id == _PROJECT,
    ),
)


def limit_amounts(
    connection: sa.Connection, project_id: str
) -> tuple[dict[str, int], dict[str, int]]:
    """By resource, what is registered for all projects and what this one has of its own."""
    registered, own = {}, {}
    for name, default, mine in connection.execute(_AMOUNTS, {"project": project_id}):
        registered[name] = default
        if mine is not None:
            own[name] = mine
    return registered, own


def registered_limit_list(connection: sa.Connection, **wanted: str | None) -> list[RegisteredLimit]:
    """By id; columns of *wanted* that are not None must be as it says."""
    query = sa.select(registered_limit).order_by(registered_limit.c.id)
    for name, value in wanted.items():
        if value is not None:
            query = query.where(registered_limit.c[name] == value)
    return [RegisteredLimit(**row) for row in connection.execute(query).mappings()]


def registered_limit_insert(connection: sa.Connection, new: RegisteredLimit) -> None:
    """Add one.

    Raises:
        IntegrityError: the resource has one.
    """
    values = {name: getattr(new, name) for name in RegisteredLimit.__slots__}
    connection.execute(registered_limit.insert().values(**values))


def registered_limit_update(connection: sa.Connection, id_: str, values: dict[str, Any]) -> None:
    if values:
        mine = registered_limit.c.id == id_
        connection.execute(registered_limit.update().where(mine).values(**values))


def registered_limit_delete(connection: sa.Connection, id_: str) -> bool:
    """Remove one; whether it was there.

    Raises:
        IntegrityError: a project has a limit in its place.
    """
    gone = registered_limit.delete().where(registered_limit.c.id == id_)
    return connection.execute(gone).rowcount == 1


def limit_list(connection: sa.Connection, **wanted: str | None) -> list[Limit]:
    """By id; as ``registered_limit_list``, by the names of ``Limit``."""
    query = _LIMIT.order_by(project_limit.c.id)
    for name, value in wanted.items():
        column = project_limit.c[name] if name in project_limit.c else registered_limit.c[name]
        if value is not None:
            query = query.where(column == value)
    return [Limit(**row) for row in connection.execute(query).mappings()]


def limit_insert(connection: sa.Connection, new: Limit) -> None:
    """Add one.

    Raises:
        IntegrityError: the project has one of this resource.
    """
    values = {column.name: getattr(new, column.name) for column in project_limit.c}
    connection.execute(project_limit.insert().values(**values))


def limit_update(connection: sa.Connection, id_: str, values: dict[str, Any]) -> None:
    if values:
        connection.execute(project_limit.update().where(project_limit.c.id == id_).values(**values))


def limit_delete(connection: sa.Connection, id_: str) -> bool:
    """Remove one; whether it was there."""
    return connection.execute(project_limit.delete().where(project_limit.c.id == id_)).rowcount == 1
