"""``/v2.0/security-groups`` and ``/v2.0/security-group-rules``."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from msgspec import UNSET

from lanekeeper.api.network.field import (
    Flag,
    Maybe,
    Text,
    Whole,
    flag,
    given,
    one_or_many,
    or_else,
    revision_wanted,
    whole,
)
from lanekeeper.api.network.listing import Collected, View, answer, only, wanted_columns
from lanekeeper.api.network.moment import moment
from lanekeeper.api.row import MEMBER, READER, Call, Policy, Row, Strict
from lanekeeper.control.network.security_group import (
    SecurityGroupWanted,
    create_rules,
    create_security_groups,
    delete_rule,
    delete_security_group,
    find_rule,
    list_security_groups,
    show_security_group,
    update_security_group,
)
from lanekeeper.domain.network.security_group import (
    RuleWanted,
    SecurityGroupRecord,
    ethertype_of,
    protocol_of,
)


class GroupFields(Strict, frozen=True):
    """A new group."""

    name: Text = ""
    description: Text = ""
    stateful: Flag = True
    project_id: Text | Maybe | None = UNSET
    tenant_id: Text | Maybe | None = UNSET


class GroupChanges(Strict, frozen=True):
    """What may change of a group."""

    name: Text | Maybe = UNSET
    description: Text | Maybe = UNSET
    stateful: Flag | Maybe = UNSET


class RuleFields(Strict, frozen=True):
    """A new rule."""

    security_group_id: Text
    direction: Text
    ethertype: Text | None = None
    protocol: Text | int | None = None
    port_range_min: Whole | None = None
    port_range_max: Whole | None = None
    remote_ip_prefix: Text | None = None
    remote_group_id: Text | None = None
    description: Text = ""
    project_id: Text | None = None
    tenant_id: Text | None = None


class CreateGroup(Strict, frozen=True):
    security_group: GroupFields | Maybe = UNSET
    security_groups: list[GroupFields] | Maybe = UNSET


class UpdateGroup(Strict, frozen=True):
    security_group: GroupChanges


class CreateRule(Strict, frozen=True):
    security_group_rule: RuleFields | Maybe = UNSET
    security_group_rules: list[RuleFields] | Maybe = UNSET


_COMMON = {"id", "description", "project_id", "tenant_id", "revision_number"} | {
    "created_at",
    "updated_at",
}
KIND = Collected(
    path="security-groups",
    plural="security_groups",
    attributes=frozenset(_COMMON | {"name", "stateful", "shared", "security_group_rules", "tags"}),
    columns=frozenset({"id", "name", "project_id"}),
    sort_keys=frozenset({"id", "name", "project_id", "tenant_id"}),
)


def _ethertype(shown: View, wanted: str) -> bool:
    return bool(shown["ethertype"] == ethertype_of(wanted))


def _protocol(shown: View, wanted: str) -> bool:
    return bool(shown["protocol"] == protocol_of(wanted))


RULE_KIND = Collected(
    path="security-group-rules",
    plural="security_group_rules",
    attributes=frozenset(
        _COMMON
        | {"security_group_id", "direction", "ethertype", "protocol", "port_range_min"}
        | {"port_range_max", "remote_ip_prefix", "remote_group_id", "remote_address_group_id"}
        | {"normalized_cidr"}
    ),
    sort_keys=frozenset(
        {"id", "project_id", "tenant_id", "security_group_id", "direction", "ethertype"}
        | {"protocol", "port_range_min", "port_range_max", "remote_ip_prefix", "normalized_cidr"}
        | {"remote_group_id", "remote_address_group_id"}
    ),
    special={"ethertype": _ethertype, "protocol": _protocol},
)


def view(group: SecurityGroupRecord) -> View:
    """A group in the API's shape."""
    return {
        "id": group.id,
        "name": group.name,
        "description": group.description,
        "project_id": group.project_id,
        "tenant_id": group.project_id,
        "stateful": group.stateful,
        "shared": False,
        "security_group_rules": [rule_view(group, rule) for rule in group.rules],
        "tags": list(group.tags),
        "created_at": moment(group.created_at),
        "updated_at": moment(group.updated_at),
        "revision_number": group.revision,
    }


def rule_view(group: SecurityGroupRecord, rule: Mapping[str, Any]) -> View:
    """A rule in the API's shape."""
    return {
        **rule,
        "security_group_id": group.id,
        "project_id": group.project_id,
        "tenant_id": group.project_id,
        "revision_number": 0,
    }


def list_(call: Call[None]) -> View:
    """List security groups."""
    found = list_security_groups(call.site, call.caller, wanted_columns(call, KIND))
    return answer(call, KIND, [view(group) for group in found])


def show(call: Call[None]) -> View:
    """Show a security group."""
    shown = view(show_security_group(call.site, call.caller, call.path["id"]))
    return {"security_group": only(shown, call.asked_all("fields"))}


def create(call: Call[CreateGroup]) -> View:
    """Create a security group, or several at once."""
    names = ("security_group", "security_groups")
    fields, many = one_or_many(call.body.security_group, call.body.security_groups, names)
    wanted = [
        SecurityGroupWanted(
            name=body.name,
            description=body.description,
            stateful=flag(body.stateful, "stateful"),
            project_id=or_else(body.project_id, or_else(body.tenant_id, None)),
        )
        for body in fields
    ]
    shown = [view(group) for group in create_security_groups(call.site, call.caller, wanted)]
    return {names[1]: shown} if many else {names[0]: shown[0]}


def update(call: Call[UpdateGroup]) -> View:
    """Update a security group."""
    body = call.body.security_group
    values = given(body, "name", "description")
    if body.stateful is not UNSET:
        values["stateful"] = flag(body.stateful, "stateful")
    revision = revision_wanted(call.headers)
    changed = update_security_group(call.site, call.caller, call.path["id"], values, revision)
    return {"security_group": view(changed)}


def delete(call: Call[None]) -> None:
    """Delete a security group."""
    delete_security_group(call.site, call.caller, call.path["id"], revision_wanted(call.headers))


def list_rules(call: Call[None]) -> View:
    """List the rules of all security groups."""
    wanted_columns(call, RULE_KIND)
    groups = list_security_groups(call.site, call.caller, {})
    return answer(
        call, RULE_KIND, [rule_view(group, rule) for group in groups for rule in group.rules]
    )


def show_rule(call: Call[None]) -> View:
    """Show a security group's rule."""
    shown = rule_view(*find_rule(call.site, call.caller, call.path["id"]))
    return {"security_group_rule": only(shown, call.asked_all("fields"))}


def create_rule(call: Call[CreateRule]) -> View:
    """Create a rule, or several at once."""
    names = ("security_group_rule", "security_group_rules")
    fields, many = one_or_many(call.body.security_group_rule, call.body.security_group_rules, names)
    made = create_rules(call.site, call.caller, [_rule_wanted(body) for body in fields])
    shown = [rule_view(group, rule) for group, rule in made]
    return {names[1]: shown} if many else {names[0]: shown[0]}


def remove_rule(call: Call[None]) -> None:
    """Delete a security group's rule."""
    delete_rule(call.site, call.caller, call.path["id"])


def _rule_wanted(body: RuleFields) -> RuleWanted:
    return RuleWanted(
        security_group_id=body.security_group_id,
        direction=body.direction,
        ethertype="IPv4" if body.ethertype is None else body.ethertype,
        protocol=None if body.protocol is None else str(body.protocol),
        port_range_min=_port(body.port_range_min, "port_range_min"),
        port_range_max=_port(body.port_range_max, "port_range_max"),
        remote_ip_prefix=body.remote_ip_prefix,
        remote_group_id=body.remote_group_id,
        description=body.description,
    )


def _port(value: Whole | None, field: str) -> int | None:
    return None if value is None else whole(value, field, code="SecurityGroupInvalidPortValue")


_READ, _WRITE = Policy("get_security_group", READER), Policy("update_security_group", MEMBER)
_READ_RULE = Policy("get_security_group_rule", READER)
_RULES = "/v2.0/security-group-rules"
ROWS: tuple[Row[Any], ...] = (
    Row(method="GET", path="/v2.0/security-groups", handler=list_, policy=_READ),
    Row(method="GET", path="/v2.0/security-groups/{id}", handler=show, policy=_READ),
    Row(
        method="POST",
        path="/v2.0/security-groups",
        handler=create,
        accepts=CreateGroup,
        policy=Policy("create_security_group", MEMBER),
        status=HTTPStatus.CREATED,
    ),
    Row(
        method="PUT",
        path="/v2.0/security-groups/{id}",
        handler=update,
        accepts=UpdateGroup,
        policy=_WRITE,
    ),
    Row(
        method="DELETE",
        path="/v2.0/security-groups/{id}",
        handler=delete,
        policy=Policy("delete_security_group", MEMBER),
        status=HTTPStatus.NO_CONTENT,
    ),
    Row(method="GET", path=_RULES, handler=list_rules, policy=_READ_RULE),
    Row(method="GET", path=f"{_RULES}/{{id}}", handler=show_rule, policy=_READ_RULE),
    Row(
        method="POST",
        path=_RULES,
        handler=create_rule,
        accepts=CreateRule,
        policy=Policy("create_security_group_rule", MEMBER),
        status=HTTPStatus.CREATED,
    ),
    Row(
        method="DELETE",
        path=f"{_RULES}/{{id}}",
        handler=remove_rule,
        policy=Policy("delete_security_group_rule", MEMBER),
        status=HTTPStatus.NO_CONTENT,
    ),
)
