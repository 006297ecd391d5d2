"""Projects."""

from __future__ import annotations

import sqlalchemy as sa

from lanekeeper.domain.identity.project import Project
from lanekeeper.domain.identity.role import ScopeKind
from lanekeeper.store.tables import assignment, project, server, user

_COLUMNS = (
    project.c.id,
    project.c.name,
    project.c.domain_id,
    project.c.description,
    project.c.enabled,
)


def project_get(connection: sa.Connection, project_id: str) -> Project | None:
    row = connection.execute(sa.select(*_COLUMNS).where(project.c.id == project_id)).first()
    return None if row is None else Project(**row._mapping)


def project_named(connection: sa.Connection, name: str) -> Project | None:
    row = connection.execute(sa.select(*_COLUMNS).where(project.c.name == name)).first()
    return None if row is None else Project(**row._mapping)


def project_list(
    connection: sa.Connection,
    *,
    name: str | None = None,
    enabled: bool | None = None,
    user_id: str | None = None,
    after: str = "",
    limit: int,
) -> list[Project]:
    """Projects by id, those after *after*; with *user_id* those where that user has a role."""
    query = sa.select(*_COLUMNS).where(project.c.id > after).order_by(project.c.id).limit(limit)
    if name is not None:
        query = query.where(project.c.name == name)
    if enabled is not None:
        query = query.where(project.c.enabled.is_(enabled))
    if user_id is not None:
        theirs = sa.select(assignment.c.target_id).where(
            assignment.c.user_id == user_id, assignment.c.scope == ScopeKind.PROJECT
        )
        query = query.where(project.c.id.in_(theirs))
    return [Project(**row._mapping) for row in connection.execute(query)]


def project_insert(connection: sa.Connection, new: Project) -> None:
    """Add a project.

    Raises:
        IntegrityError: the name is taken in the domain.
    """
    connection.execute(
        project.insert().values(
            id=new.id,
            name=new.name,
            domain_id=new.domain_id,
            description=new.description,
            enabled=new.enabled,
        )
    )


def project_update(connection: sa.Connection, project_id: str, values: dict[str, object]) -> None:
    if values:
        connection.execute(project.update().where(project.c.id == project_id).values(**values))


def project_delete(connection: sa.Connection, project_id: str) -> bool:
    """Remove a project, the roles in it and its application credentials; whether it was there."""
    connection.execute(
        assignment.delete().where(
            assignment.c.scope == ScopeKind.PROJECT, assignment.c.target_id == project_id
        )
    )
    connection.execute(
        user.update().where(user.c.default_project_id == project_id).values(default_project_id=None)
    )
    return connection.execute(project.delete().where(project.c.id == project_id)).rowcount == 1


def project_lock(connection: sa.Connection, project_id: str) -> bool:
    """Keep a project from going before this transaction ends; False when it has gone."""
    query = sa.select(project.c.id).where(project.c.id == project_id).with_for_update()
    return connection.scalar(query) is not None


def project_server_count(connection: sa.Connection, project_id: str) -> int:
    query = sa.select(sa.func.count()).where(server.c.project_id == project_id)
    return connection.scalar(query) or 0
