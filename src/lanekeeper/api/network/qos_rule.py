"""``/v2.0/qos``: rules of policies, and which of them a VF can keep.

Source: neutron-lib ``api/definitions``, ``qos.py``, ``qos_rules_alias.py`` and
``qos_rule_type_details.py``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any

from msgspec import UNSET

from lanekeeper.api.network.field import Maybe, Text, Whole, whole
from lanekeeper.api.network.listing import Collected, View, answer, only, wanted_columns
from lanekeeper.api.row import ADMIN, READER, Call, Policy, Row, Strict
from lanekeeper.control.network.qos import (
    create_rule,
    delete_rule,
    show_policy,
    show_rule,
    update_rule,
)
from lanekeeper.domain.errors import Invalid, NotFound, NotOffered
from lanekeeper.domain.network.binding import DRIVER
from lanekeeper.domain.network.qos import KBPS_MAX, Direction, QosRule, RuleType, check_kbps


class LimitFields(Strict, frozen=True):
    """A limit, or what is to change of one."""

    max_kbps: Whole | Maybe = UNSET
    max_burst_kbps: Whole | Maybe = UNSET
    direction: Text | Maybe = UNSET


class GuaranteeFields(Strict, frozen=True):
    """A guarantee, or what is to change of one."""

    min_kbps: Whole | Maybe = UNSET
    direction: Text | Maybe = UNSET


class LimitBody(Strict, frozen=True):
    bandwidth_limit_rule: LimitFields


class GuaranteeBody(Strict, frozen=True):
    minimum_bandwidth_rule: GuaranteeFields


class AliasLimitBody(Strict, frozen=True):
    alias_bandwidth_limit_rule: LimitFields


class AliasGuaranteeBody(Strict, frozen=True):
    alias_minimum_bandwidth_rule: GuaranteeFields


_FIELDS: Mapping[RuleType, Mapping[str, str]] = {
    RuleType.BANDWIDTH_LIMIT: {"kbps": "max_kbps", "burst_kbps": "max_burst_kbps"},
    RuleType.MINIMUM_BANDWIDTH: {"kbps": "min_kbps"},
}
"""What the API calls a rule's numbers."""


def rule_view(rule: QosRule) -> View:
    """A rule in the API's shape."""
    numbers = {said: getattr(rule, field) for field, said in _FIELDS[rule.type].items()}
    return {"id": rule.id, **numbers, "direction": str(rule.direction)}


def _values(kind: RuleType, body: Any) -> dict[str, Any]:
    """Fields of ``QosRule`` that a body says."""
    values: dict[str, Any] = {}
    for field, said in _FIELDS[kind].items():
        if (value := getattr(body, said)) is not UNSET:
            values[field] = check_kbps(whole(value, said, f"0..{KBPS_MAX}"), said)
    if body.direction is not UNSET:
        if body.direction not in list(Direction):
            raise Invalid(f"direction {body.direction!r} is not one of {', '.join(Direction)}")
        values["direction"] = Direction(body.direction)
    return values


def _inner(body: Any) -> Any:
    return getattr(body, body.__struct_fields__[0])


def _rules(kind: RuleType) -> tuple[Callable[[Call[Any]], Any], ...]:
    """Handlers for the rules of one kind: list, show, create, update, delete."""
    single, needed = f"{kind}_rule", _FIELDS[kind]["kbps"]
    collected = Collected(
        path=f"qos/policies/{{policy}}/{single}s",
        plural=f"{single}s",
        attributes=frozenset({"id", "direction", *_FIELDS[kind].values()}),
    )

    def list_rules(call: Call[None]) -> View:
        wanted_columns(call, collected)
        policy = show_policy(call.site, call.caller, call.path["policy"])
        shown = [rule_view(rule) for rule in policy.rules if rule.type == kind]
        return answer(call, collected, shown)

    def show_one(call: Call[None]) -> View:
        _, rule = show_rule(call.site, call.caller, kind, call.path["id"], call.path.get("policy"))
        return {single: only(rule_view(rule), call.asked_all("fields"))}

    def create_one(call: Call[Any]) -> View:
        values = _values(kind, _inner(call.body))
        if "kbps" not in values:
            raise Invalid(f"{single} needs {needed}, in kbit/s")
        _, rule = create_rule(call.site, call.caller, call.path["policy"], kind, values)
        return {single: rule_view(rule)}

    def update_one(call: Call[Any]) -> View:
        values = _values(kind, _inner(call.body))
        policy_id = call.path.get("policy")
        _, rule = update_rule(
            call.site, call.caller, kind, call.path["id"], values, policy_id=policy_id
        )
        return {single: rule_view(rule)}

    def delete_one(call: Call[None]) -> None:
        delete_rule(call.site, call.caller, kind, call.path["id"], call.path.get("policy"))

    return list_rules, show_one, create_one, update_one, delete_one


_NUMBER = {"parameter_type": "range", "parameter_values": {"start": 0, "end": KBPS_MAX}}


def _parameters(kind: RuleType, *directions: Direction) -> list[View]:
    numbers = [{"parameter_name": name, **_NUMBER} for name in _FIELDS[kind].values()]
    return [
        *numbers,
        {
            "parameter_name": "direction",
            "parameter_type": "choices",
            "parameter_values": [str(direction) for direction in directions],
        },
    ]


_TYPES: Mapping[str, list[View]] = {
    RuleType.BANDWIDTH_LIMIT: _parameters(RuleType.BANDWIDTH_LIMIT, Direction.EGRESS),
    RuleType.MINIMUM_BANDWIDTH: _parameters(RuleType.MINIMUM_BANDWIDTH, *Direction),
}
TYPE_KIND = Collected(
    path="qos/rule-types",
    plural="rule_types",
    attributes=frozenset({"type", "drivers"}),
    special={"all_supported": lambda view, wanted: True, "all_rules": lambda view, wanted: True},
    key="type",
)


def list_types(call: Call[None]) -> View:
    """List the types of rules that a port can keep."""
    wanted_columns(call, TYPE_KIND)
    return answer(call, TYPE_KIND, [{"type": str(kind)} for kind in _TYPES])


def show_type(call: Call[None]) -> View:
    """Show which values of a type of rules are kept, and by what."""
    kind = call.path["type"]
    if kind not in _TYPES:
        raise NotFound(
            f"QoS rule type {kind} could not be found",
            hint=f"there are: {', '.join(_TYPES)}",
            code="QosRuleTypeNotFound",
        )
    drivers = [{"name": DRIVER, "supported_parameters": _TYPES[kind]}]
    return {"rule_type": {"type": kind, "drivers": drivers}}


_ABSENT = {
    "dscp_marking": "DSCP marks are written by the guest: nothing stands between it and its VF",
    "packet_rate_limit": "a VF limits bits, not packets; use a bandwidth limit",
    "minimum_packet_rate": "a VF is promised bits, not packets; use a minimum bandwidth",
}


def _refuse(what: str, why: str) -> Callable[[Call[Any]], View]:
    def handler(call: Call[None]) -> View:
        raise NotOffered(f"QoS rules of type {what} are not offered: {why}")

    return handler


def _none(what: str) -> Callable[[Call[Any]], View]:
    def handler(call: Call[None]) -> View:
        show_policy(call.site, call.caller, call.path["policy"])
        return {f"{what}_rules": []}

    return handler


_BODIES: Mapping[RuleType, tuple[type[Strict], type[Strict]]] = {
    RuleType.BANDWIDTH_LIMIT: (LimitBody, AliasLimitBody),
    RuleType.MINIMUM_BANDWIDTH: (GuaranteeBody, AliasGuaranteeBody),
}


def _rule_rows(kind: RuleType) -> tuple[Row[Any], ...]:
    listed, shown, made, changed, gone = _rules(kind)
    body, alias_body = _BODIES[kind]
    many = f"/v2.0/qos/policies/{{policy}}/{kind}_rules"
    noun = f"policy_{kind}_rule"
    read = Policy(f"get_{noun}", READER)
    rows = [
        Row(method="GET", path=many, handler=listed, policy=read),
        Row(
            method="POST",
            path=many,
            handler=made,
            accepts=body,
            policy=Policy(f"create_{noun}", ADMIN),
            status=HTTPStatus.CREATED,
        ),
    ]
    for one, accepts, rule in (
        (f"{many}/{{id}}", body, noun),
        (f"/v2.0/qos/alias_{kind}_rules/{{id}}", alias_body, f"alias_{kind}_rule"),
    ):
        rows += [
            Row(method="GET", path=one, handler=shown, policy=Policy(f"get_{rule}", READER)),
            Row(
                method="PUT",
                path=one,
                handler=changed,
                accepts=accepts,
                policy=Policy(f"update_{rule}", ADMIN),
            ),
            Row(
                method="DELETE",
                path=one,
                handler=gone,
                policy=Policy(f"delete_{rule}", ADMIN),
                status=HTTPStatus.NO_CONTENT,
            ),
        ]
    return tuple(rows)


def _absent_rows(what: str, why: str) -> tuple[Row[Any], ...]:
    path = f"/v2.0/qos/policies/{{policy}}/{what}_rules"
    write = Policy(f"create_policy_{what}_rule", ADMIN)
    return (
        Row(method="GET", path=path, handler=_none(what), policy=_READ),
        Row(method="POST", path=path, handler=_refuse(what, why), policy=write),
    )


_READ = Policy("get_policy", READER)
_TYPE = Policy("get_rule_type", READER)
ROWS: tuple[Row[Any], ...] = (
    *(row for kind in RuleType for row in _rule_rows(kind)),
    *(row for what, why in _ABSENT.items() for row in _absent_rows(what, why)),
    Row(method="GET", path="/v2.0/qos/rule-types", handler=list_types, policy=_TYPE),
    Row(method="GET", path="/v2.0/qos/rule-types/{type}", handler=show_type, policy=_TYPE),
)
