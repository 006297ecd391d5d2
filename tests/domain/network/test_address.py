"""MACs, pools and the arithmetic of addresses."""

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lanekeeper.domain.errors import Conflict, Invalid
from lanekeeper.domain.network.address import (
    IpNetwork,
    Pool,
    at,
    check_apart,
    default_pools,
    draw_mac,
    drawn,
    free,
    parse_cidr,
    parse_ip,
    parse_mac,
    parse_pool,
    slaac_address,
    usable,
)

networks = st.one_of(
    st.builds(
        lambda number, prefix: ipaddress.ip_network((number, prefix), strict=False),
        st.integers(0, 2**32 - 1),
        st.integers(1, 32),
    ),
    st.builds(
        lambda number, prefix: ipaddress.IPv6Network((number, prefix), strict=False),
        st.integers(0, 2**128 - 1),
        st.integers(1, 128),
    ),
)
small_pools = st.builds(
    lambda first, count: Pool(4, first, first + count), st.integers(1, 2000), st.integers(0, 30)
)


@pytest.mark.parametrize(
    "text", ["FA:16:3E:00:AB:01", "fa-16-3e-00-ab-01", "fa16.3e00.ab01", "fa163e00ab01"]
)
def test_every_spelling_of_a_mac_is_one(text: str) -> None:
    assert parse_mac(text) == "fa:16:3e:00:ab:01"


@pytest.mark.parametrize(
    "text", ["01:00:5e:00:00:01", "33-33-00-00-00-01", "ff" * 6, "0100.5e00.0001"]
)
def test_a_macs_group_addresses_are_refused(text: str) -> None:
    with pytest.raises(Invalid, match=r"mac_address .* multicast or broadcast") as refused:
        parse_mac(text)
    assert "the first octet is even" in refused.value.hint


@pytest.mark.parametrize(
    "text",
    [
        *["", "fa:16:3e:00:ab", "fa:16:3e:00:ab:0g", "fa:16-3e:00:ab:01", "fa:16:3e:00:ab:01\n"],
        *["00:00:00:00:00:00", "fa163e00ab0", "x"],
    ],
)
def test_what_is_no_mac_is_refused_by_name(text: str) -> None:
    with pytest.raises(Invalid, match="mac_address"):
        parse_mac(text)


@given(st.integers(0, 2**24 - 1))
def test_a_drawn_mac_is_one_of_openstacks(number: int) -> None:
    mac = draw_mac(lambda _: number)
    assert parse_mac(mac) == mac
    assert mac.startswith("fa:16:3e:")


def test_a_guest_makes_its_address_from_its_mac() -> None:
    network = ipaddress.IPv6Network("2001:db8::/64")
    assert slaac_address(network, "fa:16:3e:01:02:03") == "2001:db8::f816:3eff:fe01:203"


@pytest.mark.parametrize("text", ["", "1.2.3", "fe80::1%eth0", "1.2.3.4/24", "300.1.1.1"])
def test_what_is_no_address_is_refused_by_name(text: str) -> None:
    with pytest.raises(Invalid, match="gateway_ip"):
        parse_ip(text, "gateway_ip")


def test_bits_beyond_the_prefix_are_cut_off() -> None:
    assert str(parse_cidr("192.0.2.77/24")) == "192.0.2.0/24"


@pytest.mark.parametrize("text", ["192.0.2.0", "192.0.2.0/33", "net/24", "fe80::%1/64", ""])
def test_what_is_no_network_is_refused_by_name(text: str) -> None:
    with pytest.raises(Invalid, match="cidr"):
        parse_cidr(text)


@given(networks)
def test_usable_addresses_are_in_the_network_and_leave_out_its_edges(network: IpNetwork) -> None:
    pool = usable(network)
    assert pool.count >= 1
    assert int(network.network_address) <= pool.first <= pool.last
    assert pool.last <= int(network.broadcast_address)
    if network.num_addresses > 2:
        assert int(network.network_address) not in pool
        assert (int(network.broadcast_address) in pool) == (network.version == 6)


@given(networks, st.data())
def test_default_pools_are_everything_usable_but_the_gateway(
    network: IpNetwork, data: st.DataObject
) -> None:
    whole = usable(network)
    number = data.draw(st.integers(whole.first, whole.last))
    gateway = ipaddress.ip_address(
        number if network.version == 4 else ipaddress.IPv6Address(number)
    )
    pools = default_pools(network, gateway)
    assert sum(pool.count for pool in pools) == whole.count - 1
    assert all(number not in pool for pool in pools)
    check_apart(pools, gateway)


@given(st.lists(small_pools, min_size=1, max_size=4), st.sets(st.integers(1, 2100)))
def test_free_addresses_are_those_of_the_pools_that_are_not_taken(
    pools: list[Pool], taken: set[int]
) -> None:
    offered = [int(ipaddress.ip_address(ip)) for ip in free(pools, taken)]
    expected = [n for pool in pools for n in range(pool.first, pool.last + 1) if n not in taken]
    assert offered == expected


def test_a_free_address_of_an_ipv6_subnet_is_found_at_once() -> None:
    pool = usable(ipaddress.ip_network("2001:db8::/64"))
    taken = set(range(pool.first, pool.first + 100))
    assert next(free([pool], taken)) == "2001:db8::65"


@given(st.lists(small_pools, min_size=1, max_size=4), st.integers(0, 10**6))
def test_drawn_addresses_come_from_the_pools(pools: list[Pool], seed: int) -> None:
    for ip in drawn(pools, lambda most: seed % most, 5):
        assert any(int(ipaddress.ip_address(ip)) in pool for pool in pools)


def test_every_index_of_two_pools_is_another_address() -> None:
    pools = [Pool(4, 10, 12), Pool(4, 20, 21)]
    assert [at(pools, index) for index in range(5)] == [
        *["0.0.0.10", "0.0.0.11", "0.0.0.12", "0.0.0.20", "0.0.0.21"]
    ]


@pytest.mark.parametrize(
    ("start", "end", "words"),
    [
        ("192.0.2.20", "192.0.2.10", "ends before it starts"),
        ("192.0.2.0", "192.0.2.10", "not within"),
        ("192.0.2.10", "192.0.2.255", "not within"),
        ("198.51.100.1", "198.51.100.2", "not within"),
        ("2001:db8::1", "2001:db8::2", "IP version"),
        ("192.0.2.10", "no", "allocation_pools: end"),
    ],
)
def test_a_pool_outside_its_subnet_is_refused(start: str, end: str, words: str) -> None:
    with pytest.raises(Invalid, match=words):
        parse_pool(start, end, ipaddress.ip_network("192.0.2.0/24"))


def test_pools_that_share_an_address_are_refused() -> None:
    with pytest.raises(Conflict, match=r"0\.0\.0\.1-0\.0\.0\.5 and 0\.0\.0\.5-0\.0\.0\.9 overlap"):
        check_apart([Pool(4, 5, 9), Pool(4, 1, 5)], None)


def test_a_gateway_inside_a_pool_is_refused() -> None:
    with pytest.raises(Conflict, match="inside allocation pool") as refused:
        check_apart([Pool(4, 1, 9)], ipaddress.ip_address(5))
    assert refused.value.code == "GatewayConflictWithAllocationPools"
