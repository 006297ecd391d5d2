"""By which driver the host itself would use a function, and which of them are there."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path

from lanekeeper.domain.pci.device import PciDevice
from lanekeeper.domain.pci.driver import is_vfio
from lanekeeper.host.attribute import read_text
from lanekeeper.host.modprobe import read_aliases

_WILD = re.compile(r"[*?[]")
Ids = tuple[int, int, int]
"""Vendor, product and class."""


class HostDrivers:
    """What the modules of the kernel below *root* are for; thousands of lines, read once."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._release = ""
        self._aliases: dict[str, tuple[str, ...]] | None = None
        self._modules: dict[Ids, tuple[str, ...]] = {}

    def of(self, device: PciDevice) -> str | None:
        """Name the host's driver that the function has, or that would take it and is loaded.

        Raises:
            HostFault: what the modules are for cannot be read.
        """
        if device.driver is not None and not is_vfio(device.driver):
            return device.driver
        return next(filter(self._is_loaded, self._spellings(device)), None)

    def _is_loaded(self, driver: str) -> bool:
        return os.path.lexists(self._root / "sys/bus/pci/drivers" / driver)

    def _spellings(self, device: PciDevice) -> Iterator[str]:
        """A module ``virtio_pci`` has the driver ``virtio-pci``."""
        for module in self._modules_for(device):
            yield from (module, module.replace("_", "-"))

    def _modules_for(self, device: PciDevice) -> tuple[str, ...]:
        ids = (device.vendor_id, device.product_id, device.class_code)
        if ids not in self._modules:
            alias = alias_of(device)
            self._modules[ids] = tuple(
                module
                for module, patterns in self._all().items()
                if not is_vfio(module) and any(_matches(alias, one) for one in patterns)
            )
        return self._modules[ids]

    def _all(self) -> dict[str, tuple[str, ...]]:
        if self._aliases is None:
            self._aliases = read_aliases(self._root, self._kernel())
        return self._aliases

    def _kernel(self) -> str:
        if not self._release:
            words = (read_text(str(self._root / "proc/version")) or "").split()
            self._release = words[2] if len(words) > 2 else ""  # noqa: PLR2004  # "Linux version X"
        return self._release


def _matches(alias: str, pattern: str) -> bool:
    """As fnmatch has it; of thousands of patterns it has to understand those alone that begin as
    *alias* does.
    """
    return alias.startswith(_WILD.split(pattern, maxsplit=1)[0]) and fnmatchcase(alias, pattern)


def alias_of(device: PciDevice) -> str:
    """Return the name by which drivers are matched; the subsystem is left open.

    Source: Linux scripts/mod/file2alias.c, do_pci_entry().
    """
    base, sub, interface = device.class_code.to_bytes(3)
    return (
        f"v{device.vendor_id:08X}d{device.product_id:08X}sv{0:08X}sd{0:08X}"
        f"bc{base:02X}sc{sub:02X}i{interface:02X}"
    )
