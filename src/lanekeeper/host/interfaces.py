"""Network interfaces of PCI functions, and which of them carry the host's own traffic.

Read from sysfs and procfs only, so that a captured tree answers as the host does.
"""

from __future__ import annotations

import os
import re
import socket
from collections import defaultdict
from pathlib import Path

from lanekeeper.domain.errors import HostFault
from lanekeeper.domain.hostplan.observed import Interface
from lanekeeper.domain.pci.address import PciAddress
from lanekeeper.host.attribute import names, read_text

_IFF_UP = 1  # Linux include/uapi/linux/if.h
_ADDRESS = re.compile(r"/([0-9a-f]{4,8}:[0-9a-f]{2}:[01][0-9a-f]\.[0-7])(?=/)")
_DEFAULT = "the default route"


def read_interfaces(root: Path) -> tuple[Interface, ...]:
    """Return the interfaces that PCI functions carry, by name.

    An interface is the management NIC when the default route leads through it, directly or below
    a bridge, a bond or a VLAN; on a host without a default route each with an address is.

    Raises:
        HostFault: the kernel refused a read.
    """
    base = root / "sys/class/net"
    carried = _carried(root, base)
    by_default = any(_DEFAULT in uses for uses in carried.values())
    found = []
    for name in names(str(base)):
        address = _function(base / name)
        if address is None:
            continue
        uses = tuple(carried.get(name, ()))
        found.append(
            Interface(
                name=name,
                device=address,
                is_up=_is_up(base / name),
                carries=uses,
                is_management=_DEFAULT in uses if by_default else bool(uses),
            )
        )
    return tuple(found)


def _function(interface: Path) -> PciAddress | None:
    """Find the PCI function in the interface's own path: the last address in it."""
    found = _ADDRESS.findall(os.path.realpath(interface))
    return PciAddress.parse(found[-1]) if found else None


def _is_up(interface: Path) -> bool:
    flags = read_text(str(interface / "flags")) or "0"
    try:
        return bool(int(flags, 16) & _IFF_UP)
    except ValueError as error:
        raise HostFault(f"{interface}/flags is {flags[:20]!r}, not a number") from error


def _carried(root: Path, base: Path) -> dict[str, list[str]]:
    """Say for each interface, and all below it, what of the host's traffic it carries."""
    carried: defaultdict[str, list[str]] = defaultdict(list)
    for name, use in dict.fromkeys([*_routes_4(root), *_routes_6(root)]):
        for lower in _with_lower(base, name):
            if use not in carried[lower]:
                carried[lower].append(use)
    return carried


def _with_lower(base: Path, name: str) -> list[str]:
    """Return *name* and every interface that it stands on."""
    stack = [name]
    for upper in stack:  # grows while it is walked
        below = [entry[6:] for entry in names(str(base / upper)) if entry.startswith("lower_")]
        stack.extend(lower for lower in below if lower not in stack)
    return stack


def _routes_4(root: Path) -> list[tuple[str, str]]:
    """Source: Linux net/ipv4/fib_trie.c, fib_route_seq_show(): addresses in host order, hex."""
    lines = (read_text(str(root / "proc/net/route")) or "").splitlines()[1:]
    rows = [line.split() for line in lines if len(line.split()) > 7]  # noqa: PLR2004  # columns
    return [(row[0], _network(row[1], row[7])) for row in rows if row[0] != "lo"]


def _network(destination: str, mask: str) -> str:
    if int(mask, 16) == 0:
        return _DEFAULT
    address = socket.inet_ntoa(int(destination, 16).to_bytes(4, "little"))
    return f"{address}/{int(mask, 16).bit_count()}"


def _routes_6(root: Path) -> list[tuple[str, str]]:
    """Source: Linux net/ipv6/route.c, rt6_info_route()."""
    lines = (read_text(str(root / "proc/net/ipv6_route")) or "").splitlines()
    rows = [line.split() for line in lines if len(line.split()) > 9]  # noqa: PLR2004  # columns
    return [
        (row[9], _DEFAULT)
        for row in rows
        if row[9] != "lo" and row[1] == "00" and int(row[4], 16) != 0
    ]
