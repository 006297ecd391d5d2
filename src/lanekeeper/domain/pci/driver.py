"""What the driver of one function means for the others of its IOMMU group."""

from __future__ import annotations

from collections.abc import Mapping

# Drivers that leave DMA to whoever owns the group. Source: Linux struct device_driver,
# driver_managed_dma, set by these and by VFIO's.
_HARMLESS = frozenset({"pci-stub", "pcieport", "shpchp"})


def is_vfio(driver: str | None) -> bool:
    """Whether a driver hands functions to guests: vfio-pci or a variant such as mlx5_vfio_pci."""
    return driver is not None and "vfio" in driver


def keeps_group(driver: str | None) -> bool:
    """Whether a driver keeps the group of its function from guests, as most of a host's own do."""
    return driver is not None and driver not in _HARMLESS and not is_vfio(driver)


def unready(driver: str | None, tags: Mapping[str, str]) -> str:
    """Why no guest can start with a listed function by its driver; empty when one can.

    Source: libvirt ``formatdomain``, hostdev: one that is not managed has to be on VFIO before.
    """
    if tags.get("managed", "true") == "true" or is_vfio(driver):
        return ""
    has = f"its driver is {driver}" if driver else "it has no driver"
    return (
        f"{has}, and its device_spec entry says managed = no, so that nobody changes that (bind "
        "vfio-pci or its own VFIO driver on the host, or leave managed out of the entry)"
    )
