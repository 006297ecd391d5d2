"""The host's routes: by which interfaces it is reached. A line that makes no sense is set aside.

Read from procfs only, so that a captured tree answers as the host does.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from lanekeeper.domain.errors import HostFault
from lanekeeper.host.attribute import names, read_text, whole

DEFAULT = "the default route"
_IPV4_MAX = 2**32 - 1
_IPV6_DIGITS = 32
LOOPBACK = "lo"

Use = tuple[str, str]
"""An interface, and what of the host's traffic it carries."""


@dataclass(frozen=True, slots=True)
class Doubt:
    """A line that is no route: *interface* may have one; empty where not even that is known."""

    interface: str
    reason: str


def read_routes(root: Path) -> tuple[list[Use], list[Doubt]]:
    """Return what interfaces carry by the routes below *root*, and which lines are none."""
    uses: list[Use] = []
    doubts: list[Doubt] = []
    tables = (("proc/net/route", 1, _route_4), ("proc/net/ipv6_route", 0, _route_6))
    for path, headings, read in tables:
        for each in _rows(root, path, headings, read):
            if isinstance(each, Doubt):
                doubts.append(each)
            elif each[0] != LOOPBACK:
                uses.append(each)
    return uses, doubts


def _rows(
    root: Path, path: str, headings: int, read: Callable[[list[str]], Use | None]
) -> Iterator[Use | Doubt]:
    try:
        lines = (read_text(str(root / path)) or "").splitlines()
    except HostFault as error:
        yield Doubt("", str(error))
        return
    for number, line in enumerate(lines[headings:], headings + 1):
        try:
            found = read(line.split())
        except (HostFault, IndexError):
            known = names(str(root / "sys/class/net"))
            about = next((word for word in line.split() if word in known), "")
            yield Doubt(about, f"/{path}:{number} has {line[:60]!r}, no route")
            continue
        if found is not None:
            yield found


def _route_4(row: list[str]) -> Use:
    """Source: Linux net/ipv4/fib_trie.c, fib_route_seq_show(): addresses in host order, hex."""
    network, bits = (_number(row[at], _IPV4_MAX) for at in (1, 7))
    if bits == 0:
        return row[0], DEFAULT
    return row[0], f"{socket.inet_ntoa(network.to_bytes(4, 'little'))}/{bits.bit_count()}"


def _route_6(row: list[str]) -> Use | None:
    """Source: Linux net/ipv6/route.c, rt6_info_route(): a default route has a gateway."""
    if len(row[0]) != _IPV6_DIGITS or len(row[4]) != _IPV6_DIGITS:
        raise HostFault("neither a network nor a gateway")
    length, gateway = _number(row[1], 128), _number(row[4], 2**128)
    return (row[9], DEFAULT) if length == 0 and gateway else None


def _number(text: str, most: int) -> int:
    number = whole(text, "a field", 16)
    if not 0 <= number <= most:
        raise HostFault(f"{text} is out of range")
    return number
