"""Which drivers can drive which functions.

``driver_override`` has the kernel skip its own look at a driver's table of ids, so whoever sets it
looks instead. What no table and no knowledge of a driver speaks against is taken to fit.

Source: Linux drivers/pci/pci-driver.c, pci_match_device(); scripts/mod/file2alias.c,
do_pci_entry().
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from lanekeeper.domain.hostplan.observed import HostFacts
from lanekeeper.domain.pci.device import PciDevice

_ANY_DEVICE = frozenset(("vfio_pci", "pci_stub", "pciback", "uio_pci_generic", "igb_uio"))
_WORD, _BYTE = r"\*|[0-9A-Fa-f]{8}", r"\*|[0-9A-Fa-f]{2}"
_PATTERN = re.compile(
    f"v(?P<vendor>{_WORD})d(?P<product>{_WORD})sv(?:{_WORD})sd(?:{_WORD})"
    f"bc(?P<base>{_BYTE})sc(?P<sub>{_BYTE})i(?P<interface>{_BYTE})[*]?"
)
_KNOWN = {
    **dict.fromkeys(("mlx5_vfio_pci", "mlx5_core", "mlx4_core"), (0x15B3, "")),
    "hisi_acc_vfio_pci": (0x19E5, ""),
    "pds_vfio_pci": (0x1DD8, ""),
    "virtio_vfio_pci": (0x1AF4, ""),
    **dict.fromkeys(("nvgrace_gpu_vfio_pci", "nouveau", "nvidia"), (0x10DE, "")),
    **dict.fromkeys(("qat_vfio_pci", "xe_vfio_pci", "ice_vfio_pci"), (0x8086, "")),
    **dict.fromkeys(("igb", "igbvf", "ixgbe", "ixgbevf", "i40e", "iavf", "ice"), (0x8086, "02")),
    "nvme": (None, "0108"),
    "ahci": (None, "01"),
    "snd_hda_intel": (None, "04"),
    "xhci_hcd": (None, "0c03"),
}
"""Vendor (None for any) and beginning of the class, where the kernel's tables are not at hand.

Source: the pci_device_id tables of these drivers in Linux.
"""

_OF_VFS = {
    **{"igb": "igbvf", "ixgbe": "ixgbevf", "i40e": "iavf", "ice": "iavf", "fm10k": "fm10k"},
    **{"mlx5_core": "mlx5_core", "mlx4_core": "mlx4_core", "bnxt_en": "bnxt_en"},
    **{"cxgb4": "cxgb4vf", "be2net": "be2net", "qede": "qede", "enic": "enic", "sfc": "sfc"},
}
"""By the driver of a PF that of its VFs. Source: the same tables."""


@dataclass(frozen=True, slots=True)
class Kind:
    """What a driver looks at; *product* is None for VFs whose PF does not say it."""

    vendor: int
    product: int | None
    class_code: int

    def __str__(self) -> str:
        product = "????" if self.product is None else f"{self.product:04x}"
        return f"{self.vendor:04x}:{product} (class {self.class_code >> 8:04x})"


def kind_of(device: PciDevice) -> Kind:
    return Kind(device.vendor_id, device.product_id, device.class_code)


def kind_of_vfs(pf: PciDevice, host: HostFacts) -> Kind:
    """Return what VFs of *pf* are, or will be: vendor and class are those of the PF."""
    there = host.vfs_of(pf.address)
    if there:
        return kind_of(there[0])
    return Kind(pf.vendor_id, host.vf_products.get(pf.address), pf.class_code)


def fits(driver: str, kind: Kind, host: HostFacts) -> bool:
    """Whether *driver* can drive functions of this *kind*, or nothing is known against it."""
    module = driver.replace("-", "_")
    if module in _ANY_DEVICE:
        return True
    if module in host.aliases:
        return any(_matches(pattern, kind) for pattern in host.aliases[module])
    vendor, code = _KNOWN.get(module, (None, ""))
    return vendor in (None, kind.vendor) and f"{kind.class_code:06x}".startswith(code)


def fitting(kind: Kind, host: HostFacts) -> Iterator[str]:
    """Yield the modules whose tables name the vendor of this *kind*, and match it."""
    for module, patterns in sorted(host.aliases.items()):
        named = (p for p in patterns if not p.startswith("v*"))
        if module not in _ANY_DEVICE and any(_matches(pattern, kind) for pattern in named):
            yield module


def vf_modules(pf: PciDevice, host: HostFacts) -> frozenset[str]:
    """Return the modules among which the kernel chooses for VFs of *pf*; none for unknown.

    A VF that has a driver tells; else the kernel's tables do, or what is known of the PF's driver.
    """
    drivers = {vf.driver for vf in host.vfs_of(pf.address) if vf.driver}
    modules = {driver.replace("-", "_") for driver in drivers}
    kind = kind_of_vfs(pf, host)
    if not (found := {name for name in modules if _is_plain(name)}) and kind.product is not None:
        found = {name for name in fitting(kind, host) if _is_plain(name)}
    known = _OF_VFS.get((pf.driver or "").replace("-", "_"))
    return frozenset(found or ([known] if known else ()))


def _is_plain(module: str) -> bool:
    return "vfio" not in module and module not in _ANY_DEVICE


def _matches(pattern: str, kind: Kind) -> bool:
    found = _PATTERN.fullmatch(pattern)
    if found is None:
        return True  # in a way that is not known here
    base, sub, interface = kind.class_code.to_bytes(3)
    has = {"vendor": kind.vendor, "product": kind.product}
    has |= {"base": base, "sub": sub, "interface": interface}
    return all(
        value is None or found[name] == "*" or int(found[name], 16) == value
        for name, value in has.items()
    )
