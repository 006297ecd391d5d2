"""Interfaces: what the host itself does with PFs, and how they are called."""

from __future__ import annotations

import re
from collections.abc import Iterator

from lanekeeper.domain.hostplan.findings.finding import Finding, Kind, Rule, Severity
from lanekeeper.domain.hostplan.survey import Survey

MANAGEMENT = Kind(
    "management-nic",
    Severity.INFO,
    "An interface carries the host's own traffic.",
    "Whoever changes its VFs or its driver may cut the host off; no plan touches it unless told.",
)
IN_USE = Kind(
    "pf-in-use",
    Severity.INFO,
    "The host uses a PF itself: an address, a route, a bridge, a bond or Open vSwitch.",
    "Its VFs can go to guests; the PF cannot, and a change of the VF count interrupts its traffic.",
    "give the host another card, or leave the PF to it and use the VFs only",
)
IN_BOND = Kind(
    "pf-in-bond",
    Severity.WARNING,
    "A PF is part of a bond of the host.",
    "The bond does not cover VFs: a guest's VF stays on its own port and loses the network with "
    "it. Neutron's agents and most NICs do not move it.",
    "give the guest one VF of each PF and let it bond them; a ConnectX in switchdev mode can bond "
    "below its VFs (VF-LAG)",
)
NO_CARRIER = Kind(
    "pf-no-carrier",
    Severity.WARNING,
    "A PF is up and has no link.",
    "VFs follow the link of their PF: guests have no network outside this card.",
    "look at cable, transceiver and switch port",
)
UNPREDICTABLE = Kind(
    "name-unpredictable",
    Severity.WARNING,
    "A PF has a name that the kernel gave by the order in which cards were found.",
    "After a reboot eth0 may be another card: devname, physical_device_mappings and rc.local lines "
    "then speak of the wrong one.",
)

_KERNEL_NAME = re.compile(r"eth\d+")
_KINDS = {"bridge": "a port of bridge", "bond": "part of bond", "ovs": "a port of Open vSwitch"}


def _management(survey: Survey) -> Iterator[Finding]:
    for interface in survey.host.interfaces:
        if interface.is_management and not interface.doubt:
            yield MANAGEMENT.found(
                f"{interface.device} ({interface.name})",
                "carries the host's own traffic; no plan touches it unless told",
                f"{interface.name}: {', '.join(interface.carries)}",
            )


def _in_use(survey: Survey) -> Iterator[Finding]:
    pfs = {pf.address: pf for pf in survey.host.pfs}
    carried = {i.name: i for i in survey.host.interfaces}
    for netdev in survey.netdevs:
        pf = pfs.get(netdev.function) if netdev.function else None
        if pf is None or netdev.name != pf.netdev:
            continue
        subject = f"{pf.address} ({netdev.name})"
        uses = list(carried[netdev.name].carries) if netdev.name in carried else []
        if netdev.master:
            uses.insert(0, f"{_KINDS.get(netdev.master_kind, 'a port of')} {netdev.master}")
        if uses:
            where = f"/sys/class/net/{netdev.name}/master" if netdev.master else "/proc/net/route"
            said = f"{where}: {', '.join(uses)}"
            yield IN_USE.found(subject, f"the host uses it: {', '.join(uses)}", said)
        if netdev.master_kind == "bond":
            evidence = f"/sys/class/net/{netdev.name}/master leads to {netdev.master}"
            yield IN_BOND.found(subject, f"part of {netdev.master}; its VFs are not", evidence)
        if netdev.carrier is False:
            evidence = f"/sys/class/net/{netdev.name}/carrier is 0"
            yield NO_CARRIER.found(subject, f"{netdev.name} is up and has no link", evidence)


def _names(survey: Survey) -> Iterator[Finding]:
    said = [word for word in survey.host.cmdline if word in ("net.ifnames=0", "biosdevname=0")]
    because = f"; /proc/cmdline has {' '.join(said)}" if said else ""
    for pf in survey.host.pfs:
        if pf.netdev and _KERNEL_NAME.fullmatch(pf.netdev):
            yield UNPREDICTABLE.found(
                f"{pf.address} ({pf.netdev})",
                f"{pf.netdev} may be another card after a reboot",
                f"/sys/class/net/{pf.netdev}{because}",
                "take net.ifnames=0 out"
                if "net.ifnames=0" in said
                else f"name it in a .link file by Path=pci-{pf.address}; speak of it by address",
            )


RULES: tuple[Rule, ...] = (
    Rule(_management, (MANAGEMENT,)),
    Rule(_in_use, (IN_USE, IN_BOND, NO_CARRIER)),
    Rule(_names, (UNPREDICTABLE,)),
)
