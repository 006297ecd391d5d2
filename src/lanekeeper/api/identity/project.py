"""Projects."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated, Any, Literal

from msgspec import UNSET, Meta, UnsetType

from lanekeeper.api.identity.domain import check_domain
from lanekeeper.api.identity.field import Id, Name, Text
from lanekeeper.api.identity.page import flag, links, other_domain, page
from lanekeeper.api.row import ANYONE, Call, Policy, Row, Strict
from lanekeeper.control.identity import project
from lanekeeper.control.identity.user import own_or_admin
from lanekeeper.domain.errors import NotOffered
from lanekeeper.domain.identity.project import DOMAIN_ID, Project

_ADMIN = "role:admin"
_LIST = Policy("identity:list_projects", f"{_ADMIN} or (role:reader and system_scope:all)")


class NewProject(Strict, frozen=True):
    name: Name
    domain_id: Id | None = None
    parent_id: Id | None = None
    description: Text | None = None
    enabled: bool | None = None
    is_domain: Literal[False] | None = None
    tags: Annotated[list[str], Meta(max_length=0)] | None = None
    options: Annotated[dict[str, Any], Meta(max_length=0)] | None = None


class NewProjectBody(Strict, frozen=True):
    project: NewProject


class Changes(Strict, frozen=True):
    name: Name | UnsetType = UNSET
    description: Text | UnsetType | None = UNSET
    enabled: bool | UnsetType = UNSET
    domain_id: Id | None = None
    is_domain: Literal[False] | None = None
    tags: Annotated[list[str], Meta(max_length=0)] | None = None
    options: Annotated[dict[str, Any], Meta(max_length=0)] | None = None


class ChangesBody(Strict, frozen=True):
    project: Changes


def list_projects(call: Call[None]) -> dict[str, object]:
    """List all projects."""
    return _list(call, "/v3/projects", None)


def list_own(call: Call[None]) -> dict[str, object]:
    """List the projects that the token's user can log in to."""
    return _list(call, "/v3/auth/projects", call.caller.user_id)


def list_of_user(call: Call[None]) -> dict[str, object]:
    """List the projects where a user has a role."""
    user_id = call.path["user"]
    own_or_admin(call.caller, user_id)
    return _list(call, f"/v3/users/{user_id}/projects", user_id)


def show_project(call: Call[None]) -> dict[str, object]:
    """Show one project."""
    found = project.show_project(call.site, call.caller, call.path["project"])
    return {"project": project_body(call, found)}


def create_project(call: Call[NewProjectBody]) -> dict[str, object]:
    """Create a project."""
    new = call.body.project
    check_domain(new.domain_id)
    if new.parent_id not in {None, DOMAIN_ID}:
        raise NotOffered("parent_id: projects have no projects below them here")
    made = project.create_project(
        call.site,
        new.name,
        description=new.description or "",
        enabled=new.enabled is not False,
    )
    return {"project": project_body(call, made)}


def update_project(call: Call[ChangesBody]) -> dict[str, object]:
    """Change a project's name, description or whether it is enabled."""
    wanted = call.body.project
    check_domain(wanted.domain_id)
    values = {
        name: value
        for name in ("name", "description", "enabled")
        if (value := getattr(wanted, name)) is not UNSET
    }
    if "description" in values:
        values["description"] = values["description"] or ""
    changed = project.update_project(call.site, call.path["project"], values)
    return {"project": project_body(call, changed)}


def delete_project(call: Call[None]) -> None:
    """Delete a project; refused while it has servers."""
    project.delete_project(call.site, call.path["project"])


def project_body(call: Call[Any], shown: Project) -> dict[str, object]:
    """A project as Keystone shows it."""
    return {
        "id": shown.id,
        "name": shown.name,
        "domain_id": shown.domain_id,
        "parent_id": shown.domain_id,
        "description": shown.description,
        "enabled": shown.enabled,
        "is_domain": False,
        "tags": [],
        "options": {},
        "links": {"self": f"{call.base_url}/identity/v3/projects/{shown.id}"},
    }


def _list(call: Call[None], path: str, user_id: str | None) -> dict[str, object]:
    asked = page(call)
    nowhere = call.asked("parent_id") not in {None, "", DOMAIN_ID} or _wants_domains(call)
    found = (
        []
        if nowhere or other_domain(call)
        else project.list_projects(
            call.site,
            name=call.asked("name"),
            enabled=flag(call, "enabled"),
            user_id=user_id,
            after=asked.after,
            limit=asked.limit,
        )
    )
    return {
        "projects": [project_body(call, one) for one in found],
        "links": links(call, path, asked, found),
    }


def _wants_domains(call: Call[None]) -> bool:
    """Whether projects that act as domains are asked for; there are none."""
    return flag(call, "is_domain") is True


ROWS: tuple[Row[Any], ...] = (
    Row(method="GET", path="/v3/projects", handler=list_projects, policy=_LIST),
    Row(
        method="GET",
        path="/v3/auth/projects",
        handler=list_own,
        policy=Policy("identity:get_auth_projects", ANYONE),
    ),
    Row(
        method="GET",
        path="/v3/users/{user}/projects",
        handler=list_of_user,
        policy=Policy("identity:list_user_projects", ANYONE),
    ),
    Row(
        method="GET",
        path="/v3/projects/{project}",
        handler=show_project,
        policy=Policy("identity:get_project", ANYONE),
    ),
    Row(
        method="POST",
        path="/v3/projects",
        handler=create_project,
        accepts=NewProjectBody,
        policy=Policy("identity:create_project", _ADMIN),
        status=HTTPStatus.CREATED,
    ),
    Row(
        method="PATCH",
        path="/v3/projects/{project}",
        handler=update_project,
        accepts=ChangesBody,
        policy=Policy("identity:update_project", _ADMIN),
    ),
    Row(
        method="DELETE",
        path="/v3/projects/{project}",
        handler=delete_project,
        policy=Policy("identity:delete_project", _ADMIN),
        status=HTTPStatus.NO_CONTENT,
    ),
)
