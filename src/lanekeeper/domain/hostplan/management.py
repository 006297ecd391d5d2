"""Whether a plan touches the interface that carries the host's own traffic."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator

import msgspec

from lanekeeper.domain.hostplan.action import Change
from lanekeeper.domain.hostplan.choice import Choice
from lanekeeper.domain.hostplan.observed import HostFacts, Interface
from lanekeeper.domain.hostplan.policy.policy import Policy
from lanekeeper.domain.hostplan.step import Caution, Refusal, Step
from lanekeeper.domain.pci.device import PciDevice
from lanekeeper.domain.pci.holder import GUEST_RECORDS

_ROUTES = "routes"


def management_touched(steps: Iterable[Step], host: HostFacts) -> tuple[Interface, ...]:
    """Return the management interfaces that *steps* touch.

    An action touches what it names in any of its fields, so that a kind of action that is added
    later counts too. One that names a PF touches its VFs as well, or the one it gives an index of.
    """
    kept = [interface for interface in host.interfaces if interface.is_management]
    devices = {device.address: device for device in host.devices}
    actions = [step.do for step in steps]
    return tuple(
        interface
        for interface in kept
        if any(_touches(each, interface, devices.get(interface.device)) for each in actions)
    )


def _touches(action: Change, interface: Interface, device: PciDevice | None) -> bool:
    named = {*msgspec.structs.astuple(action)}
    if {str(interface.device), interface.name} & named:
        return True
    if device is None or device.parent is None or str(device.parent) not in named:
        return False
    return getattr(action, "index", None) in (None, device.vf_index)


def management_refusals(
    policy: Policy, steps: Collection[Step], host: HostFacts, choice: Choice
) -> Iterator[Refusal]:
    """Refuse each of *steps*, whoever made it, that touches the way to the host, unless told."""
    if policy.manage_management:
        return
    paths = {pf.address: entry.path for entry, pf in choice.pfs}
    paths |= {device.address: entry.path for entry, device in choice.devices}
    parents = {device.address: device.parent for device in host.devices}
    for interface in management_touched(steps, host):
        address = interface.device
        owner = address if address in paths else parents.get(address) or address
        subject = f"{paths[owner]} ({owner})" if owner in paths else str(address)
        fix = "manage_management: true allows it"
        yield Refusal(management_code(interface), subject, interface.duty, fix)


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
