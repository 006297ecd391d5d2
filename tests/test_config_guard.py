"""Which firewall drivers leave normal ports without guard."""

from __future__ import annotations

import pytest

from lanekeeper.config.network import SecurityGroup
from lanekeeper.config.value import parse_firewall_driver
from lanekeeper.domain.errors import Invalid


@pytest.mark.parametrize(
    ("text", "guards"),
    [
        ("openvswitch", True),
        ("iptables_hybrid", True),
        ("noop", False),
        ("neutron.agent.firewall.NoopFirewallDriver", False),
        ("neutron.agent.linux.iptables_firewall.OVSHybridIptablesFirewallDriver", True),
    ],
)
def test_only_noop_guards_nothing(text: str, guards: bool) -> None:
    driver = parse_firewall_driver(text)
    assert SecurityGroup(firewall_driver=driver).guards is guards
    assert not SecurityGroup(firewall_driver=driver, enable_security_group=False).guards


def test_a_driver_that_is_none_is_refused_with_those_that_are() -> None:
    with pytest.raises(Invalid, match="'nop' is none of openvswitch, iptables_hybrid, iptables"):
        parse_firewall_driver("nop")
