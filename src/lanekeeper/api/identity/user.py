"""Users."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated, Any

from msgspec import UNSET, Meta, UnsetType

from lanekeeper.api.identity.domain import check_domain
from lanekeeper.api.identity.field import Id, Name, Secret, Text
from lanekeeper.api.identity.page import flag, links, other_domain, page
from lanekeeper.api.row import ANYONE, Call, Policy, Row, Strict
from lanekeeper.control.identity import user
from lanekeeper.domain.identity.user import User

_ADMIN = "role:admin"
_LIST = Policy("identity:list_users", f"{_ADMIN} or (role:reader and system_scope:all)")


class NewUser(Strict, frozen=True):
    name: Name
    password: Secret | None = None
    domain_id: Id | None = None
    default_project_id: Id | None = None
    description: Text | None = None
    email: Text | None = None
    enabled: bool | None = None
    options: Annotated[dict[str, Any], Meta(max_length=0)] | None = None


class NewUserBody(Strict, frozen=True):
    user: NewUser


class Changes(Strict, frozen=True):
    name: Name | UnsetType = UNSET
    password: Secret | None = None
    original_password: Text | None = None
    domain_id: Id | None = None
    default_project_id: Id | UnsetType | None = UNSET
    description: Text | UnsetType | None = UNSET
    email: Text | UnsetType | None = UNSET
    enabled: bool | UnsetType = UNSET
    options: Annotated[dict[str, Any], Meta(max_length=0)] | None = None


class ChangesBody(Strict, frozen=True):
    user: Changes


class Passwords(Strict, frozen=True):
    original_password: Annotated[str, Meta(max_length=1024)]
    password: Secret


class PasswordsBody(Strict, frozen=True):
    user: Passwords


def list_users(call: Call[None]) -> dict[str, object]:
    """List all users."""
    asked = page(call)
    found = (
        []
        if other_domain(call)
        else user.list_users(
            call.site,
            name=call.asked("name"),
            enabled=flag(call, "enabled"),
            after=asked.after,
            limit=asked.limit,
        )
    )
    return {
        "users": [user_body(call, one) for one in found],
        "links": links(call, "/v3/users", asked, found),
    }


def show_user(call: Call[None]) -> dict[str, object]:
    """Show one user."""
    found = user.show_user(call.site, call.caller, call.path["user"])
    return {"user": user_body(call, found)}


def create_user(call: Call[NewUserBody]) -> dict[str, object]:
    """Create a user without any role."""
    new = call.body.user
    check_domain(new.domain_id)
    made = user.create_user(
        call.site,
        user.NewUser(
            name=new.name,
            password=new.password,
            description=new.description or "",
            email=new.email or "",
            enabled=new.enabled is not False,
            default_project_id=new.default_project_id,
        ),
    )
    return {"user": user_body(call, made)}


def update_user(call: Call[ChangesBody]) -> dict[str, object]:
    """Change a user; a new password voids the tokens issued before."""
    wanted = call.body.user
    check_domain(wanted.domain_id)
    values = {
        name: value
        for name in ("name", "enabled", "default_project_id", "description", "email")
        if (value := getattr(wanted, name)) is not UNSET
    }
    for name in ("description", "email"):
        if name in values:
            values[name] = values[name] or ""
    changed = user.update_user(call.site, call.path["user"], values, wanted.password)
    return {"user": user_body(call, changed)}


def change_password(call: Call[PasswordsBody]) -> None:
    """Change one's own password; it takes the old one."""
    passwords = call.body.user
    user.change_password(
        call.site, call.path["user"], passwords.original_password, passwords.password
    )


def delete_user(call: Call[None]) -> None:
    """Delete a user with all its roles."""
    user.delete_user(call.site, call.caller, call.path["user"])


def user_body(call: Call[Any], shown: User) -> dict[str, object]:
    """A user as Keystone shows one; what is not set is not there."""
    body: dict[str, object] = {
        "id": shown.id,
        "name": shown.name,
        "domain_id": shown.domain_id,
        "enabled": shown.enabled,
        "password_expires_at": None,
        "options": {},
        "links": {"self": f"{call.base_url}/identity/v3/users/{shown.id}"},
    }
    optional = {
        "description": shown.description,
        "email": shown.email,
        "default_project_id": shown.default_project_id,
    }
    return body | {name: value for name, value in optional.items() if value}


ROWS: tuple[Row[Any], ...] = (
    Row(method="GET", path="/v3/users", handler=list_users, policy=_LIST),
    Row(
        method="GET",
        path="/v3/users/{user}",
        handler=show_user,
        policy=Policy("identity:get_user", ANYONE),
    ),
    Row(
        method="POST",
        path="/v3/users",
        handler=create_user,
        accepts=NewUserBody,
        policy=Policy("identity:create_user", _ADMIN),
        status=HTTPStatus.CREATED,
    ),
    Row(
        method="PATCH",
        path="/v3/users/{user}",
        handler=update_user,
        accepts=ChangesBody,
        policy=Policy("identity:update_user", _ADMIN),
    ),
    # The old password is what lets a user do this; an expired token must not be in the way.
    Row(
        method="POST",
        path="/v3/users/{user}/password",
        handler=change_password,
        accepts=PasswordsBody,
        status=HTTPStatus.NO_CONTENT,
    ),
    Row(
        method="DELETE",
        path="/v3/users/{user}",
        handler=delete_user,
        policy=Policy("identity:delete_user", _ADMIN),
        status=HTTPStatus.NO_CONTENT,
    ),
)
