"""What can be wanted of projects."""

from __future__ import annotations

import uuid
from collections.abc import Mapping

import sqlalchemy as sa

from lanekeeper.control.caller import Caller
from lanekeeper.control.identity.unique import write_unique
from lanekeeper.control.site import Site
from lanekeeper.domain.errors import Conflict, Forbidden, NotFound
from lanekeeper.domain.identity.project import Project
from lanekeeper.store.identity.project import (
    project_delete,
    project_get,
    project_insert,
    project_list,
    project_lock,
    project_server_count,
    project_update,
)

PAGE = 1000


def list_projects(
    site: Site,
    *,
    name: str | None = None,
    enabled: bool | None = None,
    user_id: str | None = None,
    after: str = "",
    limit: int = PAGE,
) -> list[Project]:
    """Projects by id, those after *after*; with *user_id* those where that user has a role."""
    with site.database.read() as connection:
        return project_list(
            connection, name=name, enabled=enabled, user_id=user_id, after=after, limit=limit
        )


def show_project(site: Site, caller: Caller, project_id: str) -> Project:
    """One project.

    Raises:
        Forbidden: it is not the caller's own, and the caller is no admin; whether it exists
            is not told.
        NotFound: there is none.
    """
    if not caller.sees(project_id):
        raise Forbidden("You are not authorized to look at that project; it takes the role admin")
    with site.database.read() as connection:
        return find_project(connection, project_id)


def create_project(site: Site, name: str, *, description: str, enabled: bool) -> Project:
    """Make a project.

    Raises:
        Conflict: the name is taken.
    """
    new = Project(id=uuid.uuid4().hex, name=name, description=description, enabled=enabled)
    write_unique(site, lambda connection: project_insert(connection, new), _taken(name))
    return new


def update_project(site: Site, project_id: str, values: Mapping[str, object]) -> Project:
    """Change what *values* names: name, description, enabled.

    Raises:
        Conflict: the name is taken.
        NotFound: there is none.
    """

    def work(connection: sa.Connection) -> Project:
        find_project(connection, project_id)
        project_update(connection, project_id, dict(values))
        return find_project(connection, project_id)

    changed = write_unique(site, work, _taken(str(values.get("name"))))
    site.token_memory.forget()
    return changed


def delete_project(site: Site, project_id: str) -> None:
    """Remove a project with the roles in it.

    Raises:
        Conflict: it has servers, which hold devices.
        NotFound: there is none.
    """

    def work(connection: sa.Connection) -> None:
        if not project_lock(connection, project_id):
            raise _missing(project_id)
        count = project_server_count(connection, project_id)
        if count:
            raise Conflict(
                f"project {project_id} still has {count} servers, which hold devices",
                hint="delete them first: openstack server list --project, server delete",
            )
        project_delete(connection, project_id)

    site.database.write(work)
    site.token_memory.forget()


def find_project(connection: sa.Connection, project_id: str) -> Project:
    """The project of that id.

    Raises:
        NotFound: there is none.
    """
    project = project_get(connection, project_id)
    if project is None:
        raise _missing(project_id)
    return project


def _missing(project_id: str) -> NotFound:
    return NotFound(f"Could not find project: {project_id}.")


def _taken(name: str) -> str:
    return f"Conflict occurred attempting to store project: there is one named {name!r} already."
