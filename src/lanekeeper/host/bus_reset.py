"""Resetting a bus below a bridge: all that the kernel knows for some cards.

Source: Linux ``Documentation/ABI/testing/sysfs-bus-pci``, reset_subordinate.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Protocol

from lanekeeper.domain.errors import HostFault, Invalid
from lanekeeper.domain.pci.address import PciAddress
from lanekeeper.host.attribute import Write, write_text


class ResetBus(Protocol):
    """Resets the bus of a function."""

    def check(self, address: PciAddress) -> None:
        """Make sure that it can be asked for. Raises HostFault: it cannot, and why."""

    def __call__(self, address: PciAddress) -> None:
        """Reset every function on the bus of *address*. Raises HostFault."""


class BusReset:
    """Resets buses of the machine at *root*."""

    def __init__(self, root: Path = Path("/"), write: Write = write_text) -> None:
        self._devices = str(root / "sys/bus/pci/devices")
        self._write = write

    def check(self, address: PciAddress) -> None:
        """Raises HostFault: no bridge is above it, or the kernel has no such reset."""
        self._attribute(address)

    def __call__(self, address: PciAddress) -> None:
        """Raises HostFault: as ``check``, or the kernel did not do it."""
        self._write(self._attribute(address), "1")

    def _attribute(self, address: PciAddress) -> str:
        """Return the attribute of the bridge above that resets the bus below it."""
        bridge = Path(f"{self._devices}/{address}").resolve().parent.name
        try:
            PciAddress.parse(bridge)
        except Invalid as error:
            raise HostFault(f"no bridge is above {address} that could reset its bus") from error
        path = f"{self._devices}/{bridge}/reset_subordinate"
        if not os.path.lexists(path):
            raise HostFault(
                f"the kernel resets {address} only with its bus, and this one cannot be asked to",
                hint=f"Linux 6.13 and later releases of 6.12 and 6.6 have {path}; with another one "
                "the card is for one guest, and is retired after it (lanekeeper device retire)",
            )
        return path
