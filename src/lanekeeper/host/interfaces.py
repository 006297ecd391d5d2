"""Network interfaces of PCI functions, and which of them carry the host's own traffic.

Read from sysfs and procfs, so that a captured tree answers as the host does; where a route is on
a bridge of Open vSwitch, that is asked which cards are its ports.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from lanekeeper.domain.errors import HostFault, NotFound
from lanekeeper.domain.hostplan.observed import Interface
from lanekeeper.domain.hostplan.survey import Netdev
from lanekeeper.domain.pci.address import PciAddress
from lanekeeper.domain.pci.interface import HostInterface
from lanekeeper.host.attribute import link_name, names, read_text, whole
from lanekeeper.host.lower import VF_PORT, Lowers, function_of, with_lower
from lanekeeper.host.route import DEFAULT, Doubt, Use, read_routes

_IFF_UP = 1  # Linux include/uapi/linux/if.h


@dataclass(frozen=True, slots=True)
class Interfaces:
    """The interfaces that PCI functions carry, by name.

    Attributes:
        faults: functions whose interface says what no kernel would, and why; it is not *found*.
        doubts: lines that are no routes.
        unasked: names of those that may carry a route by a bridge of Open vSwitch, which gives no
            answer.
    """

    found: tuple[Interface, ...] = ()
    faults: Mapping[PciAddress, str] = field(default_factory=dict)
    doubts: tuple[str, ...] = ()
    unasked: frozenset[str] = frozenset()


def read_interfaces(root: Path) -> Interfaces:
    """Return the interfaces that PCI functions carry, and what could not be read of them.

    An interface is the management NIC when the default route leads through it, directly or below
    a bridge, also of Open vSwitch, a bond or a VLAN; on a host without a default route each with
    an address is. One that a line may be about which is no route counts as such, and so do the
    ports of an Open vSwitch that gives no answer: who takes it may cut the host off.

    Raises:
        HostFault: the kernel refused a read.
    """
    base = root / "sys/class/net"
    uses, doubts = read_routes(root)
    carried, unasked = _carried(uses, Lowers(root))
    by_lines = _doubted(doubts, base)
    doubted = unasked | by_lines
    by_default = any(DEFAULT in uses for uses in carried.values())
    found, faults = [], {}
    for name in names(str(base)):
        address = function_of(base / name)
        if address is None:
            continue
        carries = tuple(carried.get(name, ()))
        is_known = DEFAULT in carries if by_default else bool(carries)
        try:
            is_up = _is_up(base / name)
        except HostFault as error:
            faults[address] = str(error)
            continue
        found.append(
            Interface(
                name=name,
                device=address,
                is_up=is_up,
                carries=carries,
                is_management=is_known or name in doubted,
                doubt="" if is_known else doubted.get(name, ""),
            )
        )
    reasons = tuple(doubt.reason for doubt in doubts)
    return Interfaces(tuple(found), faults, reasons, frozenset(unasked.keys() - by_lines))


def read_interface(root: Path, name: str, index: int) -> HostInterface:
    """Return what the kernel says of one interface. Raises NotFound: it went away; HostFault.

    Source: udev keeps a file of each interface whose rules were carried out, by its index.
    """
    home = root / "sys/class/net" / name
    mac = read_text(str(home / "address"))
    if mac is None:
        raise NotFound(f"interface {name} is not there any more")
    is_ruled = os.path.lexists(root / "run/udev/control")
    return HostInterface(
        name=name,
        mac=mac.lower(),
        mtu=whole(read_text(str(home / "mtu")) or "0", f"mtu of {name}"),
        is_up=_is_up(home),
        uppers=tuple(entry[6:] for entry in names(str(home)) if entry.startswith("upper_")),
        is_named=not is_ruled or os.path.lexists(root / f"run/udev/data/n{index}"),
    )


def read_netdevs(root: Path) -> tuple[Netdev, ...]:
    """Return every interface with what it is a port of, by name. Raises HostFault."""
    base = root / "sys/class/net"
    return tuple(_netdev(base, name) for name in names(str(base)))


def read_representors(root: Path) -> dict[tuple[PciAddress, int], str]:
    """Return the interface that stands for each VF in an eswitch, by PF and index.

    The kernel hangs it below the PF and calls its port ``pf0vf3``. Raises HostFault.
    """
    found = {}
    for netdev in read_netdevs(root):
        port = VF_PORT.fullmatch(netdev.port)
        if port and netdev.function:
            found[netdev.function, int(port[1])] = netdev.name
    return found


def _netdev(base: Path, name: str) -> Netdev:
    home = base / name
    master = link_name(str(home / "master"))
    carrier = _said(home / "carrier")
    return Netdev(
        name=name,
        function=function_of(home),
        master=master,
        master_kind=_kind(base / master) if master else "",
        carrier=None if carrier is None else carrier == "1",
        port=_said(home / "phys_port_name") or "",
        switch=_said(home / "phys_switch_id") or "",
    )


def _said(attribute: Path) -> str | None:
    """Return the text; None also where the kernel refuses: so it says that there is none.

    Source: Linux net/core/net-sysfs.c: EINVAL for carrier when down, EOPNOTSUPP for ports.
    """
    try:
        return read_text(str(attribute))
    except HostFault:
        return None


def _kind(master: Path) -> str:
    if (master / "bonding").is_dir():
        return "bond"
    if master.name == "ovs-system":
        return "ovs"
    return "bridge" if (master / "bridge").is_dir() else ""


def _is_up(interface: Path) -> bool:
    flags = read_text(str(interface / "flags")) or "0"
    return bool(whole(flags, f"{interface}/flags", 16) & _IFF_UP)


def _carried(uses: Iterable[Use], lowers: Lowers) -> tuple[dict[str, list[str]], dict[str, str]]:
    """Say for each interface what of the host's traffic it carries, it and all above it.

    Returns:
        that, and why some of which Open vSwitch does not say it may carry it.
    """
    each = dict.fromkeys(uses)
    by_default = any(use == DEFAULT for _, use in each)
    carried: defaultdict[str, list[str]] = defaultdict(list)
    unasked: dict[str, str] = {}
    for name, use in each:
        below = lowers.of(name)
        for lower in below.names:
            if use not in carried[lower]:
                carried[lower].append(use)
        if use == DEFAULT or not by_default:
            unasked |= dict.fromkeys(below.doubted, f"{use} is on {name}; {below.reason}")
    return carried, unasked


def _doubted(doubts: Iterable[Doubt], base: Path) -> dict[str, str]:
    """Say for each interface that a line which is no route may be about, why it may be."""
    found: dict[str, str] = {}
    for doubt in doubts:
        for name in with_lower(base, doubt.interface) if doubt.interface else names(str(base)):
            found.setdefault(name, doubt.reason)
    return found
