"""What a subnet may be, and what is filled in."""

from datetime import UTC, datetime
from typing import Any

import pytest

from lanekeeper.domain.errors import Conflict, Invalid
from lanekeeper.domain.network.address import parse_cidr
from lanekeeper.domain.network.subnet import (
    AddressPlan,
    SubnetRecord,
    SubnetWanted,
    check_no_overlap,
    plan_subnet,
)

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def plan(cidr: str = "192.0.2.0/24", ip_version: int = 4, **more: Any) -> AddressPlan:
    return plan_subnet(SubnetWanted(network_id="n", cidr=cidr, ip_version=ip_version, **more))


@pytest.mark.parametrize(
    ("cidr", "version", "gateway", "pools"),
    [
        ("192.0.2.9/24", 4, "192.0.2.1", ["192.0.2.2-192.0.2.254"]),
        ("2001:db8::/64", 6, "2001:db8::", ["2001:db8::1-2001:db8::ffff:ffff:ffff:ffff"]),
        ("192.0.2.0/30", 4, "192.0.2.1", ["192.0.2.2-192.0.2.2"]),
    ],
)
def test_gateway_and_pools_are_chosen(
    cidr: str, version: int, gateway: str, pools: list[str]
) -> None:
    planned = plan(cidr, version)
    assert str(planned.gateway) == gateway
    assert [str(pool) for pool in planned.pools] == pools


def test_a_gateway_in_the_middle_splits_the_pool() -> None:
    planned = plan(gateway_ip="192.0.2.100")
    assert [str(p) for p in planned.pools] == ["192.0.2.1-192.0.2.99", "192.0.2.101-192.0.2.254"]


def test_without_a_gateway_every_host_address_is_in_the_pool() -> None:
    planned = plan(gateway_ip=None)
    assert planned.gateway is None
    assert [str(pool) for pool in planned.pools] == ["192.0.2.1-192.0.2.254"]


def test_a_gateway_outside_the_subnet_is_let_pass() -> None:
    assert str(plan(gateway_ip="198.51.100.1").gateway) == "198.51.100.1"


@pytest.mark.parametrize("prefix", [31, 32])
def test_point_to_point_needs_dhcp_off(prefix: int) -> None:
    with pytest.raises(Invalid, match="too small for DHCP"):
        plan(f"192.0.2.0/{prefix}")
    assert plan(f"192.0.2.0/{prefix}", enable_dhcp=False).pools


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"cidr": "nonsense"}, "cidr 'nonsense'"),
        ({"cidr": "0.0.0.0/0"}, "every address"),
        ({"cidr": "2001:db8::/64"}, "does not fit ip_version 4"),
        ({"ip_version": 5}, "neither 4 nor 6"),
        ({"cidr": "127.0.0.0/24"}, "loopback"),
        ({"cidr": "224.0.0.0/24"}, "multicast"),
        ({"gateway_ip": "192.0.2.0"}, "network or broadcast"),
        ({"gateway_ip": "192.0.2.255"}, "network or broadcast"),
        ({"gateway_ip": "2001:db8::1"}, "same IP version"),
        ({"gateway_ip": "x"}, "gateway_ip 'x'"),
        ({"dns_nameservers": tuple(f"192.0.2.{n}" for n in range(6))}, "at most 5"),
        ({"dns_nameservers": ("192.0.2.1", "192.0.2.1")}, "more than once"),
        ({"dns_nameservers": ("dns.example",)}, "dns_nameservers"),
        ({"host_routes": (("2001:db8::/64", "192.0.2.1"),)}, "not IPv4"),
        ({"host_routes": (("x", "192.0.2.1"),)}, "host_routes: destination"),
        ({"host_routes": (("198.51.100.0/24", "192.0.2.1"),) * 21}, "at most 20"),
        ({"ipv6_ra_mode": "slaac"}, "ip_version is 4"),
    ],
)
def test_what_makes_no_sense_is_refused_with_its_field(more: dict[str, Any], words: str) -> None:
    with pytest.raises(Invalid, match=words):
        plan(**more)


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"ipv6_ra_mode": "slaac", "ipv6_address_mode": "dhcpv6-stateful"}, "must be equal"),
        ({"ipv6_address_mode": "magic"}, "'magic' is not one of"),
        ({"ipv6_address_mode": "slaac", "cidr": "2001:db8::/80"}, "prefix length 64"),
        ({"ipv6_address_mode": "slaac", "enable_dhcp": False}, "need enable_dhcp"),
    ],
)
def test_ipv6_modes_that_do_not_fit_are_refused(more: dict[str, Any], words: str) -> None:
    with pytest.raises(Invalid, match=words):
        plan(**{"cidr": "2001:db8::/64", "ip_version": 6, **more})


def test_pools_that_overlap_are_a_conflict() -> None:
    with pytest.raises(Conflict, match="overlap"):
        plan(pools=(("192.0.2.10", "192.0.2.20"), ("192.0.2.20", "192.0.2.30")))


def test_a_gateway_inside_a_pool_is_a_conflict() -> None:
    with pytest.raises(Conflict, match=r"gateway_ip 192\.0\.2\.10 is inside"):
        plan(gateway_ip="192.0.2.10", pools=(("192.0.2.10", "192.0.2.20"),))


def test_two_subnets_of_a_network_share_no_address() -> None:
    other = SubnetRecord(
        id="s1",
        network_id="n",
        project_id="p",
        ip_version=4,
        cidr="192.0.2.0/24",
        created_at=NOW,
        updated_at=NOW,
    )
    check_no_overlap(parse_cidr("192.0.3.0/24"), [other])
    check_no_overlap(parse_cidr("2001:db8::/64"), [other])
    with pytest.raises(Invalid, match="of subnet s1"):
        check_no_overlap(parse_cidr("192.0.2.128/25"), [other])
