"""Whether a plan touches the interface that carries the host's own traffic."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import msgspec

from lanekeeper.domain.hostplan.observed import HostFacts, Interface
from lanekeeper.domain.hostplan.step import Caution, Step
from lanekeeper.domain.pci.device import PciDevice
from lanekeeper.domain.pci.holder import GUEST_RECORDS

_ROUTES = "routes"


def management_touched(steps: Iterable[Step], host: HostFacts) -> tuple[Interface, ...]:
    """Return the management interfaces that *steps* name, by their address or their name.

    An action that names one in any of its fields counts, so that a kind of action that is added
    later counts too.
    """
    named = {word for step in steps for word in msgspec.structs.astuple(step.do)}
    return tuple(
        interface
        for interface in host.interfaces
        if interface.is_management and {str(interface.device), interface.name} & named
    )


def management_of(device: PciDevice, host: HostFacts) -> Interface | None:
    """Return an interface of *device* that is the host's own; None where none is.

    Each of its ports counts, as of a card with several on one function, and each representor, which
    goes with its VF.
    """
    others = (each for each in host.interfaces if each.device == device.address)
    return next((i for i in (*host.interfaces_of(device), *others) if i.is_management), None)


def management_code(interface: Interface) -> str:
    """Return the code of a refusal to touch *interface*, which is, or may be, the host's own."""
    return "management-unknown" if interface.doubt else "management-nic"


def aside_cautions(host: HostFacts) -> Iterator[Caution]:
    """Say what of the host cannot be read, and what that means for a plan."""
    doubted = " or ".join(each.name for each in host.interfaces if each.doubt)
    for part, reason in host.aside:
        if part != _ROUTES:
            counts = "what is on a VFIO driver and nobody else's counts as that guest's"
            fix = counts if part == GUEST_RECORDS else "the plan is made without it"
            yield Caution("host-part-unreadable", part, reason, fix)
            continue
        means = f"whether {doubted} carries the way to the host is not known" if doubted else ""
        means = means or "no interface of a PCI function can be meant"
        fix = (
            "what would touch it is refused until the line makes sense; manage_management: true "
            "allows it, and the change goes back by itself unless it is confirmed"
        )
        yield Caution("routes-unreadable", part, f"{reason}: {means}", fix if doubted else "")
