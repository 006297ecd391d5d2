"""Physical slots, as the chassis numbers them.

Source: Linux ``Documentation/ABI/testing/sysfs-bus-pci``, ``/sys/bus/pci/slots``.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from lanekeeper.domain.pci.address import PciAddress
from lanekeeper.domain.pci.device import PciDevice
from lanekeeper.host.attribute import names, read_text

SLOTS = "sys/bus/pci/slots"


def read_slots(root: Path, devices: Iterable[PciDevice]) -> dict[PciAddress, str]:
    """Return the slot's name for each of *devices* that sits in one. Raises HostFault."""
    base = root / SLOTS
    slots = {read_text(str(base / name / "address")): name for name in names(str(base))}
    slots.pop(None, None)
    if not slots:
        return {}
    found = ((device, slots.get(str(device.address).partition(".")[0])) for device in devices)
    return {device.address: name for device, name in found if name is not None}
