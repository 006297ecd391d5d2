"""PCI functions: what the host says about one, and the life it leads here."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from lanekeeper.domain.pci.address import PciAddress


class DeviceType(StrEnum):
    """What a function can be, spelled as the compute API spells ``dev_type``.

    ``VDPA`` is a VF that carries a vDPA device; hosts here do not tell them from other VFs.

    Source: nova ``objects/fields.py``, PciDeviceType.
    """

    PCI = "type-PCI"
    PF = "type-PF"
    VF = "type-VF"
    VDPA = "vdpa"


class DeviceState(StrEnum):
    """Where a device is on its way round.

    ``available → held → cleaning → available``; a cleaning that failed ends in ``quarantined``,
    from where an operator sends the device to ``cleaning`` again. Only an available device can be
    claimed; ``held`` stands exactly while a claim row names the device.
    """

    AVAILABLE = "available"
    HELD = "held"
    CLEANING = "cleaning"
    QUARANTINED = "quarantined"


class Reserve(StrEnum):
    """Why a device, clean or not, is kept from new guests until somebody asks for its return.

    ``SPENT`` is what a guest has been given once, where its entry says ``one_time_use``; it stands
    from the claim on. ``ASIDE`` was asked for through Placement, ``RETIRED`` by an operator here;
    what was spent (``RETIRED_SPENT``) or set aside (``RETIRED_ASIDE``) before is so again when it
    is retired no more.
    """

    NOT = ""
    SPENT = "spent"
    ASIDE = "reserved"
    RETIRED = "retired"
    RETIRED_SPENT = "retired, spent"
    RETIRED_ASIDE = "retired, reserved"

    @property
    def retired(self) -> Reserve:
        return _RETIRED.get(self, self)

    @property
    def released(self) -> Reserve:
        """One step back: whoever wants a spent device that was retired asks for it once more."""
        return _BEFORE.get(self, Reserve.NOT)

    @property
    def is_retired(self) -> bool:
        return self in _BEFORE


_RETIRED = {
    Reserve.NOT: Reserve.RETIRED,
    Reserve.SPENT: Reserve.RETIRED_SPENT,
    Reserve.ASIDE: Reserve.RETIRED_ASIDE,
}
_BEFORE = {retired: before for before, retired in _RETIRED.items()}

_BRIDGE, _OTHER_BRIDGE = 0x06, 0x0680


@dataclass(frozen=True, slots=True, kw_only=True)
class PciDevice:
    """One PCI function as its host reported it. A fact, never edited.

    Attributes:
        vendor_id, product_id: 16-bit PCI ids.
        class_code: 24-bit class, subclass and programming interface (0x020000 is Ethernet).
        parent: address of the PF; set exactly when ``dev_type`` is VF or VDPA.
        vf_index: which VF of its PF this is, as in ``virtfnN``; set exactly when ``parent`` is.
        numa_node: None when firmware names no node (sysfs says -1).
        pcie_root: address of the root port above it; None for what is on a root bus itself.
        iommu_group: None when no IOMMU translates for this function.
        has_reset: whether the kernel can reset it without the functions beside it.
        total_vfs: the most VFs this PF can create; 0 unless ``dev_type`` is PF.
        num_vfs: how many it has now.
        driver: kernel driver that is bound, or None.
        netdev: name of its network interface, or None.
        mac: address of that interface, lower case with colons, or None.
        serial: card serial number from VPD or the PCIe capability, or None.
    """

    address: PciAddress
    vendor_id: int
    product_id: int
    class_code: int = 0
    dev_type: DeviceType = DeviceType.PCI
    parent: PciAddress | None = None
    vf_index: int | None = None
    numa_node: int | None = None
    pcie_root: str | None = None
    iommu_group: int | None = None
    has_reset: bool = True
    total_vfs: int = 0
    num_vfs: int = 0
    driver: str | None = None
    netdev: str | None = None
    mac: str | None = None
    serial: str | None = None

    @property
    def is_bridge(self) -> bool:
        """Whether it is the host's own way to others: a host bridge, a root port, a PCIe switch.

        What calls itself an other bridge may be a device to its driver, as an NVSwitch.

        Source: PCI Code and ID Assignment Specification, base class 06h.
        """
        return self.class_code >> 16 == _BRIDGE and self.class_code >> 8 != _OTHER_BRIDGE

    def __post_init__(self) -> None:
        is_part = self.dev_type in (DeviceType.VF, DeviceType.VDPA)
        assert (self.parent is not None) == is_part
        assert self.total_vfs == 0 or self.dev_type is DeviceType.PF
