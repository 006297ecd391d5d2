"""Security groups as rules of numbers."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from lanekeeper.domain.network.guard.guarded import Direction, Rule
from lanekeeper.domain.network.guard.of_port import prefix_of, rules_of
from lanekeeper.domain.network.security_group import (
    PROTOCOLS,
    RuleWanted,
    SecurityGroupRecord,
    plan_rule,
)

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def group(*rules: dict[str, Any], stateful: bool = True) -> SecurityGroupRecord:
    return SecurityGroupRecord(
        id="g", project_id="p", created_at=NOW, updated_at=NOW, rules=rules, stateful=stateful
    )


def rule(**values: Any) -> dict[str, Any]:
    return plan_rule(RuleWanted(security_group_id="g", direction="ingress", **values))


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({}, {}),
        ({"protocol": "ip"}, {}),
        ({"protocol": "0"}, {}),
        ({"protocol": "icmp"}, {"protocol": 1}),
        ({"protocol": "icmp", "ethertype": "IPv6"}, {"protocol": 58, "version": 6}),
        ({"protocol": "vrrp"}, {"protocol": 112}),
        ({"protocol": "47"}, {"protocol": 47}),
        ({"remote_ip_prefix": "10.0.0.5/32"}, {"prefix": "10.0.0.5"}),
        ({"remote_ip_prefix": "10.0.0.0/8"}, {"prefix": "10.0.0.0/8"}),
    ],
)
def test_names_become_numbers(values: dict[str, Any], expected: dict[str, Any]) -> None:
    assert list(rules_of([group(rule(**values))])) == [
        Rule(direction=Direction.INGRESS, **expected)
    ]


def test_every_protocol_that_a_rule_may_name_has_a_number() -> None:
    told = group(
        *(
            rule(protocol=name, ethertype="IPv6" if "v6" in name else "IPv4")
            for name in sorted(PROTOCOLS)
        )
    )
    assert len(list(rules_of([told]))) >= len(PROTOCOLS) - 1  # two names of ICMPv6


def test_the_same_rule_of_two_groups_is_one_unless_one_has_no_state() -> None:
    assert len(list(rules_of([group(rule()), group(rule())]))) == 1
    assert len(list(rules_of([group(rule()), group(rule(), stateful=False)]))) == 2


def test_an_address_is_spelled_in_one_way() -> None:
    assert prefix_of("2001:DB8:0::5/128") == "2001:db8::5"
    assert prefix_of("10.0.0.5/24") == "10.0.0.0/24"
