"""What can be wanted of roles, and who has which where."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from lanekeeper.control.identity.project import find_project
from lanekeeper.control.identity.token import scope_roles
from lanekeeper.control.identity.unique import write_unique
from lanekeeper.control.identity.user import find_user
from lanekeeper.control.site import Site
from lanekeeper.domain.errors import Forbidden, NotFound, TooLarge
from lanekeeper.domain.identity.project import DOMAIN_ID, Project
from lanekeeper.domain.identity.role import STANDARD, Assignment, Role, Scope, ScopeKind
from lanekeeper.domain.identity.user import User
from lanekeeper.store.identity.project import project_get, project_lock
from lanekeeper.store.identity.role import (
    assignment_add,
    assignment_has,
    assignment_list,
    assignment_remove,
    role_count,
    role_delete,
    role_get,
    role_insert,
    role_list,
    role_update,
)
from lanekeeper.store.identity.user import user_get

ROLES_MAX = 1000


def list_roles(site: Site, name: str | None = None) -> list[Role]:
    with site.database.read() as connection:
        return role_list(connection, name)


def show_role(site: Site, role_id: str) -> Role:
    """One role.

    Raises:
        NotFound: there is none.
    """
    with site.database.read() as connection:
        return find_role(connection, role_id)


def create_role(site: Site, name: str, description: str = "") -> Role:
    """Make a role; what it allows is the policy file's.

    Raises:
        Conflict: the name is taken.
        TooLarge: there are as many roles as can be.
    """
    new = Role(id=uuid.uuid4().hex, name=name, description=description)

    def work(connection: sa.Connection) -> None:
        if role_count(connection) >= ROLES_MAX:
            raise TooLarge(f"there are {ROLES_MAX} roles, the most there can be")
        role_insert(connection, new)

    write_unique(site, work, _taken(name))
    return new


def update_role(site: Site, role_id: str, values: Mapping[str, object]) -> Role:
    """Change what *values* names: name, description.

    Raises:
        Conflict: the name is taken.
        Forbidden: it is a standard role, which policies name.
        NotFound: there is none.
    """

    def work(connection: sa.Connection) -> Role:
        _refuse_standard(find_role(connection, role_id))
        role_update(connection, role_id, dict(values))
        return find_role(connection, role_id)

    changed = write_unique(site, work, _taken(str(values.get("name"))))
    site.token_memory.forget()
    return changed


def delete_role(site: Site, role_id: str) -> None:
    """Remove a role and take it from everybody.

    Raises:
        Forbidden: it is a standard role, which policies name.
        NotFound: there is none.
    """

    def work(connection: sa.Connection) -> None:
        _refuse_standard(find_role(connection, role_id))
        role_delete(connection, role_id)

    site.database.write(work)
    site.token_memory.forget()


# Who has which where ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedAssignment:
    """An assignment with what its ids mean.

    Attributes:
        project: set exactly when the scope is a project.
    """

    role: Role
    user: User
    scope: Scope
    project: Project | None


def grant_role(site: Site, wanted: Assignment) -> None:
    """Give a role; giving it twice changes nothing.

    Raises:
        NotFound: the user, the role or the project is not there.
    """

    def work(connection: sa.Connection) -> None:
        _check_parts(connection, wanted)
        if wanted.scope.kind is ScopeKind.PROJECT:
            project_lock(connection, wanted.scope.target_id)
        assignment_add(connection, wanted)

    try:
        site.database.write(work)
    except IntegrityError:
        # Given by another request at this moment, or the user has just gone: look again.
        check_grant(site, wanted)
    site.token_memory.forget()


def check_grant(site: Site, wanted: Assignment) -> None:
    """Answer nothing if the role is given.

    Raises:
        NotFound: it is not, or a part of it is not there.
    """
    with site.database.read() as connection:
        _check_parts(connection, wanted)
        if not assignment_has(connection, wanted):
            raise _not_given(wanted)


def revoke_grant(site: Site, wanted: Assignment) -> None:
    """Take a role away; tokens that rest on it lose it within a second.

    Raises:
        NotFound: it was not given.
    """

    def work(connection: sa.Connection) -> None:
        if not assignment_remove(connection, wanted):
            raise _not_given(wanted)

    site.database.write(work)
    site.token_memory.forget()


def list_grants(site: Site, user_id: str, scope: Scope) -> list[Role]:
    """The roles given to a user in a scope, implied ones not included.

    Raises:
        NotFound: the user or the project is not there.
    """
    with site.database.read() as connection:
        find_user(connection, user_id)
        _check_scope(connection, scope)
        given = assignment_list(
            connection, user_id=user_id, kind=scope.kind, target_id=scope.target_id
        )
        ids = {one.role_id for one in given}
        return [role for role in role_list(connection) if role.id in ids]


def list_assignments(
    site: Site,
    *,
    user_id: str | None = None,
    role_id: str | None = None,
    kind: ScopeKind | None = None,
    target_id: str | None = None,
    effective: bool = False,
) -> list[NamedAssignment]:
    """Assignments that match all that is given; *effective* adds those implied."""
    with site.database.read() as connection:
        found = assignment_list(
            connection,
            user_id=user_id,
            role_id=None if effective else role_id,
            kind=kind,
            target_id=target_id,
        )
        if effective:
            found = _effective(connection, found, role_id)
        roles = {role.id: role for role in role_list(connection)}
        users = {one.user_id: user_get(connection, one.user_id) for one in found}
        projects = {
            one.scope.target_id: project_get(connection, one.scope.target_id)
            for one in found
            if one.scope.kind is ScopeKind.PROJECT
        }
    return [
        NamedAssignment(
            role=roles[one.role_id],
            user=user,
            scope=one.scope,
            project=projects.get(one.scope.target_id),
        )
        for one in found
        if (user := users[one.user_id]) is not None and one.role_id in roles
    ]


def _effective(
    connection: sa.Connection, given: list[Assignment], role_id: str | None
) -> list[Assignment]:
    places = dict.fromkeys((one.user_id, one.scope) for one in given)
    return [
        Assignment(user_id=user_id, role_id=role.id, scope=scope)
        for user_id, scope in places
        for role in scope_roles(connection, user_id, scope)
        if role_id in {None, role.id}
    ]


def find_role(connection: sa.Connection, role_id: str) -> Role:
    """The role of that id.

    Raises:
        NotFound: there is none.
    """
    role = role_get(connection, role_id)
    if role is None:
        raise NotFound(f"Could not find role: {role_id}.")
    return role


def _check_parts(connection: sa.Connection, wanted: Assignment) -> None:
    find_role(connection, wanted.role_id)
    find_user(connection, wanted.user_id)
    _check_scope(connection, wanted.scope)


def _check_scope(connection: sa.Connection, scope: Scope) -> None:
    if scope.kind is ScopeKind.PROJECT:
        find_project(connection, scope.target_id)
    if scope.kind is ScopeKind.DOMAIN and scope.target_id != DOMAIN_ID:
        raise NotFound(f"Could not find domain: {scope.target_id}.")


def _refuse_standard(role: Role) -> None:
    if role.name in STANDARD:
        raise Forbidden(f"role {role.name} is standard: policies name it, so it stays as it is")


def _not_given(wanted: Assignment) -> NotFound:
    return NotFound(
        f"Could not find role assignment with role: {wanted.role_id}, user: {wanted.user_id}, "
        f"{wanted.scope.kind}: {wanted.scope.target_id}."
    )


def _taken(name: str) -> str:
    return f"Conflict occurred attempting to store role: there is one named {name!r} already."
