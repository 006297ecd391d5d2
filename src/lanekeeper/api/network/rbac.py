"""``/v2.0/rbac-policies``: whom a network is shared with."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from msgspec import UNSET

from lanekeeper.api.network.field import Maybe, Text, check_uuid, or_else
from lanekeeper.api.network.listing import Collected, View, answer, only, wanted_columns
from lanekeeper.api.row import ADMIN, MEMBER, READER, Call, Policy, Row, Strict
from lanekeeper.control.network.rbac import (
    create_rbac,
    delete_rbac,
    list_rbac,
    show_rbac,
    update_rbac,
)
from lanekeeper.domain.errors import Invalid
from lanekeeper.domain.network.network import EVERYBODY
from lanekeeper.domain.network.rbac import ACTION, OBJECT_TYPE, RbacRecord, check_kind

_WILDCARD = Policy("create_rbac_policy:target_tenant", ADMIN)
_REWILDCARD = Policy("update_rbac_policy:target_tenant", ADMIN)


class RbacFields(Strict, frozen=True):
    """A new policy; the target by its old name, as every client sends it, or by its new one."""

    object_type: Text
    object_id: Text
    action: Text
    target_tenant: Text | Maybe = UNSET
    target_project: Text | Maybe = UNSET
    project_id: Text | Maybe | None = UNSET
    tenant_id: Text | Maybe | None = UNSET


class RbacChanges(Strict, frozen=True):
    """What may change of a policy."""

    target_tenant: Text | Maybe = UNSET
    target_project: Text | Maybe = UNSET


class CreateRbac(Strict, frozen=True):
    rbac_policy: RbacFields


class UpdateRbac(Strict, frozen=True):
    rbac_policy: RbacChanges


KIND = Collected(
    path="rbac-policies",
    plural="rbac_policies",
    attributes=frozenset(
        {"id", "object_type", "object_id", "action", "target_tenant", "project_id", "tenant_id"}
    ),
)


def view(policy: RbacRecord) -> View:
    """A policy in the API's shape."""
    return {
        "id": policy.id,
        "object_type": OBJECT_TYPE,
        "object_id": policy.network_id,
        "action": ACTION,
        "target_tenant": policy.target_project,
        "project_id": policy.project_id,
        "tenant_id": policy.project_id,
    }


def list_(call: Call[None]) -> View:
    """List RBAC policies."""
    wanted_columns(call, KIND)
    return answer(call, KIND, [view(one) for one in list_rbac(call.site, call.caller, {})])


def show(call: Call[None]) -> View:
    """Show an RBAC policy."""
    found = show_rbac(call.site, call.caller, call.path["id"])
    return {"rbac_policy": only(view(found), call.asked_all("fields"))}


def create(call: Call[CreateRbac]) -> View:
    """Share a network with a project, or with everybody."""
    body = call.body.rbac_policy
    check_kind(body.object_type, body.action)
    target = _target(body)
    if target == EVERYBODY:
        call.demand(_WILDCARD)
    owner = or_else(body.project_id, or_else(body.tenant_id, None))
    network_id = check_uuid(body.object_id, "object_id")
    return {"rbac_policy": view(create_rbac(call.site, call.caller, network_id, target, owner))}


def update(call: Call[UpdateRbac]) -> View:
    """Share the network of an RBAC policy with another project in place of this one."""
    target = _target(call.body.rbac_policy)
    if target == EVERYBODY:
        call.demand(_REWILDCARD)
    return {"rbac_policy": view(update_rbac(call.site, call.caller, call.path["id"], target))}


def delete(call: Call[None]) -> None:
    """Delete an RBAC policy."""
    delete_rbac(call.site, call.caller, call.path["id"])


def _target(body: RbacFields | RbacChanges) -> str:
    target: str = or_else(body.target_tenant, or_else(body.target_project, ""))
    if not target:
        raise Invalid("target_tenant is missing; it is the id of a project, or * for everybody")
    return target


_PATH = "/v2.0/rbac-policies"
_READ = Policy("get_rbac_policy", READER)
ROWS: tuple[Row[Any], ...] = (
    Row(method="GET", path=_PATH, handler=list_, policy=_READ),
    Row(method="GET", path=f"{_PATH}/{{id}}", handler=show, policy=_READ),
    Row(
        method="POST",
        path=_PATH,
        handler=create,
        accepts=CreateRbac,
        policy=Policy("create_rbac_policy", MEMBER),
        asks=(_WILDCARD,),
        status=HTTPStatus.CREATED,
    ),
    Row(
        method="PUT",
        path=f"{_PATH}/{{id}}",
        handler=update,
        accepts=UpdateRbac,
        policy=Policy("update_rbac_policy", MEMBER),
        asks=(_REWILDCARD,),
    ),
    Row(
        method="DELETE",
        path=f"{_PATH}/{{id}}",
        handler=delete,
        policy=Policy("delete_rbac_policy", MEMBER),
        status=HTTPStatus.NO_CONTENT,
    ),
)
