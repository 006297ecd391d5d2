"""Kernel arguments that switch the IOMMU off, which of them a later word takes back, and which are
none though guides have them.

Source: Linux arch/x86/kernel/pci-dma.c, iommu_setup(): ``iommu=off`` is never taken back;
drivers/iommu/amd/init.c, parse_amd_iommu_options(): neither is ``amd_iommu=off``;
drivers/iommu/intel/iommu.c, intel_iommu_setup(): of ``on`` and ``off`` the last counts.
"""

from __future__ import annotations

from lanekeeper.domain.hostplan.boot_loader import argument_key

MEANT = {"intel_iommu=pt": ("intel_iommu=on", "iommu=pt"), "amd_iommu=pt": ("iommu=pt",)}
"""What some guides write and the kernel passes over, and what is meant; AMD's is on by itself.

Source: Linux ``Documentation/admin-guide/kernel-parameters.txt``, ``drivers/iommu``.
"""


def values(argument: str) -> list[str]:
    return argument.partition("=")[2].split(",")


def switches_off(argument: str) -> bool:
    """Whether *argument* by itself keeps an IOMMU off; the kernel reads it by its commas."""
    key = argument_key(argument)
    if key == "intel_iommu":
        return last_off(key, (argument,)) is not None
    return key in ("iommu", "amd_iommu") and "off" in values(argument)


def ever_off(key: str, words: tuple[str, ...]) -> str | None:
    """Return the first argument that says off, whatever comes behind it."""
    of_key = (word for word in words if argument_key(word) == key)
    return next((word for word in of_key if "off" in values(word)), None)


def last_off(key: str, words: tuple[str, ...]) -> str | None:
    """Return the argument that says off where no later one says on."""
    found = None
    for word in words:
        for value in values(word) if argument_key(word) == key else ():
            found = word if value == "off" else None if value == "on" else found
    return found
