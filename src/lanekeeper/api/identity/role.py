"""Roles."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated, Any

from msgspec import UNSET, Meta, UnsetType

from lanekeeper.api.identity.field import Name, Text
from lanekeeper.api.identity.page import one_page
from lanekeeper.api.row import ANYONE, Call, Policy, Row, Strict
from lanekeeper.control.identity import role
from lanekeeper.domain.errors import NotOffered
from lanekeeper.domain.identity.role import IMPLIED, STANDARD, Role

_ADMIN = "role:admin"


class NewRole(Strict, frozen=True):
    name: Name
    description: Text | None = None
    domain_id: str | None = None
    options: Annotated[dict[str, Any], Meta(max_length=0)] | None = None


class NewRoleBody(Strict, frozen=True):
    role: NewRole


class Changes(Strict, frozen=True):
    name: Name | UnsetType = UNSET
    description: Text | UnsetType | None = UNSET
    domain_id: str | None = None
    options: Annotated[dict[str, Any], Meta(max_length=0)] | None = None


class ChangesBody(Strict, frozen=True):
    role: Changes


def list_roles(call: Call[None]) -> dict[str, object]:
    """List the roles."""
    of_domain = call.asked("domain_id") not in {None, "", "None"}
    found = [] if of_domain else role.list_roles(call.site, call.asked("name"))
    return {
        "roles": [role_body(call, one) for one in found],
        "links": one_page(call, "/v3/roles"),
    }


def show_role(call: Call[None]) -> dict[str, object]:
    """Show one role."""
    return {"role": role_body(call, role.show_role(call.site, call.path["role"]))}


def create_role(call: Call[NewRoleBody]) -> dict[str, object]:
    """Create a role; the policy file says what it allows."""
    new = call.body.role
    _refuse_domain(new.domain_id)
    made = role.create_role(call.site, new.name, new.description or "")
    return {"role": role_body(call, made)}


def update_role(call: Call[ChangesBody]) -> dict[str, object]:
    """Change a role's name or description."""
    wanted = call.body.role
    _refuse_domain(wanted.domain_id)
    values: dict[str, object] = {}
    if wanted.name is not UNSET:
        values["name"] = wanted.name
    if wanted.description is not UNSET:
        values["description"] = wanted.description or ""
    return {"role": role_body(call, role.update_role(call.site, call.path["role"], values))}


def delete_role(call: Call[None]) -> None:
    """Delete a role and take it from everybody."""
    role.delete_role(call.site, call.path["role"])


def list_implied(call: Call[None]) -> dict[str, object]:
    """List which role brings which."""
    by_name = {one.name: one for one in role.list_roles(call.site)}
    return {
        "role_inferences": [
            {
                "prior_role": _brief(call, by_name[prior]),
                "implies": [_brief(call, by_name[implied])],
            }
            for prior, implied in IMPLIED.items()
            if prior in by_name and implied in by_name
        ],
        "links": one_page(call, "/v3/role_inferences"),
    }


def role_body(call: Call[Any], shown: Role) -> dict[str, object]:
    """A role as Keystone shows it."""
    return {
        "id": shown.id,
        "name": shown.name,
        "domain_id": None,
        "description": shown.description or None,
        "options": {"immutable": True} if shown.name in STANDARD else {},
        "links": {"self": f"{call.base_url}/identity/v3/roles/{shown.id}"},
    }


def _brief(call: Call[Any], shown: Role) -> dict[str, object]:
    body = role_body(call, shown)
    return {key: body[key] for key in ("id", "name", "links")}


def _refuse_domain(domain_id: str | None) -> None:
    if domain_id is not None:
        raise NotOffered("domain_id: roles that belong to a domain are not offered; leave it out")


ROWS: tuple[Row[Any], ...] = (
    Row(
        method="GET",
        path="/v3/roles",
        handler=list_roles,
        policy=Policy("identity:list_roles", ANYONE),
    ),
    Row(
        method="GET",
        path="/v3/roles/{role}",
        handler=show_role,
        policy=Policy("identity:get_role", ANYONE),
    ),
    Row(
        method="POST",
        path="/v3/roles",
        handler=create_role,
        accepts=NewRoleBody,
        policy=Policy("identity:create_role", _ADMIN),
        status=HTTPStatus.CREATED,
    ),
    Row(
        method="PATCH",
        path="/v3/roles/{role}",
        handler=update_role,
        accepts=ChangesBody,
        policy=Policy("identity:update_role", _ADMIN),
    ),
    Row(
        method="DELETE",
        path="/v3/roles/{role}",
        handler=delete_role,
        policy=Policy("identity:delete_role", _ADMIN),
        status=HTTPStatus.NO_CONTENT,
    ),
    Row(
        method="GET",
        path="/v3/role_inferences",
        handler=list_implied,
        policy=Policy("identity:list_role_inference_rules", ANYONE),
    ),
)
