"""MAC and IP addresses: how they are spelled, made and counted. Arithmetic only."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from lanekeeper.domain.errors import Conflict, Invalid

IpAddress = ipaddress.IPv4Address | ipaddress.IPv6Address
IpNetwork = ipaddress.IPv4Network | ipaddress.IPv6Network
Draw = Callable[[int], int]
"""Returns a number in 0..n-1, as ``secrets.randbelow`` does."""

_MAC = re.compile(
    r"(?:[0-9a-f]{2}(?P<by>[:-])(?:[0-9a-f]{2}(?P=by)){4}[0-9a-f]{2}"
    r"|(?:[0-9a-f]{4}\.){2}[0-9a-f]{4}|[0-9a-f]{12})",
    re.IGNORECASE | re.ASCII,
)
_BASE_MAC = "fa:16:3e"
"""Source: neutron ``conf/common.py``, base_mac; its fourth byte 00 is drawn, too."""
_GROUP_BIT = 0x01
"""Of the first octet. Source: IEEE 802, I/G bit; Linux ``is_multicast_ether_addr``."""


def parse_mac(text: str) -> str:
    """Return *text* as lower case with colons; dashes, dots and bare hexadecimal are understood.

    Raises:
        Invalid: not a MAC, or one that no interface can have: all zeros, or that of a group.
    """
    digits = re.sub(r"[^0-9a-f]", "", text.lower()) if _MAC.fullmatch(text) else ""
    if not digits or digits == "0" * 12:
        raise Invalid(f"mac_address {text[:60]!r} is not a MAC such as fa:16:3e:00:00:01")
    if int(digits[:2], 16) & _GROUP_BIT:
        raise Invalid(
            f"mac_address {text!r} is a multicast or broadcast address, which no port can have",
            hint="the first octet is even in a port's, as in fa:16:3e:00:00:01",
        )
    return ":".join(digits[at : at + 2] for at in range(0, 12, 2))


def draw_mac(draw: Draw) -> str:
    """Make a MAC in the range that OpenStack gives its ports."""
    tail = draw(2**24)
    return f"{_BASE_MAC}:{tail >> 16:02x}:{tail >> 8 & 0xFF:02x}:{tail & 0xFF:02x}"


def slaac_address(network: ipaddress.IPv6Network, mac: str) -> str:
    """The address that a guest with *mac* gives itself in *network*, a /64.

    Source: RFC 4291, appendix A.
    """
    octets = bytearray.fromhex(mac.replace(":", ""))
    octets[0] ^= 0x02
    suffix = int.from_bytes(octets[:3] + b"\xff\xfe" + octets[3:], "big")
    return str(network.network_address + suffix)


def parse_ip(text: str, field: str) -> IpAddress:
    """Read an address of either family.

    Raises:
        Invalid: it is none; the message names *field*.
    """
    problem = f"{field} {text!r} is not an IP address"
    if "%" in text:  # a zone, which means something on one machine only
        raise Invalid(problem)
    try:
        return ipaddress.ip_address(text)
    except ValueError as error:
        raise Invalid(problem) from error


def parse_cidr(text: str, field: str = "cidr") -> IpNetwork:
    """Read a network; bits beyond its prefix are cut off.

    Raises:
        Invalid: it is none, or has no prefix length.
    """
    problem = f"{field} {text!r} is not a network such as 192.0.2.0/24"
    if "/" not in text or "%" in text:
        raise Invalid(problem)
    try:
        return ipaddress.ip_network(text, strict=False)
    except ValueError as error:
        raise Invalid(problem) from error


@dataclass(frozen=True, slots=True, order=True)
class Pool:
    """Addresses from *first* to *last*, both inclusive, as numbers."""

    version: int
    first: int
    last: int

    def __len__(self) -> int:
        return min(self.count, 2**62)

    @property
    def count(self) -> int:
        """How many there are; more than ``len`` can say in an IPv6 subnet."""
        return self.last - self.first + 1

    def __contains__(self, number: object) -> bool:
        return isinstance(number, int) and self.first <= number <= self.last

    @property
    def start(self) -> str:
        return spell(self.version, self.first)

    @property
    def end(self) -> str:
        return spell(self.version, self.last)

    def __str__(self) -> str:
        return f"{self.start}-{self.end}"


def spell(version: int, number: int) -> str:
    """Write an address that stands as a number."""
    kind = ipaddress.IPv4Address if version == 4 else ipaddress.IPv6Address  # noqa: PLR2004 IPv4
    return str(kind(number))


def usable(network: IpNetwork) -> Pool:
    """Every address of *network* that a port may have.

    Its own address is none, nor is IPv4's broadcast address; a point-to-point network (/31, /127)
    and a single address have only usable ones.
    """
    first, last = int(network.network_address), int(network.broadcast_address)
    if network.num_addresses > 2:  # noqa: PLR2004 what a point-to-point network has
        first += 1
        last -= network.version == 4  # noqa: PLR2004 IPv6 has no broadcast
    return Pool(network.version, first, last)


def default_pools(network: IpNetwork, gateway: IpAddress | None) -> tuple[Pool, ...]:
    """All usable addresses but the gateway: one pool, or one on each side of it."""
    whole = usable(network)
    number = int(gateway) if gateway is not None and gateway.version == network.version else -1
    if number not in whole:
        return (whole,)
    sides = (
        Pool(whole.version, whole.first, number - 1),
        Pool(whole.version, number + 1, whole.last),
    )
    return tuple(side for side in sides if side.count > 0)


def parse_pool(start: str, end: str, network: IpNetwork) -> Pool:
    """Read one allocation pool of a subnet with *network*.

    Raises:
        Invalid: not addresses of the network's family, reversed, or outside of it.
    """
    first = parse_ip(start, "allocation_pools: start")
    last = parse_ip(end, "allocation_pools: end")
    where = f"allocation pool {start}-{end}"
    if {first.version, last.version} != {network.version}:
        raise Invalid(
            f"{where} is not of the same IP version as {network}", code="InvalidAllocationPool"
        )
    if int(last) < int(first):
        raise Invalid(f"{where} ends before it starts", code="InvalidAllocationPool")
    whole = usable(network)
    if int(first) not in whole or int(last) not in whole:
        raise Invalid(
            f"{where} is not within {network}, whose ports may have {whole}",
            code="OutOfBoundsAllocationPool",
        )
    return Pool(network.version, int(first), int(last))


def check_apart(pools: Sequence[Pool], gateway: IpAddress | None) -> None:
    """Refuse pools that overlap, or that would give the gateway's address away.

    Raises:
        Conflict: codes OverlappingAllocationPools, GatewayConflictWithAllocationPools.
    """
    for lower, upper in pairwise(sorted(pools)):
        if upper.first <= lower.last:
            raise Conflict(
                f"allocation pools {lower} and {upper} overlap", code="OverlappingAllocationPools"
            )
    for pool in pools:
        if gateway is not None and gateway.version == pool.version and int(gateway) in pool:
            raise Conflict(
                f"gateway_ip {gateway} is inside allocation pool {pool}",
                hint="leave it out of the pools, or choose another gateway",
                code="GatewayConflictWithAllocationPools",
            )


def drawn(pools: Sequence[Pool], draw: Draw, tries: int) -> Iterator[str]:
    """Offer addresses of *pools* at random, *tries* of them; some may come twice."""
    total = sum(pool.count for pool in pools)
    if total <= 0:
        return
    for _ in range(tries):
        yield at(pools, draw(total))


def at(pools: Sequence[Pool], index: int) -> str:
    """The address at *index* when the pools are laid end to end."""
    for pool in pools:
        if index < pool.count:
            return spell(pool.version, pool.first + index)
        index -= pool.count
    raise IndexError(index)


def free(pools: Sequence[Pool], taken: Collection[int]) -> Iterator[str]:
    """Offer, lowest first in the order of the pools, what is not in *taken* (as numbers).

    Costs as much as there are taken ones, however large the pools.
    """
    for pool in pools:
        number = pool.first
        for held in sorted(held for held in taken if held in pool):
            yield from (spell(pool.version, n) for n in range(number, held))
            number = held + 1
        yield from (spell(pool.version, n) for n in range(number, pool.last + 1))
