"""``/v2.0/qos/policies``: sets of rules that ports and networks name.

Source: neutron-lib ``api/definitions/qos.py``.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from msgspec import UNSET

from lanekeeper.api.network.field import (
    Flag,
    Maybe,
    Text,
    flag,
    flags_given,
    given,
    one_or_many,
    or_else,
    revision_wanted,
)
from lanekeeper.api.network.listing import Collected, View, answer, only, wanted_columns
from lanekeeper.api.network.moment import moment
from lanekeeper.api.network.qos_rule import rule_view
from lanekeeper.api.row import ADMIN, READER, Call, Policy, Row, Strict
from lanekeeper.control.network.qos import (
    create_policies,
    delete_policy,
    list_policies,
    show_policy,
    update_policy,
)
from lanekeeper.domain.network.qos import (
    QosPolicyRecord,
    QosPolicyWanted,
)


class PolicyFields(Strict, frozen=True):
    """A new policy."""

    name: Text
    description: Text = ""
    shared: Flag = False
    is_default: Flag = False
    project_id: Text | Maybe | None = UNSET
    tenant_id: Text | Maybe | None = UNSET


class PolicyChanges(Strict, frozen=True):
    """What may change of a policy."""

    name: Text | Maybe = UNSET
    description: Text | Maybe = UNSET
    shared: Flag | Maybe = UNSET
    is_default: Flag | Maybe = UNSET


class CreatePolicy(Strict, frozen=True):
    policy: PolicyFields | Maybe = UNSET
    policies: list[PolicyFields] | Maybe = UNSET


class UpdatePolicy(Strict, frozen=True):
    policy: PolicyChanges


_FLAGS = {"shared": "shared", "is_default": "is_default"}
KIND = Collected(
    path="qos/policies",
    plural="policies",
    attributes=frozenset(
        {"id", "name", "description", "project_id", "tenant_id", "shared", "is_default", "rules"}
        | {"tags", "created_at", "updated_at", "revision_number"}
    ),
    columns=frozenset({"id", "name", "project_id"}),
    sort_keys=frozenset({"id", "name", "project_id", "tenant_id"}),
)


def view(policy: QosPolicyRecord) -> View:
    """A policy in the API's shape."""
    return {
        "id": policy.id,
        "name": policy.name,
        "description": policy.description,
        "project_id": policy.project_id,
        "tenant_id": policy.project_id,
        "shared": policy.shared,
        "is_default": policy.is_default,
        "rules": [
            {**rule_view(rule), "type": str(rule.type), "qos_policy_id": policy.id}
            for rule in policy.rules
        ],
        "tags": list(policy.tags),
        "created_at": moment(policy.created_at),
        "updated_at": moment(policy.updated_at),
        "revision_number": policy.revision,
    }


def list_(call: Call[None]) -> View:
    """List QoS policies."""
    found = list_policies(call.site, call.caller, wanted_columns(call, KIND))
    return answer(call, KIND, [view(policy) for policy in found])


def show(call: Call[None]) -> View:
    """Show a QoS policy."""
    shown = view(show_policy(call.site, call.caller, call.path["id"]))
    return {"policy": only(shown, call.asked_all("fields"))}


def create(call: Call[CreatePolicy]) -> View:
    """Create a QoS policy, or several at once."""
    names = ("policy", "policies")
    fields, many = one_or_many(call.body.policy, call.body.policies, names)
    wanted = [
        QosPolicyWanted(
            name=body.name,
            description=body.description,
            shared=flag(body.shared, "shared"),
            is_default=flag(body.is_default, "is_default"),
            project_id=or_else(body.project_id, or_else(body.tenant_id, None)),
        )
        for body in fields
    ]
    shown = [view(policy) for policy in create_policies(call.site, call.caller, wanted)]
    return {names[1]: shown} if many else {names[0]: shown[0]}


def update(call: Call[UpdatePolicy]) -> View:
    """Update a QoS policy."""
    body = call.body.policy
    values = {**given(body, "name", "description"), **flags_given(body, _FLAGS)}
    revision = revision_wanted(call.headers)
    return {
        "policy": view(update_policy(call.site, call.caller, call.path["id"], values, revision))
    }


def delete(call: Call[None]) -> None:
    """Delete a QoS policy."""
    delete_policy(call.site, call.caller, call.path["id"], revision_wanted(call.headers))


_READ = Policy("get_policy", READER)
_ONE = "/v2.0/qos/policies/{id}"
ROWS: tuple[Row[Any], ...] = (
    Row(method="GET", path="/v2.0/qos/policies", handler=list_, policy=_READ),
    Row(method="GET", path=_ONE, handler=show, policy=_READ),
    Row(
        method="POST",
        path="/v2.0/qos/policies",
        handler=create,
        accepts=CreatePolicy,
        policy=Policy("create_policy", ADMIN),
        status=HTTPStatus.CREATED,
    ),
    Row(
        method="PUT",
        path=_ONE,
        handler=update,
        accepts=UpdatePolicy,
        policy=Policy("update_policy", ADMIN),
    ),
    Row(
        method="DELETE",
        path=_ONE,
        handler=delete,
        policy=Policy("delete_policy", ADMIN),
        status=HTTPStatus.NO_CONTENT,
    ),
)
