"""Steps that give functions away whole, and what the host would lose with them."""

from __future__ import annotations

from collections.abc import Iterator

from lanekeeper.domain.hostplan.action import BindDevice
from lanekeeper.domain.hostplan.choice import ChosenDevices
from lanekeeper.domain.hostplan.isolation import holds_group
from lanekeeper.domain.hostplan.management import management_code
from lanekeeper.domain.hostplan.observed import HostFacts
from lanekeeper.domain.hostplan.policy.device import Allow, DevicePolicy
from lanekeeper.domain.hostplan.policy.policy import Policy
from lanekeeper.domain.hostplan.step import Impact, Refusal, State, Step
from lanekeeper.domain.hostplan.steps.vf import may_be_in_a_guest, named
from lanekeeper.domain.pci.device import PciDevice

_VITAL = frozenset({"/", "/usr", "/var", "swap"})
"""Without these a host does not go on; the journal of its changes lies below ``/var``."""


def device_refusals(policy: Policy, host: HostFacts, chosen: ChosenDevices) -> Iterator[Refusal]:
    """Refuse what the host would lose with a device, unless the entry allows it."""
    mine = {str(device.address) for _, device in chosen}
    for entry, device in chosen:
        if not _is_wanted(entry, device, host):
            continue
        subject = f"{entry.path} ({device.address})"
        if device.num_vfs:
            reason = f"it is a PF with {device.num_vfs} VFs, which would go with it"
            fix = "an entry of pfs with vfs: 0 removes them first"
            yield Refusal("device-has-vfs", subject, reason, fix)
        yield from _traffic_lost(policy, entry, device, host, subject)
        if device.address in host.boot_displays and Allow.BOOT_VGA not in entry.allow:
            reason = "the firmware and the console show their screen on it"
            fix = "see that the host is reached otherwise; allow: [boot-vga] gives it away"
            yield Refusal("device-is-boot-vga", subject, reason, fix)
        places = host.mounted.get(device.address, ())
        vital = [place for place in places if place in _VITAL]
        if vital:
            reason = f"the host runs from its disks: {', '.join(vital)}"
            fix = "choose another device, or move them; allow: [disk] does not give these away"
            yield Refusal("device-has-root", subject, reason, fix)
        elif places and Allow.DISK not in entry.allow:
            reason = f"the host has {', '.join(places)} on its disks"
            fix = "unmount them, or choose another device; allow: [disk] takes them away"
            yield Refusal("device-has-disk", subject, reason, fix)
        others = [*_held_in_group(device, host, mine)]
        if others and Allow.GROUP not in entry.allow:
            reason = f"its IOMMU group {device.iommu_group} has {', '.join(others)}"
            fix = (
                "give these away too, by entries of devices, or use a slot that isolates; "
                "allow: [group] gives it away so, but no guest starts with it"
            )
            yield Refusal("device-group-in-use", subject, reason, fix)


def _traffic_lost(
    policy: Policy, entry: DevicePolicy, device: PciDevice, host: HostFacts, subject: str
) -> Iterator[Refusal]:
    for interface in host.interfaces:
        if interface.device != device.address or not (interface.carries or interface.doubt):
            continue
        reason = interface.duty
        if interface.is_management and not policy.manage_management:
            fix = "manage_management: true allows it"
            yield Refusal(management_code(interface), subject, reason, fix)
        elif not interface.is_management and Allow.ADDRESSES not in entry.allow:
            fix = "take the addresses off it; allow: [addresses] gives it away with them"
            yield Refusal("device-carries-traffic", subject, reason, fix)


def _held_in_group(device: PciDevice, host: HostFacts, mine: set[str]) -> Iterator[str]:
    """Name the members of its group that stay with the host, which no guest may share."""
    members = set(host.iommu_groups.get(device.iommu_group or 0, ()))
    if device.iommu_group is None or str(device.address) not in members:
        return
    for other in host.devices:
        if str(other.address) in members - mine and holds_group(other):
            yield f"{other.address} on {other.driver}"


def device_steps(entry: DevicePolicy, device: PciDevice, host: HostFacts) -> Iterator[Step]:
    """Give *device* to its driver; one that may be in a guest, or that cannot be, is left."""
    if not _is_wanted(entry, device, host) or _waits_for_iommu(entry, device):
        return
    address = str(device.address)
    do, undo = BindDevice(address, entry.driver), BindDevice(address, device.driver)
    yield Step(do, (undo,), f"{entry.path} says so", Impact.TAKEN, (*_lost(device, host),))


def _lost(device: PciDevice, host: HostFacts) -> Iterator[str]:
    for interface in host.interfaces:
        if interface.device == device.address:
            yield interface.duty if interface.carries or interface.doubt else interface.name
    if device.address in host.boot_displays:
        yield "the console's screen"
    yield from host.mounted.get(device.address, ())


def device_pending(entry: DevicePolicy, device: PciDevice, host: HostFacts) -> Iterator[str]:
    """Say which devices keep their driver for now, and why."""
    if device.driver != entry.driver and may_be_in_a_guest(device, host):
        yield f"{named(device, host)} keeps {device.driver} until no guest can have it"
    elif _is_wanted(entry, device, host) and _waits_for_iommu(entry, device):
        yield (
            f"{device.address} is in no IOMMU group, which {entry.driver} needs: it waits for a "
            "boot with the IOMMU on (kernel_arguments, and the firmware's setup)"
        )


def device_states(entry: DevicePolicy, device: PciDevice) -> Iterator[State]:
    """Say which driver *device* is to have and has."""
    active = device.driver or "none"
    subject = str(device.address)
    yield State(subject=subject, setting="driver", requested=entry.driver, active=active)


def _is_wanted(entry: DevicePolicy, device: PciDevice, host: HostFacts) -> bool:
    return device.driver != entry.driver and not may_be_in_a_guest(device, host)


def _waits_for_iommu(entry: DevicePolicy, device: PciDevice) -> bool:
    return "vfio" in entry.driver and device.iommu_group is None
