"""Which addresses a port is to get."""

import pytest

from domain.network.network_facts import a_subnet
from lanekeeper.domain.errors import Invalid
from lanekeeper.domain.network.fixed_ip import (
    AddressWanted,
    plan_addresses,
    plan_change,
    plan_other_mac,
)
from lanekeeper.domain.network.port import FixedIp, FixedIpWanted

MAC = "fa:16:3e:01:02:03"
FOUR = a_subnet()
SIX = a_subnet(id="sub6", ip_version=6, cidr="2001:db8::/64")
SLAAC = a_subnet(id="slaac", ip_version=6, cidr="2001:db8:1::/64", ipv6_address_mode="slaac")
MADE = "2001:db8:1:0:f816:3eff:fe01:203"


def ip(text: str, subnet_id: str | None = None) -> FixedIpWanted:
    return FixedIpWanted(subnet_id=subnet_id, ip=text)


def test_left_to_us_a_port_gets_one_of_each_family_and_every_automatic_one() -> None:
    planned = plan_addresses(None, [FOUR, a_subnet(id="other"), SIX, SLAAC], MAC)
    assert [(tuple(s.id for s in one.subnets), one.ip) for one in planned] == [
        (("slaac",), MADE),
        (("sub4", "other"), None),
        (("sub6",), None),
    ]


def test_an_empty_list_means_none() -> None:
    assert plan_addresses([], [FOUR], MAC) == ()


def test_an_address_finds_its_subnet() -> None:
    assert plan_addresses([ip("192.0.2.7")], [SIX, FOUR], MAC) == (
        AddressWanted((FOUR,), "192.0.2.7"),
    )


def test_named_addresses_are_taken_before_any_is_drawn() -> None:
    planned = plan_addresses([FixedIpWanted(subnet_id="sub4"), ip("192.0.2.7")], [FOUR], MAC)
    assert [one.ip for one in planned] == ["192.0.2.7", None]


@pytest.mark.parametrize(
    ("entries", "words", "code"),
    [
        ([ip("198.51.100.1")], "any of the network's subnets: 192.0.2.0/24", "InvalidIpForNetwork"),
        ([ip("192.0.2.0")], "192.0.2.0", "InvalidIpForNetwork"),
        ([ip("192.0.2.255")], "192.0.2.255", "InvalidIpForNetwork"),
        ([ip("198.51.100.1", "sub4")], "valid IP for subnet sub4", "InvalidIpForSubnet"),
        ([ip("192.0.2.9", "elsewhere")], "not one of this network's", "InvalidInput"),
        ([ip("192.0.2.9"), ip("192.0.2.9")], "more than once", "InvalidInput"),
        ([ip("198.51.100.9"), ip("198.51.100.9")], "more than once", "InvalidInput"),
        ([FixedIpWanted()], "needs subnet_id, ip_address, or both", "InvalidInput"),
        ([ip("192.0.2.9")] * 33, "at most 32", "InvalidInput"),
    ],
)
def test_what_does_not_fit_is_refused(entries: list[FixedIpWanted], words: str, code: str) -> None:
    with pytest.raises(Invalid, match=words) as refused:
        plan_addresses(entries, [FOUR], MAC)
    assert refused.value.code == code


def test_a_change_keeps_what_is_wanted_still() -> None:
    has = [FixedIp("sub4", "192.0.2.7"), FixedIp("sub4", "192.0.2.8")]
    wanted = [FixedIpWanted(subnet_id="sub4"), ip("192.0.2.8"), ip("192.0.2.9")]
    keep, get = plan_change(plan_addresses(wanted, [FOUR], MAC), has)
    assert set(keep) == set(has)
    assert get == (AddressWanted((FOUR,), "192.0.2.9"),)


def test_whatever_is_wanted_a_port_has_what_its_guest_makes() -> None:
    own = AddressWanted((SLAAC,), MADE)
    assert plan_addresses([], [FOUR, SLAAC], MAC) == (own,)
    for said in (FixedIpWanted(subnet_id="slaac"), ip(MADE), ip(MADE, "slaac")):
        assert plan_addresses([said], [FOUR, SLAAC], MAC) == (own,)
    assert plan_addresses([FixedIpWanted(subnet_id="sub4")], [FOUR, SLAAC], MAC) == (
        own,
        AddressWanted((FOUR,)),
    )


def test_what_a_guest_makes_follows_its_mac() -> None:
    has = [FixedIp("slaac", MADE), FixedIp("sub4", "192.0.2.7")]
    planned = plan_other_mac(has, [FOUR, SLAAC], "02:00:00:00:00:07")
    keep, get = plan_change(planned, has)
    assert keep == (FixedIp("sub4", "192.0.2.7"),)
    assert get == (AddressWanted((SLAAC,), "2001:db8:1::ff:fe00:7"),)
