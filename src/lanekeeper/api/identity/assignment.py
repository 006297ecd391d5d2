"""Who has which role where."""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus
from typing import Any

from lanekeeper.api.identity.page import given, one_page
from lanekeeper.api.identity.role import role_body
from lanekeeper.api.identity.token import DOMAIN
from lanekeeper.api.row import ANYONE, Call, Policy, Row
from lanekeeper.control.identity import role
from lanekeeper.domain.errors import Forbidden
from lanekeeper.domain.identity.role import SYSTEM, Assignment, Scope, ScopeKind

_ADMIN = "role:admin"
_LIST = Policy("identity:list_grants", _ADMIN)
_CHECK = Policy("identity:check_grant", _ADMIN)
_CREATE = Policy("identity:create_grant", _ADMIN)
_REVOKE = Policy("identity:revoke_grant", _ADMIN)


def list_assignments(call: Call[None]) -> dict[str, object]:
    """List role assignments; users see their own."""
    user_id = call.asked("user.id")
    if not call.caller.is_admin and user_id != call.caller.user_id:
        raise Forbidden(
            "identity:list_role_assignments takes the role admin, but for one's own: "
            f"ask with user.id={call.caller.user_id}"
        )
    kind, target_id = _asked_scope(call)
    if call.asked("group.id") is not None:
        return {"role_assignments": [], "links": one_page(call, "/v3/role_assignments")}
    found = role.list_assignments(
        call.site,
        user_id=user_id,
        role_id=call.asked("role.id"),
        kind=kind,
        target_id=target_id,
        effective=given(call, "effective"),
    )
    names = given(call, "include_names")
    return {
        "role_assignments": [_assignment(call, one, names=names) for one in found],
        "links": one_page(call, "/v3/role_assignments"),
    }


def _asked_scope(call: Call[None]) -> tuple[ScopeKind | None, str | None]:
    project_id, domain_id = call.asked("scope.project.id"), call.asked("scope.domain.id")
    if project_id is not None:
        return ScopeKind.PROJECT, project_id
    if domain_id is not None:
        return ScopeKind.DOMAIN, domain_id
    return (None, None) if call.asked("scope.system") is None else (ScopeKind.SYSTEM, None)


def _assignment(call: Call[None], one: role.NamedAssignment, *, names: bool) -> dict[str, object]:
    scope: dict[str, object]
    if one.scope.kind is ScopeKind.SYSTEM:
        scope = {"system": {"all": True}}
    elif one.scope.kind is ScopeKind.DOMAIN:
        scope = {"domain": DOMAIN if names else {"id": one.scope.target_id}}
    else:
        scope = {"project": {"id": one.scope.target_id}}
        if names and one.project is not None:
            scope = {"project": {"id": one.project.id, "name": one.project.name, "domain": DOMAIN}}
    shown_role: dict[str, object] = {"id": one.role.id}
    user: dict[str, object] = {"id": one.user.id}
    if names:
        shown_role |= {"name": one.role.name}
        user |= {"name": one.user.name, "domain": DOMAIN}
    return {
        "role": shown_role,
        "user": user,
        "scope": scope,
        "links": {"assignment": call.base_url + "/identity" + _path(one)},
    }


def _path(one: role.NamedAssignment) -> str:
    below = f"users/{one.user.id}/roles/{one.role.id}"
    if one.scope.kind is ScopeKind.SYSTEM:
        return f"/v3/system/{below}"
    return f"/v3/{one.scope.kind}s/{one.scope.target_id}/{below}"


# One scope's --------------------------------------------------------------------------------------

ScopeOf = Callable[[Call[None]], Scope]


def _project(call: Call[None]) -> Scope:
    return Scope(ScopeKind.PROJECT, call.path["project"])


def _domain(call: Call[None]) -> Scope:
    return Scope(ScopeKind.DOMAIN, call.path["domain"])


def _system(call: Call[None]) -> Scope:
    del call
    return SYSTEM


def _named(call: Call[None], scope: Scope) -> Assignment:
    return Assignment(user_id=call.path["user"], role_id=call.path["role"], scope=scope)


def _rows(prefix: str, scope: ScopeOf) -> tuple[Row[Any], ...]:
    def list_grants(call: Call[None]) -> dict[str, object]:
        """List the roles that a user is given here."""
        user_id = call.path["user"]
        found = role.list_grants(call.site, user_id, scope(call))
        return {
            "roles": [role_body(call, one) for one in found],
            "links": one_page(call, f"{prefix.format(**call.path)}/users/{user_id}/roles"),
        }

    def check(call: Call[None]) -> None:
        """Check that a user is given a role here."""
        role.check_grant(call.site, _named(call, scope(call)))

    def grant(call: Call[None]) -> None:
        """Give a user a role here."""
        role.grant_role(call.site, _named(call, scope(call)))

    def revoke(call: Call[None]) -> None:
        """Take a role here away from a user."""
        role.revoke_grant(call.site, _named(call, scope(call)))

    many = f"{prefix}/users/{{user}}/roles"
    one = f"{many}/{{role}}"
    gone = HTTPStatus.NO_CONTENT
    return (
        Row(method="GET", path=many, handler=list_grants, policy=_LIST),
        Row(method="GET", path=one, handler=check, policy=_CHECK, status=gone),
        Row(method="PUT", path=one, handler=grant, policy=_CREATE, status=gone),
        Row(method="DELETE", path=one, handler=revoke, policy=_REVOKE, status=gone),
    )


ROWS: tuple[Row[Any], ...] = (
    Row(
        method="GET",
        path="/v3/role_assignments",
        handler=list_assignments,
        policy=Policy("identity:list_role_assignments", ANYONE),
    ),
    *_rows("/v3/projects/{project}", _project),
    *_rows("/v3/domains/{domain}", _domain),
    *_rows("/v3/system", _system),
)
