"""Functions that can only be given away together: a GPU and its audio function, say.

VFIO hands an IOMMU group to one guest or to none. A reset of the bus, which is all that some cards
know, strikes every function on it. Bridges are members of neither.

Source: Linux ``Documentation/driver-api/vfio.rst``; ``drivers/pci/pci.c``, pci_parent_bus_reset().
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass

from lanekeeper.domain.pci.address import PciAddress
from lanekeeper.domain.pci.device import DeviceType, PciDevice
from lanekeeper.domain.pci.driver import keeps_group

_PCI_BRIDGE = 0x0604  # class and subclass; PCI Code and ID Assignment Specification


@dataclass(frozen=True, slots=True)
class Unit:
    """Two or more functions, in bus order, and what ties them: ``IOMMU group 12``, ``a reset``."""

    members: tuple[PciDevice, ...]
    tie: str

    def obstacle(self, listed: Collection[PciAddress]) -> str:
        """Why its members that are *listed* cannot be given to a guest; empty when they can."""
        ours = {one.address for one in self.members if one.address in listed}
        foreign = [
            one for one in self.members if one.address not in ours and keeps_group(one.driver)
        ]
        if foreign:
            named = ", ".join(f"{one.address} ({one.driver})" for one in foreign)
            return (
                f"it shares {self.tie} with {named}, which the host itself uses; list that in "
                "device_spec, too, or bind it to vfio-pci"
            )
        pfs = {one.parent for one in self.members if one.address in ours} & ours
        if pfs:
            return (
                f"it shares {self.tie} with PF {', '.join(map(str, pfs))} and VFs of it, which "
                "exclude each other; list one side only"
            )
        return ""


def units(devices: Iterable[PciDevice]) -> Iterator[Unit]:
    """Find what of one host's functions belongs together, and in what; most are alone."""
    functions = sorted(
        (one for one in devices if one.class_code >> 8 != _PCI_BRIDGE),
        key=lambda one: one.address,
    )
    ties = [*_groups(functions), *_buses(functions)]
    left = {frozenset(one.address for one in members) for _, members in ties}
    for circle in _circles(left):
        names = [tie for tie, members in ties if members[0].address in circle]
        members = tuple(one for one in functions if one.address in circle)
        yield Unit(members, " and ".join(names))


def _groups(functions: Iterable[PciDevice]) -> Iterator[tuple[str, list[PciDevice]]]:
    by_group: dict[int, list[PciDevice]] = defaultdict(list)
    for one in functions:
        if one.iommu_group is not None:
            by_group[one.iommu_group].append(one)
    for group, members in sorted(by_group.items()):
        if len(members) > 1:
            yield f"IOMMU group {group}", members


def _buses(functions: Iterable[PciDevice]) -> Iterator[tuple[str, list[PciDevice]]]:
    """Functions below one bridge of which one is reset with the bus only.

    A VF has a reset of its own by the standard, and its PF's bus with it. On a root bus there is
    no bridge that could reset it.
    """
    by_bus: dict[tuple[int, int], list[PciDevice]] = defaultdict(list)
    for one in functions:
        if one.dev_type not in (DeviceType.VF, DeviceType.VDPA) and one.pcie_root is not None:
            by_bus[one.address.domain, one.address.bus].append(one)
    for members in by_bus.values():
        if len(members) > 1 and not all(one.has_reset for one in members):
            yield "a reset", members


def _circles(sets: Iterable[frozenset[PciAddress]]) -> list[frozenset[PciAddress]]:
    """Join what overlaps."""
    circles: list[frozenset[PciAddress]] = []
    for one in sets:
        touching = [circle for circle in circles if circle & one]
        circles = [circle for circle in circles if circle not in touching]
        circles.append(one.union(*touching))
    return circles
