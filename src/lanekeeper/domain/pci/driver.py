"""What the driver of one function means for the others of its IOMMU group."""

from __future__ import annotations

# Drivers that leave DMA to whoever owns the group. Source: Linux struct device_driver,
# driver_managed_dma, set by these and by VFIO's.
_HARMLESS = frozenset({"pci-stub", "pcieport", "shpchp"})


def is_vfio(driver: str | None) -> bool:
    """Whether a driver hands functions to guests: vfio-pci or a variant such as mlx5_vfio_pci."""
    return driver is not None and "vfio" in driver


def keeps_group(driver: str | None) -> bool:
    """Whether a driver keeps the group of its function from guests, as most of a host's own do."""
    return driver is not None and driver not in _HARMLESS and not is_vfio(driver)
