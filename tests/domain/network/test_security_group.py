"""Rules of security groups: what is stored of them, what is refused."""

from typing import Any

import pytest

from lanekeeper.domain.errors import Invalid
from lanekeeper.domain.network.security_group import (
    RuleWanted,
    default_group_id,
    first_rules,
    plan_rule,
    same_rule,
)


def wanted(**more: Any) -> RuleWanted:
    return RuleWanted(**{"security_group_id": "g", "direction": "ingress", **more})


def test_a_rule_is_stored_normalised() -> None:
    rule = plan_rule(
        wanted(
            protocol="TCP", port_range_min=22, port_range_max=22, remote_ip_prefix="192.0.2.9/24"
        )
    )
    assert (rule["protocol"], rule["remote_ip_prefix"]) == ("tcp", "192.0.2.0/24")
    assert rule["ethertype"] == "IPv4"


def test_any_protocol_is_no_protocol() -> None:
    assert plan_rule(wanted(protocol="any"))["protocol"] is None
    assert plan_rule(wanted(protocol="47"))["protocol"] == "47"


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"direction": "sideways"}, "ingress, egress"),
        ({"ethertype": "ARP"}, "IPv4, IPv6"),
        ({"protocol": "nonsense"}, "protocol 'nonsense'"),
        ({"protocol": "256"}, "protocol '256'"),
        ({"port_range_min": 1, "port_range_max": 2}, "need a protocol with ports"),
        ({"protocol": "tcp", "port_range_min": 1}, "port range 1 to None"),
        ({"protocol": "tcp", "port_range_min": 9, "port_range_max": 2}, "port range 9 to 2"),
        ({"protocol": "udp", "port_range_min": 9, "port_range_max": 65536}, "65536"),
        ({"protocol": "icmp", "port_range_min": 256}, "ICMP type or code 256"),
        ({"protocol": "icmp", "port_range_max": 1}, "needs port_range_min"),
        ({"remote_ip_prefix": "2001:db8::/64"}, "does not fit ethertype"),
        ({"remote_ip_prefix": "x"}, "remote_ip_prefix"),
        ({"remote_ip_prefix": "192.0.2.0/24", "remote_group_id": "g"}, "only one of"),
    ],
)
def test_a_rule_that_makes_no_sense_is_refused(more: dict[str, Any], words: str) -> None:
    with pytest.raises(Invalid, match=words):
        plan_rule(wanted(**more))


def test_a_new_group_lets_out_and_the_default_one_lets_its_own_in() -> None:
    assert [(r["direction"], r["ethertype"]) for r in first_rules("g", "web")] == [
        ("egress", "IPv4"),
        ("egress", "IPv6"),
    ]
    ingress = [r for r in first_rules("g", "default") if r["direction"] == "ingress"]
    assert [r["remote_group_id"] for r in ingress] == ["g", "g"]


def test_two_makers_of_a_default_group_make_the_same_one() -> None:
    assert default_group_id("red") == default_group_id("red") != default_group_id("blue")


def test_a_description_makes_no_new_rule() -> None:
    assert same_rule(plan_rule(wanted(description="a")), plan_rule(wanted(description="b")))
    assert not same_rule(plan_rule(wanted(protocol="tcp")), plan_rule(wanted(protocol="udp")))
