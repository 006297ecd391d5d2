"""Which addresses a port is to have: what was asked for, made into things to draw or to take."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from lanekeeper.domain.errors import Invalid
from lanekeeper.domain.network.address import parse_cidr, parse_ip, slaac_address, usable
from lanekeeper.domain.network.port import FixedIp, FixedIpWanted
from lanekeeper.domain.network.subnet import V4, V6, SubnetRecord

FIXED_IPS_MAX = 32
_SUBSTRING = "ip_address_substr"
_ASKED = ("ip_address", "subnet_id", _SUBSTRING)


@dataclass(frozen=True, slots=True)
class FixedIpAsked:
    """One value of a list's filter ``fixed_ips``: what an address of the port has to be.

    Attributes:
        name: ``ip_address`` or ``subnet_id``, which *value* has to equal; or
            ``ip_address_substr``, an address that *value* is a part of.
    """

    name: str
    value: str

    @classmethod
    def parse(cls, text: str) -> FixedIpAsked:
        """Read ``ip_address=IP`` and the like. Raises Invalid."""
        name, equals, value = text.partition("=")
        if not equals or name not in _ASKED:
            raise Invalid(
                f"fixed_ips={text!r} is not ip_address=IP, subnet_id=ID or ip_address_substr=TEXT"
            )
        return cls(name, value)

    @property
    def is_part(self) -> bool:
        return self.name == _SUBSTRING

    def matches(self, subnet_id: str, ip: str) -> bool:
        if self.is_part:
            return self.value in ip
        return self.value == (ip if self.name == "ip_address" else subnet_id)


@dataclass(frozen=True, slots=True)
class AddressWanted:
    """One address to get: *ip* itself, or any free one of the first subnet that has one left."""

    subnets: tuple[SubnetRecord, ...]
    ip: str | None = None


def plan_addresses(
    wanted: Sequence[FixedIpWanted] | None, subnets: Sequence[SubnetRecord], mac: str
) -> tuple[AddressWanted, ...]:
    """Turn ``fixed_ips`` into addresses to get, those that are named first.

    None leaves the choice to us: one of each family. Whatever is wanted, there is one of every
    subnet whose guests make their own addresses, since the guest will have it.

    Raises:
        Invalid: codes InvalidIpForNetwork, InvalidIpForSubnet, InvalidInput,
            AllocationOnAutoAddressSubnet.
    """
    own = own_addresses(subnets, mac)
    if wanted is None:
        return (*own, *_of_our_choice(subnets))
    if len(wanted) > FIXED_IPS_MAX:
        raise _wrong(f"fixed_ips has {len(wanted)} entries, at most {FIXED_IPS_MAX}")
    named = [parse_ip(one.ip, "fixed_ips: ip_address") for one in wanted if one.ip is not None]
    for ip in named:
        if named.count(ip) > 1:
            raise _wrong(f"fixed_ips names {ip} more than once")
    planned = [one for one in (_entry(entry, subnets, mac) for entry in wanted) if one not in own]
    return (*own, *sorted(planned, key=lambda address: address.ip is None))


def own_addresses(subnets: Iterable[SubnetRecord], mac: str) -> tuple[AddressWanted, ...]:
    """What a guest with this MAC makes by itself, on each subnet where guests do."""
    return tuple(address_on(subnet, mac) for subnet in subnets if subnet.is_automatic)


def address_on(subnet: SubnetRecord, mac: str) -> AddressWanted:
    """One address of a subnet: what a guest makes there, else any that is free."""
    if not subnet.is_automatic:
        return AddressWanted((subnet,))
    return AddressWanted((subnet,), slaac_address(ipaddress.IPv6Network(subnet.cidr), mac))


def plan_change(
    wanted: Iterable[AddressWanted], has: Iterable[FixedIp]
) -> tuple[tuple[FixedIp, ...], tuple[AddressWanted, ...]]:
    """Split what a port is to have, as planned, into what it keeps and what it is still to get.

    Any address that the port has on a subnet is as good as a new one there.
    """
    left, keep, get = list(has), [], []
    for address in wanted:
        met = next((one for one in left if _meets(one, address)), None)
        if met is None:
            get.append(address)
        else:
            left.remove(met)
            keep.append(met)
    return tuple(keep), tuple(get)


def plan_other_mac(
    has: Iterable[FixedIp], subnets: Sequence[SubnetRecord], mac: str
) -> tuple[AddressWanted, ...]:
    """What a port is to have with another MAC: the same, but for what its guest makes of it."""
    by_id = {subnet.id: subnet for subnet in subnets if not subnet.is_automatic}
    kept = (AddressWanted((by_id[one.subnet_id],), one.ip) for one in has if one.subnet_id in by_id)
    return (*own_addresses(subnets, mac), *kept)


def _meets(one: FixedIp, address: AddressWanted) -> bool:
    is_there = one.subnet_id in {subnet.id for subnet in address.subnets}
    return is_there and address.ip in (None, one.ip)


def _of_our_choice(subnets: Sequence[SubnetRecord]) -> tuple[AddressWanted, ...]:
    families = [
        tuple(s for s in subnets if s.ip_version == version and not s.is_automatic)
        for version in (V4, V6)
    ]
    return tuple(AddressWanted(family) for family in families if family)


def _entry(entry: FixedIpWanted, subnets: Sequence[SubnetRecord], mac: str) -> AddressWanted:
    if entry.subnet_id is None:
        return _on_any(entry.ip, subnets, mac)
    subnet = next((subnet for subnet in subnets if subnet.id == entry.subnet_id), None)
    if subnet is None:
        raise Invalid(
            f"fixed_ips: subnet {entry.subnet_id} is not one of this network's",
            hint=f"its subnets are: {', '.join(s.id for s in subnets) or 'none'}",
            code="InvalidInput",
        )
    if entry.ip is None:
        return address_on(subnet, mac)
    ip = parse_ip(entry.ip, "fixed_ips: ip_address")
    if not _is_usable(ip, subnet):
        raise Invalid(
            f"fixed_ips: IP address {ip} is not a valid IP for subnet {subnet.id}, which is "
            f"{subnet.cidr}",
            code="InvalidIpForSubnet",
        )
    return _said(ip, subnet, mac)


def _on_any(text: str | None, subnets: Sequence[SubnetRecord], mac: str) -> AddressWanted:
    if text is None:
        raise _wrong("fixed_ips: an entry needs subnet_id, ip_address, or both")
    ip = parse_ip(text, "fixed_ips: ip_address")
    for subnet in subnets:
        if _is_usable(ip, subnet):
            return _said(ip, subnet, mac)
    cidrs = ", ".join(subnet.cidr for subnet in subnets) or "none"
    raise Invalid(
        f"fixed_ips: IP address {ip} is not a valid IP for any of the network's subnets: {cidrs}",
        code="InvalidIpForNetwork" if subnets else "InvalidInput",
    )


def _said(
    ip: ipaddress.IPv4Address | ipaddress.IPv6Address, subnet: SubnetRecord, mac: str
) -> AddressWanted:
    """An address that was named; where guests make their own, it must be the one they make."""
    wanted = AddressWanted((subnet,), str(ip))
    if subnet.is_automatic and wanted != address_on(subnet, mac):
        raise Invalid(
            f"fixed_ips: {ip} cannot be chosen on subnet {subnet.id}, on which guests make their "
            f"addresses themselves; a port with MAC {mac} has {address_on(subnet, mac).ip}",
            code="AllocationOnAutoAddressSubnet",
        )
    return wanted


def _is_usable(ip: ipaddress.IPv4Address | ipaddress.IPv6Address, subnet: SubnetRecord) -> bool:
    network = parse_cidr(subnet.cidr)
    return ip.version == network.version and int(ip) in usable(network)


def _wrong(message: str) -> Invalid:
    return Invalid(message, code="InvalidInput")
