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

    None leaves the choice to us: one of each family, and one of every subnet whose guests make
    their own addresses. An empty list means none.

    Raises:
        Invalid: codes InvalidIpForNetwork, InvalidIpForSubnet, InvalidInput.
    """
    if wanted is None:
        return _of_our_choice(subnets, mac)
    if len(wanted) > FIXED_IPS_MAX:
        raise _wrong(f"fixed_ips has {len(wanted)} entries, at most {FIXED_IPS_MAX}")
    planned = [_entry(entry, subnets, mac) for entry in wanted]
    named = [address.ip for address in planned if address.ip is not None]
    for ip in named:
        if named.count(ip) > 1:
            raise _wrong(f"fixed_ips names {ip} more than once")
    return tuple(sorted(planned, key=lambda address: address.ip is None))


def plan_change(
    wanted: Sequence[FixedIpWanted], has: Iterable[FixedIp], subnets: Sequence[SubnetRecord]
) -> tuple[tuple[FixedIp, ...], tuple[FixedIpWanted, ...]]:
    """Split a new ``fixed_ips`` into what the port keeps and what it is still to get.

    An entry with a subnet alone is met by an address that the port has there.
    """
    left, keep, get = list(has), [], []
    by_precision = sorted(wanted, key=lambda entry: entry.ip is None)
    for entry in by_precision:
        ip = str(parse_ip(entry.ip, "fixed_ips: ip_address")) if entry.ip is not None else None
        met = next((one for one in left if _meets(one, entry.subnet_id, ip)), None)
        if met is None:
            get.append(entry)
        else:
            left.remove(met)
            keep.append(met)
    known = {subnet.id for subnet in subnets}
    return tuple(one for one in keep if one.subnet_id in known), tuple(get)


def _meets(one: FixedIp, subnet_id: str | None, ip: str | None) -> bool:
    return subnet_id in (None, one.subnet_id) and ip in (None, one.ip)


def _of_our_choice(subnets: Sequence[SubnetRecord], mac: str) -> tuple[AddressWanted, ...]:
    automatic = [_automatic(subnet, mac) for subnet in subnets if subnet.is_automatic]
    families = [
        tuple(s for s in subnets if s.ip_version == version and not s.is_automatic)
        for version in (V4, V6)
    ]
    return (*automatic, *(AddressWanted(family) for family in families if family))


def _entry(entry: FixedIpWanted, subnets: Sequence[SubnetRecord], mac: str) -> AddressWanted:
    if entry.subnet_id is None:
        return _on_any(entry.ip, subnets)
    subnet = next((subnet for subnet in subnets if subnet.id == entry.subnet_id), None)
    if subnet is None:
        raise Invalid(
            f"fixed_ips: subnet {entry.subnet_id} is not one of this network's",
            hint=f"its subnets are: {', '.join(s.id for s in subnets) or 'none'}",
            code="InvalidInput",
        )
    if entry.ip is None:
        return _automatic(subnet, mac) if subnet.is_automatic else AddressWanted((subnet,))
    ip = parse_ip(entry.ip, "fixed_ips: ip_address")
    if not _is_usable(ip, subnet):
        raise Invalid(
            f"fixed_ips: IP address {ip} is not a valid IP for subnet {subnet.id}, which is "
            f"{subnet.cidr}",
            code="InvalidIpForSubnet",
        )
    return AddressWanted((subnet,), str(ip))


def _on_any(text: str | None, subnets: Sequence[SubnetRecord]) -> AddressWanted:
    if text is None:
        raise _wrong("fixed_ips: an entry needs subnet_id, ip_address, or both")
    ip = parse_ip(text, "fixed_ips: ip_address")
    for subnet in subnets:
        if _is_usable(ip, subnet):
            return AddressWanted((subnet,), str(ip))
    cidrs = ", ".join(subnet.cidr for subnet in subnets) or "none"
    raise Invalid(
        f"fixed_ips: IP address {ip} is not a valid IP for any of the network's subnets: {cidrs}",
        code="InvalidIpForNetwork",
    )


def _is_usable(ip: ipaddress.IPv4Address | ipaddress.IPv6Address, subnet: SubnetRecord) -> bool:
    network = parse_cidr(subnet.cidr)
    return ip.version == network.version and int(ip) in usable(network)


def _automatic(subnet: SubnetRecord, mac: str) -> AddressWanted:
    return AddressWanted((subnet,), slaac_address(ipaddress.IPv6Network(subnet.cidr), mac))


def _wrong(message: str) -> Invalid:
    return Invalid(message, code="InvalidInput")
