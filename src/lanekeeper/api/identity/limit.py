"""Limits of all projects and of single ones, as Keystone has them; their service is nova."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated, Any

from msgspec import UNSET, Meta, UnsetType

from lanekeeper.api.identity.catalog import SERVICES
from lanekeeper.api.identity.field import Id, Text
from lanekeeper.api.identity.page import one_page
from lanekeeper.api.row import ANYONE, Call, Policy, Row, Strict
from lanekeeper.control.identity import limit
from lanekeeper.control.identity.limit import NewLimit
from lanekeeper.domain.errors import Invalid, NotOffered
from lanekeeper.domain.identity.limit import LIMIT_MAX, UNLIMITED, Limit, RegisteredLimit

_ADMIN = "role:admin"
_MOST = 1000
_NOVA = next(service.id for service in SERVICES if service.name == "nova")

Amount = Annotated[int, Meta(ge=UNLIMITED, le=LIMIT_MAX)]
Name = Annotated[str, Meta(min_length=1, max_length=255)]


class NewRegistered(Strict, frozen=True):
    service_id: Id
    resource_name: Name
    default_limit: Amount
    region_id: Id | None = None
    description: Text | None = None


class NewRegisteredBody(Strict, frozen=True):
    registered_limits: Annotated[list[NewRegistered], Meta(min_length=1, max_length=_MOST)]


class RegisteredChanges(Strict, frozen=True):
    service_id: Id | UnsetType = UNSET
    resource_name: Name | UnsetType = UNSET
    default_limit: Amount | UnsetType = UNSET
    region_id: Id | UnsetType | None = UNSET
    description: Text | UnsetType | None = UNSET


class RegisteredChangesBody(Strict, frozen=True):
    registered_limit: RegisteredChanges


class NewOfProject(Strict, frozen=True):
    service_id: Id
    resource_name: Name
    resource_limit: Amount
    project_id: Id | None = None
    domain_id: Id | None = None
    region_id: Id | None = None
    description: Text | None = None


class NewOfProjectBody(Strict, frozen=True):
    limits: Annotated[list[NewOfProject], Meta(min_length=1, max_length=_MOST)]


class Changes(Strict, frozen=True):
    resource_limit: Amount | UnsetType = UNSET
    description: Text | UnsetType | None = UNSET


class ChangesBody(Strict, frozen=True):
    limit: Changes


# Registered limits --------------------------------------------------------------------------------


def list_registered(call: Call[None]) -> dict[str, object]:
    """List the limits that all projects have."""
    found = (
        limit.list_registered_limits(
            call.site,
            resource_name=call.asked("resource_name"),
            region_id=call.asked("region_id"),
        )
        if call.asked("service_id") in {None, _NOVA}
        else []
    )
    return {
        "registered_limits": [_registered(call, one) for one in found],
        "links": one_page(call, "/v3/registered_limits"),
    }


def show_registered(call: Call[None]) -> dict[str, object]:
    """Show one limit of all projects."""
    found = limit.show_registered_limit(call.site, call.path["limit"])
    return {"registered_limit": _registered(call, found)}


def create_registered(call: Call[NewRegisteredBody]) -> dict[str, object]:
    """Register limits for all projects."""
    wanted = call.body.registered_limits
    for one in wanted:
        _check_service(one.service_id)
    made = limit.create_registered_limits(
        call.site,
        [
            NewLimit(
                resource_name=one.resource_name,
                amount=one.default_limit,
                region_id=one.region_id,
                description=one.description,
            )
            for one in wanted
        ],
    )
    return {
        "registered_limits": [_registered(call, one) for one in made],
        "links": one_page(call, "/v3/registered_limits"),
    }


def update_registered(call: Call[RegisteredChangesBody]) -> dict[str, object]:
    """Change one limit of all projects."""
    wanted = call.body.registered_limit
    if wanted.service_id is not UNSET:
        _check_service(wanted.service_id)
    values = _given(wanted, "resource_name", "default_limit", "region_id", "description")
    changed = limit.update_registered_limit(call.site, call.path["limit"], values)
    return {"registered_limit": _registered(call, changed)}


def delete_registered(call: Call[None]) -> None:
    """Remove one limit of all projects."""
    limit.delete_registered_limit(call.site, call.path["limit"])


# Limits of projects -------------------------------------------------------------------------------


def show_model(call: Call[None]) -> dict[str, object]:
    """Say how limits of projects go together: not at all."""
    return {
        "model": {
            "name": "flat",
            "description": "Limit enforcement and validation does not take project hierarchy into "
            "consideration.",
        },
        "links": one_page(call, "/v3/limits/model"),
    }


def list_limits(call: Call[None]) -> dict[str, object]:
    """List limits of projects; who is no admin sees those of the own one."""
    is_other = call.asked("service_id") not in {None, _NOVA} or call.asked("domain_id")
    found = (
        []
        if is_other
        else limit.list_limits(
            call.site,
            call.caller,
            resource_name=call.asked("resource_name"),
            region_id=call.asked("region_id"),
            project_id=call.asked("project_id"),
        )
    )
    return {
        "limits": [_limit(call, one) for one in found],
        "links": one_page(call, "/v3/limits"),
    }


def show_limit(call: Call[None]) -> dict[str, object]:
    """Show one limit of a project."""
    return {"limit": _limit(call, limit.show_limit(call.site, call.caller, call.path["limit"]))}


def create_limits(call: Call[NewOfProjectBody]) -> dict[str, object]:
    """Give projects limits of their own."""
    made = limit.create_limits(call.site, [_of_project(one) for one in call.body.limits])
    return {"limits": [_limit(call, one) for one in made], "links": one_page(call, "/v3/limits")}


def update_limit(call: Call[ChangesBody]) -> dict[str, object]:
    """Change one limit of a project."""
    values = _given(call.body.limit, "resource_limit", "description")
    return {"limit": _limit(call, limit.update_limit(call.site, call.path["limit"], values))}


def delete_limit(call: Call[None]) -> None:
    """Take a limit of its own from a project."""
    limit.delete_limit(call.site, call.path["limit"])


def _of_project(wanted: NewOfProject) -> NewLimit:
    _check_service(wanted.service_id)
    if wanted.domain_id is not None:
        raise NotOffered("domain_id: limits are projects' here; a domain's would hold nobody")
    if wanted.project_id is None:
        raise Invalid("project_id: whose limit it is to be is missing")
    return NewLimit(
        resource_name=wanted.resource_name,
        amount=wanted.resource_limit,
        region_id=wanted.region_id,
        description=wanted.description,
        project_id=wanted.project_id,
    )


def _check_service(service_id: str) -> None:
    """Let pass the one service that holds projects to limits.

    Raises:
        Invalid: another one, which would not.
    """
    if service_id == _NOVA:
        return
    known = {service.id: service.name for service in SERVICES}
    if service_id in known:
        raise Invalid(f"service_id: {known[service_id]} holds nobody to limits", hint="nova does")
    raise Invalid(f"service_id: there is no service {service_id[:80]!r}")


def _given(body: Any, *names: str) -> dict[str, Any]:
    return {name: value for name in names if (value := getattr(body, name)) is not UNSET}


def _registered(call: Call[Any], shown: RegisteredLimit) -> dict[str, object]:
    return {
        "id": shown.id,
        "service_id": _NOVA,
        "region_id": shown.region_id,
        "resource_name": shown.resource_name,
        "default_limit": shown.default_limit,
        "description": shown.description,
        "links": {"self": f"{call.base_url}/identity/v3/registered_limits/{shown.id}"},
    }


def _limit(call: Call[Any], shown: Limit) -> dict[str, object]:
    return {
        "id": shown.id,
        "project_id": shown.project_id,
        "domain_id": None,
        "service_id": _NOVA,
        "region_id": shown.region_id,
        "resource_name": shown.resource_name,
        "resource_limit": shown.resource_limit,
        "description": shown.description,
        "links": {"self": f"{call.base_url}/identity/v3/limits/{shown.id}"},
    }


_MANY, _ONE = "/v3/registered_limits", "/v3/registered_limits/{limit}"
_LIMITS, _LIMIT = "/v3/limits", "/v3/limits/{limit}"


def _rule(name: str, default: str = _ADMIN) -> Policy:
    return Policy(f"identity:{name}", default)


ROWS: tuple[Row[Any], ...] = (
    Row(
        method="GET",
        path=_MANY,
        handler=list_registered,
        policy=_rule("list_registered_limits", ANYONE),
    ),
    Row(
        method="POST",
        path=_MANY,
        handler=create_registered,
        accepts=NewRegisteredBody,
        policy=_rule("create_registered_limits"),
        status=HTTPStatus.CREATED,
    ),
    Row(
        method="GET",
        path=_ONE,
        handler=show_registered,
        policy=_rule("get_registered_limit", ANYONE),
    ),
    Row(
        method="PATCH",
        path=_ONE,
        handler=update_registered,
        accepts=RegisteredChangesBody,
        policy=_rule("update_registered_limit"),
    ),
    Row(
        method="DELETE",
        path=_ONE,
        handler=delete_registered,
        policy=_rule("delete_registered_limit"),
        status=HTTPStatus.NO_CONTENT,
    ),
    Row(
        method="GET",
        path="/v3/limits/model",
        handler=show_model,
        policy=_rule("get_limit_model", ANYONE),
    ),
    Row(method="GET", path=_LIMITS, handler=list_limits, policy=_rule("list_limits", ANYONE)),
    Row(
        method="POST",
        path=_LIMITS,
        handler=create_limits,
        accepts=NewOfProjectBody,
        policy=_rule("create_limits"),
        status=HTTPStatus.CREATED,
    ),
    Row(method="GET", path=_LIMIT, handler=show_limit, policy=_rule("get_limit", ANYONE)),
    Row(
        method="PATCH",
        path=_LIMIT,
        handler=update_limit,
        accepts=ChangesBody,
        policy=_rule("update_limit"),
    ),
    Row(
        method="DELETE",
        path=_LIMIT,
        handler=delete_limit,
        policy=_rule("delete_limit"),
        status=HTTPStatus.NO_CONTENT,
    ),
)
