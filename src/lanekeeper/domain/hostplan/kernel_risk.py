"""Kernel arguments that a host which gives devices away had better not have, and why."""

from __future__ import annotations

from lanekeeper.domain.hostplan.boot_loader import argument_key

_NO = ("0", "N", "n", "off")
_INJECTS = "a guest that owns a device can inject interrupts into the host and into other guests"
_NEIGHBOUR = (
    "IOMMU groups look separate that are not: a guest's device may reach its neighbour's memory"
)
_BY_KEY = {
    "pcie_acs_override": _NEIGHBOUR,
    "vfio_pci.ids": "vfio-pci takes every device of these kinds at boot, the host's own too; "
    "entries of pfs and devices take those that are named",
}
_BY_SWITCH = {
    "vfio_iommu_type1.allow_unsafe_interrupts": _INJECTS,
    "iommufd.allow_unsafe_interrupts": _INJECTS,
    "kvm.allow_unsafe_assigned_interrupts": f"on kernels before Linux 4.12 {_INJECTS}; "
    "later ones pass over it",
    "vfio.enable_unsafe_noiommu_mode": "devices are given away without any IOMMU: "
    "whoever has one can read and write all memory of the host",
}
_BY_WORD = {
    ("intremap", "off"): f"interrupts are not remapped: {_INJECTS}",
    ("intremap", "nosid"): "a device may send interrupts in another one's name",
    ("pci", "disable_acs_redir"): _NEIGHBOUR,
    ("pci", "config_acs"): _NEIGHBOUR,
}
RISKY_KEYS = frozenset((*_BY_KEY, *_BY_SWITCH, *(key for key, _ in _BY_WORD)))
"""Keys of such arguments, as ``plain_key`` returns them."""


def plain_key(argument: str) -> str:
    """Return the key of *argument*; to the kernel dashes and underscores of modules are one."""
    key = argument_key(argument)
    return key.replace("-", "_") if "." in key else key


def risk(argument: str) -> str:
    """Say what *argument* risks; empty for nothing that is known.

    Source: Linux ``Documentation/admin-guide/kernel-parameters.txt``, ``drivers/vfio``.
    """
    key, value = plain_key(argument), argument.partition("=")[2]
    if key in _BY_SWITCH:
        return "" if value in _NO else _BY_SWITCH[key]
    words = (word.partition("=")[0] for word in value.split(","))
    return _BY_KEY.get(key) or next((r for w in words if (r := _BY_WORD.get((key, w)))), "")
