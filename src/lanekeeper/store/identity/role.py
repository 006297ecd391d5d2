"""Roles, and who has which where."""

from __future__ import annotations

import sqlalchemy as sa

from lanekeeper.domain.identity.role import Assignment, Role, Scope, ScopeKind
from lanekeeper.store.tables import assignment, role

_COLUMNS = (role.c.id, role.c.name, role.c.description)


def role_get(connection: sa.Connection, role_id: str) -> Role | None:
    row = connection.execute(sa.select(*_COLUMNS).where(role.c.id == role_id)).first()
    return None if row is None else Role(**row._mapping)


def role_list(connection: sa.Connection, name: str | None = None) -> list[Role]:
    """All roles, or the one of that name; by name."""
    query = sa.select(*_COLUMNS).order_by(role.c.name)
    if name is not None:
        query = query.where(role.c.name == name)
    return [Role(**row._mapping) for row in connection.execute(query)]


def role_count(connection: sa.Connection) -> int:
    return connection.scalar(sa.select(sa.func.count()).select_from(role)) or 0


def role_insert(connection: sa.Connection, new: Role) -> None:
    """Add a role.

    Raises:
        IntegrityError: the name is taken.
    """
    connection.execute(role.insert().values(id=new.id, name=new.name, description=new.description))


def role_update(connection: sa.Connection, role_id: str, values: dict[str, object]) -> None:
    if values:
        connection.execute(role.update().where(role.c.id == role_id).values(**values))


def role_delete(connection: sa.Connection, role_id: str) -> bool:
    """Remove a role and take it from everybody; whether it was there."""
    return connection.execute(role.delete().where(role.c.id == role_id)).rowcount == 1


# Assignments --------------------------------------------------------------------------------------


def assignment_add(connection: sa.Connection, new: Assignment) -> None:
    """Give a role; giving it twice changes nothing.

    Raises:
        IntegrityError: the user or the role has gone.
    """
    if assignment_has(connection, new):
        return
    connection.execute(
        assignment.insert().values(
            user_id=new.user_id,
            role_id=new.role_id,
            scope=new.scope.kind.value,
            target_id=new.scope.target_id,
        )
    )


def assignment_has(connection: sa.Connection, wanted: Assignment) -> bool:
    query = sa.select(assignment.c.user_id).where(_is(wanted))
    return connection.execute(query).first() is not None


def assignment_remove(connection: sa.Connection, old: Assignment) -> bool:
    """Take a role away; whether it was there."""
    return connection.execute(assignment.delete().where(_is(old))).rowcount == 1


def _is(one: Assignment) -> sa.ColumnElement[bool]:
    return sa.and_(
        assignment.c.user_id == one.user_id,
        assignment.c.role_id == one.role_id,
        assignment.c.scope == one.scope.kind.value,
        assignment.c.target_id == one.scope.target_id,
    )


def assignment_list(
    connection: sa.Connection,
    *,
    user_id: str | None = None,
    role_id: str | None = None,
    kind: ScopeKind | None = None,
    target_id: str | None = None,
) -> list[Assignment]:
    """Assignments that match all that is given."""
    query = sa.select(assignment).order_by(*assignment.primary_key.columns)
    if user_id is not None:
        query = query.where(assignment.c.user_id == user_id)
    if role_id is not None:
        query = query.where(assignment.c.role_id == role_id)
    if kind is not None:
        query = query.where(assignment.c.scope == kind.value)
    if target_id is not None:
        query = query.where(assignment.c.target_id == target_id)
    return [
        Assignment(
            user_id=row.user_id,
            role_id=row.role_id,
            scope=Scope(ScopeKind(row.scope), row.target_id),
        )
        for row in connection.execute(query)
    ]
