"""Subnets: which addresses a network's ports have."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from lanekeeper.domain.errors import Conflict, Invalid
from lanekeeper.domain.network.address import (
    IpAddress,
    IpNetwork,
    Pool,
    check_apart,
    default_pools,
    parse_cidr,
    parse_ip,
    parse_pool,
)

MORE_ADDRESSES = "delete ports, or give the subnet more allocation pools"
DNS_SERVERS_MAX = 5
HOST_ROUTES_MAX = 20
"""Source: neutron ``conf/common.py``, max_dns_nameservers and max_subnet_host_routes."""

V4, V6 = 4, 6
SLAAC, STATELESS, STATEFUL = "slaac", "dhcpv6-stateless", "dhcpv6-stateful"
MODES = (SLAAC, STATEFUL, STATELESS)
_AUTOMATIC = frozenset({SLAAC, STATELESS})
_SLAAC_PREFIX = 64
_DHCP_PREFIX_MAX = {V4: 30, V6: 126}


@dataclass(frozen=True, slots=True, kw_only=True)
class SubnetRecord:
    """A subnet as stored. A fact, never edited.

    Attributes:
        cidr: network and prefix length, host bits cut off.
        pools: in the order in which they are drawn from.
        host_routes: each with ``destination`` and ``nexthop``.
        shared, external: its network's.
    """

    id: str
    network_id: str
    project_id: str
    ip_version: int
    cidr: str
    created_at: datetime
    updated_at: datetime
    name: str = ""
    description: str = ""
    gateway_ip: str | None = None
    enable_dhcp: bool = True
    pools: tuple[Pool, ...] = ()
    dns_nameservers: tuple[str, ...] = ()
    host_routes: tuple[Mapping[str, str], ...] = ()
    ipv6_ra_mode: str | None = None
    ipv6_address_mode: str | None = None
    tags: tuple[str, ...] = ()
    revision: int = 1
    shared: bool = False
    external: bool = False

    @property
    def is_automatic(self) -> bool:
        """Whether guests make their own addresses, so that every port has one."""
        return not _AUTOMATIC.isdisjoint({self.ipv6_address_mode, self.ipv6_ra_mode})

    @property
    def has_dhcp(self) -> bool:
        """Whether its guests are answered: all but where they are told by a router alone.

        Source: neutron ``agent/linux/dhcp.py``, _iter_hosts and _build_cmdline_callback.
        """
        if self.ip_version == V4 or self.ipv6_address_mode is not None:
            return self.enable_dhcp and self.ipv6_address_mode != SLAAC
        return self.enable_dhcp and self.ipv6_ra_mode is None


@dataclass(frozen=True, slots=True, kw_only=True)
class SubnetWanted:
    """What a request says of a new subnet, checked for its types only.

    Attributes:
        gateway_ip: None for no gateway; ``""`` where the choice is ours.
        pools: pairs of start and end; None where the choice is ours.
    """

    network_id: str
    cidr: str
    ip_version: int
    project_id: str | None = None
    name: str = ""
    description: str = ""
    gateway_ip: str | None = ""
    enable_dhcp: bool = True
    pools: tuple[tuple[str, str], ...] | None = None
    dns_nameservers: tuple[str, ...] = ()
    host_routes: tuple[tuple[str, str], ...] = ()
    ipv6_ra_mode: str | None = None
    ipv6_address_mode: str | None = None
    tags: tuple[str, ...] = ()

    @property
    def is_automatic(self) -> bool:
        return not _AUTOMATIC.isdisjoint({self.ipv6_address_mode, self.ipv6_ra_mode})


@dataclass(frozen=True, slots=True, kw_only=True)
class AddressPlan:
    """The addresses of a subnet after every check; what is stored."""

    network: IpNetwork
    gateway: IpAddress | None
    pools: tuple[Pool, ...]
    dns_nameservers: tuple[str, ...]
    host_routes: tuple[dict[str, str], ...]


def plan_subnet(wanted: SubnetWanted) -> AddressPlan:
    """Check a new subnet and fill in what it leaves to us.

    Raises:
        Invalid: a field is wrong; code InvalidInput.
        Conflict: pools overlap, or the gateway is inside one.
    """
    if wanted.ip_version not in (V4, V6):
        raise _wrong(f"ip_version {wanted.ip_version} is neither 4 nor 6")
    network = parse_cidr(wanted.cidr)
    if network.version != wanted.ip_version:
        raise _wrong(f"cidr {wanted.cidr} does not fit ip_version {wanted.ip_version}")
    check_dhcp(network, enabled=wanted.enable_dhcp)
    _check_modes(wanted, network)
    gateway = plan_gateway(wanted.gateway_ip, network)
    pools = plan_pools(wanted.pools, network, gateway)
    return AddressPlan(
        network=network,
        gateway=gateway,
        pools=pools,
        dns_nameservers=plan_dns(wanted.dns_nameservers, network.version),
        host_routes=plan_routes(wanted.host_routes, network.version),
    )


def no_address_left(subnets: Iterable[SubnetRecord]) -> Conflict:
    """What somebody is told who would have had an address of one of *subnets*."""
    names = ", ".join(f"{one.id} ({one.cidr})" for one in subnets)
    return Conflict(
        f"no free address is left in the allocation pools of subnet {names}",
        hint=MORE_ADDRESSES,
        code="IpAddressGenerationFailure",
    )


def check_dhcp(network: IpNetwork, *, enabled: bool) -> None:
    """Refuse networks that make no sense.

    Raises:
        Invalid: the whole family (prefix 0); or with DHCP one that is loopback, multicast or too
            small for a server and a guest.
    """
    if network.prefixlen == 0:
        raise _wrong(f"cidr {network} is every address there is; a longer prefix would be right")
    if not enabled:
        return
    if network.is_loopback or network.is_multicast:
        raise _wrong(f"cidr {network} is loopback or multicast, which DHCP cannot serve")
    if network.prefixlen > _DHCP_PREFIX_MAX[network.version]:
        most = _DHCP_PREFIX_MAX[network.version]
        raise _wrong(f"cidr {network} is too small for DHCP: /{most} is the longest prefix for it")


def check_dhcp_of_modes(modes: Collection[str | None], *, enabled: bool) -> None:
    """Refuse modes of IPv6 without DHCP.

    Raises:
        Invalid: code InvalidInput; some mode is set.
    """
    if any(modes) and not enabled:
        raise _wrong("ipv6_ra_mode and ipv6_address_mode need enable_dhcp true")


def plan_gateway(text: str | None, network: IpNetwork) -> IpAddress | None:
    """Read a gateway, or choose one for ``""``: the first host, in IPv6 the subnet's own address.

    One outside the network is let pass (an on-link route leads to it).

    Raises:
        Invalid: of the other family, or IPv4's network or broadcast address.
    """
    if text is None:
        return None
    if text == "":
        return _default_gateway(network)
    gateway = parse_ip(text, "gateway_ip")
    if gateway.version != network.version:
        raise _wrong(f"gateway_ip {text} is not of the same IP version as {network}")
    ends = (network.network_address, network.broadcast_address)
    if network.version == V4 and network.num_addresses > len(ends) and gateway in ends:
        raise _wrong(f"gateway_ip {text} is the network or broadcast address of {network}")
    return gateway


def plan_pools(
    wanted: Sequence[tuple[str, str]] | None, network: IpNetwork, gateway: IpAddress | None
) -> tuple[Pool, ...]:
    """Read allocation pools, or lay them around the gateway.

    Raises:
        Invalid, Conflict: see ``plan_subnet``.
    """
    if wanted is None:
        return default_pools(network, gateway)
    pools = tuple(parse_pool(start, end, network) for start, end in wanted)
    check_apart(pools, gateway)
    return pools


def plan_dns(servers: Sequence[str], version: int) -> tuple[str, ...]:
    """Read DNS servers, at most five, each once.

    Raises:
        Invalid: too many, one twice, or not an address of the subnet's family.
    """
    if len(servers) > DNS_SERVERS_MAX:
        raise Invalid(
            f"dns_nameservers has {len(servers)} entries, at most {DNS_SERVERS_MAX}",
            code="DNSNameServersExhausted",
        )
    addresses = [parse_ip(server, "dns_nameservers:") for server in servers]
    for address in addresses:
        if address.version != version:
            raise _wrong(f"dns_nameservers: {address} is not IPv{version}, as the subnet is")
    texts = tuple(map(str, addresses))
    _each_once(texts, "dns_nameservers")
    return texts


def plan_routes(routes: Sequence[tuple[str, str]], version: int) -> tuple[dict[str, str], ...]:
    """Read static routes, pairs of destination and next hop.

    Raises:
        Invalid: too many, one twice, or not of the subnet's family.
    """
    if len(routes) > HOST_ROUTES_MAX:
        raise Invalid(
            f"host_routes has {len(routes)} entries, at most {HOST_ROUTES_MAX}",
            code="HostRoutesExhausted",
        )
    planned = []
    for destination, nexthop in routes:
        network = parse_cidr(destination, "host_routes: destination")
        hop = parse_ip(nexthop, "host_routes: nexthop")
        if {network.version, hop.version} != {version}:
            raise _wrong(f"host_routes: {destination} via {nexthop} is not IPv{version}")
        planned.append({"destination": str(network), "nexthop": str(hop)})
    _each_once([f"{route['destination']} via {route['nexthop']}" for route in planned], "routes")
    return tuple(planned)


def check_no_overlap(network: IpNetwork, others: Iterable[SubnetRecord]) -> None:
    """Refuse a subnet whose addresses another one on the same network has already.

    Raises:
        Invalid: the message names the other one.
    """
    for other in others:
        theirs = parse_cidr(other.cidr)
        if theirs.version == network.version and theirs.overlaps(network):
            raise _wrong(f"cidr {network} overlaps with {other.cidr} of subnet {other.id}")


def _default_gateway(network: IpNetwork) -> IpAddress | None:
    if network.num_addresses == 1:
        return None
    first: IpAddress = network.network_address
    return first + 1 if network.version == V4 and network.num_addresses > 2 else first  # noqa: PLR2004


def _check_modes(wanted: SubnetWanted, network: IpNetwork) -> None:
    modes = {wanted.ipv6_ra_mode, wanted.ipv6_address_mode} - {None}
    if not modes:
        return
    if network.version == V4:
        raise _wrong("ipv6_ra_mode and ipv6_address_mode must be left out when ip_version is 4")
    if unknown := modes - set(MODES):
        raise _wrong(f"IPv6 mode {sorted(map(str, unknown))[0]!r} is not one of {', '.join(MODES)}")
    if len(modes) > 1:
        raise _wrong("ipv6_ra_mode and ipv6_address_mode must be equal when both are given")
    check_dhcp_of_modes(modes, enabled=wanted.enable_dhcp)
    if modes & _AUTOMATIC and network.prefixlen != _SLAAC_PREFIX:
        raise _wrong(f"cidr {network} must have prefix length 64 for {modes.pop()}")


def _each_once(texts: Sequence[str], field: str) -> None:
    for text in texts:
        if texts.count(text) > 1:
            raise _wrong(f"{field} names {text} more than once")


def _wrong(message: str) -> Invalid:
    return Invalid(message, code="InvalidInput")
