"""Which functions leave their IOMMU group to guests, and which keep it for the host."""

from __future__ import annotations

from lanekeeper.domain.pci.device import PciDevice
from lanekeeper.domain.pci.driver import keeps_group

PCI_BRIDGE = 0x0604  # class and subclass; PCI Code and ID Assignment Specification


def holds_group(device: PciDevice) -> bool:
    """Whether *device*, as it is, keeps the other members of its group from guests."""
    return keeps_group(device.driver) and device.class_code >> 8 != PCI_BRIDGE
