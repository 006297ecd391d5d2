"""Other names for what tells a machine or its owner: addresses, serial numbers, names.

The same original has the same pseudonym as long as the ``Pseudonyms`` lives, and two originals
never share one. Each is as valid as what it stands for, and of the same length where a format
counts bytes. They are numbered in the order they are met, so nothing can be computed back.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterable, Iterator
from itertools import count

_COUNTED = 2**16
_LOCAL_IPV6 = (ipaddress.IPv6Network("fe80::/10"), ipaddress.IPv6Network("ff00::/8"))


class Pseudonyms:
    """What was replaced by what, kind by kind; nothing of *avoid* is given as a pseudonym."""

    def __init__(self, avoid: Iterable[str] = ()) -> None:
        self._avoid = frozenset(avoid)
        self._given: dict[tuple[str, str], str] = {}
        self._numbers: dict[str, Iterator[int]] = {}

    @property
    def originals(self) -> tuple[str, ...]:
        return tuple(original for (_, original), new in self._given.items() if original != new)

    def mac(self, original: str) -> str:
        """Keep who made the card, which decides about drivers, not which card it is."""
        plain = original.lower()
        if plain in ("00:00:00:00:00:00", "ff:ff:ff:ff:ff:ff"):
            return original
        return self._name("mac", plain, lambda n: f"{plain[:8]}:{_bytes(n, 3, ':')}")

    def mac_made_of(self, original: str, made: Callable[[str], str | None], source: str) -> str:
        """Give a MAC that was made of *source* the one that is *made* of its pseudonym."""
        fresh = made(self.mac(source)) or original
        return self._given.setdefault(("mac", original.lower()), fresh)

    def serial(self, original: str) -> str:
        """A device serial number (8 bytes, dashed): the maker's 3 bytes stay."""
        return self._name("serial", original, lambda n: f"{original[:8]}-ff-ff-{_bytes(n, 3, '-')}")

    def digits(self, kind: str, original: str) -> str:
        """Something of hexadecimal digits, or of capitals and digits, which keeps its length."""
        if not original.strip("0"):
            return original
        return self._name(kind, original, lambda n: f"{n:0{len(original)}x}"[-len(original) :])

    def uuid(self, original: str) -> str:
        plain = original.lower()
        return self._name("uuid", plain, lambda n: f"00000000-0000-4000-8000-{n:012x}")

    def word(self, kind: str, original: str) -> str:
        return self._name(kind, original, lambda n: f"{kind}-{n}")

    def ipv4(self, original: str) -> str:
        """Addresses of one /24 stay together; zeros at the end stay, since they tell a network."""
        address = ipaddress.IPv4Address(original)
        octets = original.split(".")
        if address.is_loopback or address.is_multicast or octets[0] in ("0", "255"):
            return original
        net = int(self._name("ipv4 net", ".".join(octets[:3]), str)) - 1
        fresh = ["198", str(18 + net // 256 % 2), str(net % 256), octets[3]]
        keep = len(octets) - len([*_zeros_at_end(octets)])
        return ".".join(fresh[: max(keep, 1)] + octets[max(keep, 1) :])

    def ipv6(self, original: str) -> str:
        """Likewise of one /64. Link-local and multicast prefixes are everybody's and stay, and so
        does a host's part that somebody counted out, ``::1``: it tells nobody.
        """
        address = ipaddress.IPv6Address(original)
        if int(address) <= 1:
            return original
        top, low = int(address) >> 64, int(address) & 2**64 - 1
        if address in _LOCAL_IPV6[1]:
            return original
        if address not in _LOCAL_IPV6[0] and top:
            net = int(self._name("ipv6 net", f"{top:016x}", str))
            top = 0x20010DB8 << 32 | net
        host = (
            low if low < _COUNTED else int(self._name("ipv6 host", f"{low:016x}", str)) + _COUNTED
        )
        return str(ipaddress.IPv6Address(top << 64 | host))

    def _name(self, kind: str, original: str, make: Callable[[int], str]) -> str:
        key = (kind, original)
        if key not in self._given:
            numbers = self._numbers.setdefault(kind, count(1))
            self._given[key] = next(
                new for new in map(make, numbers) if (kind, new) not in self._given
            )
        return self._given[key]


def _bytes(number: int, size: int, between: str) -> str:
    return number.to_bytes(size, "big").hex(between)


def _zeros_at_end(octets: list[str]) -> Iterator[str]:
    for octet in reversed(octets):
        if octet != "0":
            return
        yield octet
