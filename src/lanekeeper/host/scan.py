"""What one look at the PCI bus found. Apart from ``host/machine.py``, so that whoever only looks
starts without what plans need.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from lanekeeper.domain.pci.address import PciAddress
from lanekeeper.domain.pci.device import PciDevice


@dataclass(frozen=True, slots=True)
class DeviceFault:
    """A function that could not be read. It is set aside; the others are as good as ever.

    Attributes:
        name: what the kernel calls it, as a rule its address.
        reason: one sentence for the operator.
    """

    name: str
    reason: str


@dataclass(frozen=True, slots=True)
class Scan:
    """Every PCI function in bus order, and those that could not be read.

    Attributes:
        slots: the physical slot's name for each that sits in one and is no VF.
    """

    devices: tuple[PciDevice, ...]
    faults: tuple[DeviceFault, ...] = ()
    slots: Mapping[PciAddress, str] = field(default_factory=dict)
