"""What dnsmasq is told of one network: its arguments, its guests, their options. Pure.

It answers guests that it is told of and nobody else, gives each the address that its port has, and
is no DNS server. Source: dnsmasq(8); neutron ``agent/linux/dhcp.py``, class Dnsmasq.
"""

from __future__ import annotations

import hashlib
import ipaddress
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from lanekeeper.protocol import DhcpGuest, DhcpOption, DhcpSubnet, DhcpWanted

LEASE_S = 86_400
"""Source: neutron ``conf/dhcp.py``, dhcp_lease_duration."""

_LEASES_MAX = 65_536
_V6, _V6_PREFIX_MIN = 6, 64
_NUMBER_MAX = 254
_ANYWHERE = "0.0.0.0/0"
_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?")
_OPTION = re.compile(r"[a-z][a-z0-9-]*")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_PORT_CHARACTERS = 11  # of an interface's 15, after "lkd-"


@dataclass(frozen=True, slots=True)
class DhcpFiles:
    """What one dnsmasq is started with, and the two files that it reads again when it is told to.

    Attributes:
        arguments: after the program's name.
        addresses: of its interface, each with a prefix length.
        hosts: lines of ``hosts``, one for each address of a guest.
        options: lines of ``options``.
        problems: what is not served and why, one sentence each.
    """

    arguments: tuple[str, ...]
    addresses: tuple[str, ...]
    hosts: tuple[str, ...]
    options: tuple[str, ...]
    problems: tuple[str, ...] = ()


def port_name(segment_id: str) -> str:
    """The interface on which a segment's guests are answered."""
    return f"lkd-{segment_id.replace('-', '')[:_PORT_CHARACTERS]}"


def server_mac(host_name: str, segment_id: str) -> str:
    """The MAC of that interface: each host has its own, and the same after every start."""
    drawn = hashlib.sha256(f"{host_name} {segment_id}".encode()).digest()
    return ":".join(f"{octet:02x}" for octet in (0x02, *drawn[:5]))


def dhcp_files(wanted: DhcpWanted, guests: Sequence[DhcpGuest], home: str) -> DhcpFiles:
    """Say it to dnsmasq, whose files are below *home*; *guests* are those of *wanted* to answer."""
    problems = [
        f"DHCP of subnet {one.id} ({one.cidr}) is not served: {why}"
        for one in wanted.subnets
        if (why := _obstacle(one))
    ]
    subnets = [one for one in wanted.subnets if not _obstacle(one)]
    options = [line for subnet in subnets for line in _subnet_options(subnet)]
    for guest in guests:
        for option in guest.options:
            if why := _refusal(option):
                problems.append(f"a DHCP option of port {guest.port_id} is left out: {why}")
            else:
                options.append(_port_option(guest, option))  # dnsmasq takes the last that fits
    return DhcpFiles(
        arguments=(*_arguments(wanted, home), *map(_range, subnets)),
        addresses=tuple(f"{one.server}/{_network(one).prefixlen}" for one in subnets),
        hosts=tuple(_hosts(guests, {one.id for one in subnets})),
        options=tuple(options),
        problems=tuple(problems),
    )


def _arguments(wanted: DhcpWanted, home: str) -> Iterator[str]:
    yield from ("--conf-file=/dev/null", "--no-hosts", "--no-resolv", "--port=0")
    yield from (f"--interface={port_name(wanted.id)}", "--bind-interfaces")
    yield from (f"--pid-file={home}/pid", f"--dhcp-leasefile={home}/leases")
    yield from (f"--dhcp-hostsfile={home}/hosts", f"--dhcp-optsfile={home}/options")
    yield from (f"--dhcp-lease-max={_LEASES_MAX}", "--dhcp-authoritative")
    yield "--dhcp-ignore=tag:!known"
    yield f"--dhcp-option-force=option:mtu,{wanted.mtu}"


def _obstacle(subnet: DhcpSubnet) -> str:
    network = _network(subnet)
    if not subnet.server:
        return "no free address is left for who answers; give it more allocation pools"
    if network.version == _V6 and network.prefixlen < _V6_PREFIX_MIN:
        return f"dnsmasq serves IPv6 prefixes of /{_V6_PREFIX_MIN} or longer"
    return ""


def _range(subnet: DhcpSubnet) -> str:
    network = _network(subnet)
    size = network.prefixlen if network.version == _V6 else network.netmask
    first = network.network_address
    return f"--dhcp-range=set:subnet-{subnet.id},{first},static,{size},{LEASE_S}s"


def _hosts(guests: Iterable[DhcpGuest], served: set[str]) -> Iterator[str]:
    for guest in guests:
        for subnet_id, ip in guest.addresses:
            if subnet_id not in served:
                continue
            words = [guest.mac, f"set:port-{guest.port_id}", f"[{ip}]" if ":" in ip else ip]
            if _NAME.fullmatch(guest.host_name):
                words.append(guest.host_name)
            yield ",".join(words)


def _subnet_options(subnet: DhcpSubnet) -> Iterator[str]:
    tag = f"tag:subnet-{subnet.id}"
    if _network(subnet).version == _V6:
        if subnet.dns:
            yield ",".join((tag, "option6:dns-server", *(f"[{one}]" for one in subnet.dns)))
        return
    yield ",".join((tag, "option:dns-server", *subnet.dns))
    yield ",".join((tag, "option:router", *((subnet.gateway,) if subnet.gateway else ())))
    if subnet.routes:
        # Who reads these passes over the router (RFC 3442), so it stands here, too.
        routes = list(subnet.routes)
        if subnet.gateway and not any(to == _ANYWHERE for to, _ in routes):
            routes.append((_ANYWHERE, subnet.gateway))
        hops = ",".join(f"{to},{hop}" for to, hop in routes)
        yield f"{tag},option:classless-static-route,{hops}"
        yield f"{tag},249,{hops}"  # the same for Windows before RFC 3442


def _port_option(guest: DhcpGuest, option: DhcpOption) -> str:
    family = "option6:" if option.ip_version == _V6 else "option:"
    name = option.name
    if not (name.isdigit() and option.ip_version != _V6):
        name = f"{family}{name}"
    return ",".join((f"tag:port-{guest.port_id}", name, *((option.value,) if option.value else ())))


def _refusal(option: DhcpOption) -> str:
    is_number = option.name.isascii() and option.name.isdigit()
    if is_number and not 1 <= int(option.name) <= _NUMBER_MAX:
        return f"number {option.name} is not in 1 to {_NUMBER_MAX}"
    if not is_number and not _OPTION.fullmatch(option.name):
        return f"{option.name[:64]!r} is neither a name of dnsmasq's nor a number"
    if _CONTROL.search(option.value):
        return f"the value of {option.name} has a line break or another control character"
    return ""


def _network(subnet: DhcpSubnet) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    return ipaddress.ip_network(subnet.cidr)
