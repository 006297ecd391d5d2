"""What a network interface stands on: below a bridge, a bond, a VLAN, or Open vSwitch.

Source: Linux ``Documentation/ABI/testing/sysfs-class-net``, lower_<name>; ``net/openvswitch/
vport-netdev.c``: each port has ``ovs-system`` for its master, and which bridge it is in only
Open vSwitch's database says.
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from lanekeeper.domain.errors import HostFault
from lanekeeper.domain.pci.address import PciAddress
from lanekeeper.host.attribute import link_name, names, read_text
from lanekeeper.host.ovs import Bridge, ask_bridges, has_datapath
from lanekeeper.host.route import LOOPBACK

VF_PORT = re.compile(r"(?:c\d+)?pf\d+vf(\d+)")
"""The kernel's name of the port of a VF's representor."""

_ADDRESS = re.compile(r"/([0-9a-f]{4,8}:[0-9a-f]{2}:[01][0-9a-f]\.[0-7])(?=/)")
_VIRTUAL = "/devices/virtual/"
_KERNEL_DATAPATH = "ovs-system"


@dataclass(frozen=True, slots=True)
class Below:
    """An interface and what it stands on.

    Attributes:
        doubted: what it may stand on, too; nobody says whether it does, for the *reason* given.
    """

    names: tuple[str, ...]
    doubted: tuple[str, ...] = ()
    reason: str = ""


class Lowers:
    """What interfaces of the host below *root* stand on; Open vSwitch is asked once at most."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._base = root / "sys/class/net"

    def of(self, name: str) -> Below:
        """Follow *name* down to cards; ports of Open vSwitch only where no card is found before.

        Raises:
            HostFault: the kernel refused a read.
        """
        found = with_lower(self._base, name)
        if name == LOOPBACK or self._have_card(found) or not has_datapath(self._root):
            return Below(tuple(found))
        bridges = self._bridges
        if isinstance(bridges, HostFault):
            reason = f"{name} may be a bridge of Open vSwitch, which gives no answer: {bridges}"
            return Below(tuple(found), tuple(self._ports()), reason)
        return Below(tuple(dict.fromkeys((*found, *self._behind(found, bridges)))))

    @cached_property
    def _bridges(self) -> tuple[Bridge, ...] | HostFault:
        try:
            return ask_bridges(self._root)
        except HostFault as error:
            return error

    def _behind(self, found: Collection[str], bridges: Collection[Bridge]) -> list[str]:
        """Return what the bridges of *found* have cards in; of those next to them if none has.

        A patch port leads from one bridge to the next; a bridge with a card of its own sends there.
        """
        at = [each for each in bridges if not _all_of(each).isdisjoint(found)]
        seen = list(at)
        while at:
            lower = [one for bridge in at for one in self._ways_out(bridge)]
            if self._have_card(lower):
                return lower
            peers = {peer for bridge in at for peer in bridge.peers}
            at = [b for b in bridges if b not in seen and not peers.isdisjoint(_all_of(b))]
            seen += at
        return []

    def _ways_out(self, bridge: Bridge) -> Iterator[str]:
        for one in sorted(_all_of(bridge)):
            is_there = os.path.lexists(self._base / one)  # patch ports are the database's alone
            if is_there and not self._is_representor(one):
                yield from with_lower(self._base, one)

    def _ports(self) -> Iterator[str]:
        """Every interface that is a port of some bridge, and what that stands on."""
        for name in names(str(self._base)):
            master = link_name(str(self._base / name / "master"))
            if master == _KERNEL_DATAPATH and not self._is_representor(name):
                yield from with_lower(self._base, name)

    def _is_representor(self, name: str) -> bool:
        """Whether it leads to a VF, and not out."""
        try:
            port = read_text(str(self._base / name / "phys_port_name")) or ""
        except HostFault:  # EOPNOTSUPP: a driver without such names
            return False
        return VF_PORT.fullmatch(port) is not None

    def _have_card(self, found: Collection[str]) -> bool:
        homes = (self._base / one for one in found)
        return any(
            os.path.lexists(home) and _VIRTUAL not in os.path.realpath(home) for home in homes
        )


def _all_of(bridge: Bridge) -> frozenset[str]:
    return frozenset((bridge.name, *bridge.ports, *bridge.interfaces))


def function_of(interface: Path) -> PciAddress | None:
    """Find the PCI function in the path of the interface's directory: the last address in it."""
    found = _ADDRESS.findall(os.path.realpath(interface))
    return PciAddress.parse(found[-1]) if found else None


def with_lower(base: Path, name: str) -> list[str]:
    """Return *name* and every interface that it stands on."""
    stack = [name]
    for upper in stack:  # grows while it is walked
        below = [entry[6:] for entry in names(str(base / upper)) if entry.startswith("lower_")]
        stack.extend(lower for lower in below if lower not in stack)
    return stack
