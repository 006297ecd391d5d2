"""Which drivers leave an IOMMU group to guests, and which keep it for the host."""

from __future__ import annotations

from lanekeeper.domain.pci.device import PciDevice

PCI_BRIDGE = 0x0604  # class and subclass; PCI Code and ID Assignment Specification
HARMLESS = frozenset({"pci-stub", "pcieport", "shpchp"})
"""Drivers that leave DMA to whoever owns the group, as VFIO's do.

Source: Linux struct device_driver, driver_managed_dma.
"""


def holds_group(device: PciDevice) -> bool:
    """Whether *device*, as it is, keeps the other members of its group from guests."""
    if device.driver is None or device.driver in HARMLESS or "vfio" in device.driver:
        return False
    return device.class_code >> 8 != PCI_BRIDGE
