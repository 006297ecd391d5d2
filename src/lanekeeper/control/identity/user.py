"""What can be wanted of users."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field

import sqlalchemy as sa

from lanekeeper.control.caller import Caller
from lanekeeper.control.identity.password import check_password, hash_password
from lanekeeper.control.identity.project import PAGE
from lanekeeper.control.identity.token import REFUSED
from lanekeeper.control.identity.unique import write_unique
from lanekeeper.control.site import Site
from lanekeeper.domain.errors import Conflict, Forbidden, Invalid, NotFound, Unauthenticated
from lanekeeper.domain.identity.user import User
from lanekeeper.store.identity.project import project_get
from lanekeeper.store.identity.user import (
    user_delete,
    user_get,
    user_insert,
    user_list,
    user_password_hash,
    user_password_replace,
    user_update,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class NewUser:
    """Attributes:
    password: None for a user who cannot log in with one.
    """

    name: str
    password: str | None = field(default=None, repr=False)
    description: str = ""
    email: str = ""
    enabled: bool = True
    default_project_id: str | None = None


def list_users(
    site: Site,
    *,
    name: str | None = None,
    enabled: bool | None = None,
    after: str = "",
    limit: int = PAGE,
) -> list[User]:
    """Users by id, those after *after*."""
    with site.database.read() as connection:
        return user_list(connection, name=name, enabled=enabled, after=after, limit=limit)


def show_user(site: Site, caller: Caller, user_id: str) -> User:
    """One user.

    Raises:
        Forbidden: it is not the caller, and the caller is no admin; whether there is such a
            user is not told.
        NotFound: there is none.
    """
    own_or_admin(caller, user_id)
    with site.database.read() as connection:
        return find_user(connection, user_id)


def create_user(site: Site, new: NewUser) -> User:
    """Make a user without any role.

    Raises:
        Conflict: the name is taken.
        Invalid: the default project does not exist.
    """
    password_hash = hash_password(new.password) if new.password is not None else ""
    made = User(
        id=uuid.uuid4().hex,
        name=new.name,
        description=new.description,
        email=new.email,
        enabled=new.enabled,
        default_project_id=new.default_project_id,
    )

    def work(connection: sa.Connection) -> None:
        _check_default_project(connection, made.default_project_id)
        user_insert(connection, made, password_hash)

    write_unique(site, work, _taken(new.name))
    return made


def update_user(
    site: Site, user_id: str, values: Mapping[str, object], password: str | None = None
) -> User:
    """Change what *values* names, and the password if one is given: tokens before it are void.

    Raises:
        Conflict: the name is taken.
        Invalid: the default project does not exist.
        NotFound: there is none.
    """
    changes = dict(values)
    if password is not None:
        changes["password_hash"] = hash_password(password)
        changes["password_changed_at"] = site.clock()

    def work(connection: sa.Connection) -> User:
        find_user(connection, user_id)
        project_id = changes.get("default_project_id")
        _check_default_project(connection, None if project_id is None else str(project_id))
        user_update(connection, user_id, changes)
        return find_user(connection, user_id)

    changed = write_unique(site, work, _taken(str(values.get("name"))))
    site.token_memory.forget()
    return changed


def change_password(site: Site, user_id: str, original: str, password: str) -> None:
    """Have users change their own password; tokens issued before are void.

    Raises:
        Conflict: it was changed by somebody else at this moment.
        Unauthenticated: *original* is not the password, or there is no such user.
    """
    with site.database.read() as connection:
        user = user_get(connection, user_id)
        kept = user_password_hash(connection, user_id)
    if not check_password(original, kept) or user is None or not user.enabled:
        raise Unauthenticated(REFUSED)
    new_hash, now = hash_password(password), site.clock()
    changed = site.database.write(
        lambda connection: user_password_replace(
            connection, user_id, old_hash=kept, new_hash=new_hash, at=now
        )
    )
    site.token_memory.forget()
    if not changed:
        raise Conflict("the password was changed by somebody else at this moment; log in again")


def delete_user(site: Site, caller: Caller, user_id: str) -> None:
    """Remove a user with all roles and application credentials.

    Raises:
        Conflict: it is the caller, who would be locked out half-way.
        NotFound: there is none.
    """
    if user_id == caller.user_id:
        raise Conflict("a user cannot delete itself", hint="have another admin do it")
    if not site.database.write(lambda connection: user_delete(connection, user_id)):
        raise _missing(user_id)
    site.token_memory.forget()


def own_or_admin(caller: Caller, user_id: str) -> None:
    """Let users at what is theirs, and admins at everything.

    Raises:
        Forbidden: neither.
    """
    if caller.user_id != user_id and not caller.is_admin:
        raise Forbidden("You are not authorized to look at that user; it takes the role admin")


def find_user(connection: sa.Connection, user_id: str) -> User:
    """The user of that id.

    Raises:
        NotFound: there is none.
    """
    user = user_get(connection, user_id)
    if user is None:
        raise _missing(user_id)
    return user


def _check_default_project(connection: sa.Connection, project_id: str | None) -> None:
    if project_id is not None and project_get(connection, project_id) is None:
        raise Invalid(f"default_project_id: there is no project {project_id!r}")


def _missing(user_id: str) -> NotFound:
    return NotFound(f"Could not find user: {user_id}.")


def _taken(name: str) -> str:
    return f"Conflict occurred attempting to store user: there is one named {name!r} already."
