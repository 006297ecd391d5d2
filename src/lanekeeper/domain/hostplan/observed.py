"""What was found on one host, as far as findings and plans need it. Facts, never edited."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from lanekeeper.domain.hostplan.boot_loader import (
    BootSettings,
)
from lanekeeper.domain.hostplan.offload import Offload
from lanekeeper.domain.hostplan.vf_count import VfCount, is_about
from lanekeeper.domain.pci.address import PciAddress
from lanekeeper.domain.pci.device import DeviceType, PciDevice
from lanekeeper.domain.pci.holder import Holder
from lanekeeper.domain.pci.vf_settings import VfSettings

_BRIDGE = 0x06  # the base class; PCI Code and ID Assignment Specification


@dataclass(frozen=True, slots=True, kw_only=True)
class NumaNode:
    """Processors and memory that belong together.

    Attributes:
        huge_pages: pages there are and pages free, by page size in KiB.
        socket: physical package; None where it is not known.
        siblings: CPUs that are threads of one core, core by core.
    """

    number: int
    cpus: tuple[int, ...]
    memory_mib: int
    huge_pages: Mapping[int, tuple[int, int]] = field(default_factory=dict)
    socket: int | None = None
    siblings: tuple[tuple[int, ...], ...] = ()


def node_name(number: int) -> str:
    """What a node is called where something of it could not be read."""
    return f"NUMA node {number}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Interface:
    """A network interface that a PCI function carries.

    Attributes:
        is_up: set up by the administrator, whatever the cable says.
        carries: what of the host's own traffic goes through it, in words; empty for nothing.
        is_management: whether cutting it may cut the host off.
        doubt: why that is not known, where it is not: it counts as if it did then.
    """

    name: str
    device: PciAddress
    is_up: bool
    carries: tuple[str, ...] = ()
    is_management: bool = False
    doubt: str = ""

    @property
    def duty(self) -> str:
        """What of the host's traffic it carries, or may; in words."""
        if self.doubt:
            return f"{self.name} may carry the way to the host: {self.doubt}"
        return f"{self.name} carries {' and '.join(self.carries)}"


@dataclass(frozen=True, slots=True)
class Evidence:
    """A yes, a no or an unknown (None), and where that was read."""

    holds: bool | None
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class HostFacts:
    """One host.

    Attributes:
        release: of the kernel, as ``uname -r``.
        cmdline: arguments of the running kernel.
        configured_cmdline: what the boot loader will give the next one; None when it is not known.
        boot_loader_files: files that were read or looked for to know that.
        modprobe_texts: files of modprobe.d that say how many VFs a driver makes.
        vf_counts: lines of the operator's files that give PFs VFs at boot.
        initramfs_update: the command that makes the first root file system anew.
        boot: what a plan has to know to change the boot loader's arguments.
        iommu_groups: names of the members, by group.
        iommu_modes: how many groups are of each type (``identity``, ``DMA``, ``DMA-FQ``).
        modules: loaded or built in. ``loadable``: there to be loaded; *loadable_whole* says whether
            that is every module of this kernel, or those of VFIO alone.
        drivers: of PCI functions that are registered now.
        device_faults: functions that are set aside, and why.
        aside: parts of the host that cannot be read and that a plan can do without, and why.
        node_faults: what of NUMA nodes could not be read, by :func:`node_name`.
        aliases: for each module what it matches, as ``v00008086d000010C9sv*sd*bc*sc*i*``; of a
            captured machine those of VFIO's drivers alone.
        autoprobe: of PFs.
        vf_products: product ids of the VFs of PFs that say it.
        vf_routing: from each PF's routing number to that of its first VF, and between its VFs.
        files: text of each file that a plan may write; None for one that is not there.
        links: where those of them lead that are links.
        obstacles: what lies in the place of such a file and is none, by path.
        directories: those of the files' directories that are there.
        program: how this program is called at boot.
        slots: names of physical slots, by the function in them.
        serials: what the vital product data of PFs says, beside the number of the PCIe capability.
        altnames: other names of interfaces, by their function.
        vf_settings: what each PF holds for its VFs; a PF that could not be asked is not there.
        holders: who has a function in use: guests, and processes where no record names a guest.
        representors: names of the interfaces that stand for VFs in an eswitch, by PF and index.
        boot_displays: of the graphics functions the one that the firmware wrote its screen to.
        mounted: what the host keeps on the disks of each function, as places where it is mounted.
        offload: of cards with an eswitch, and of the switch above them.
    """

    release: str = ""
    cpu_flags: frozenset[str] = frozenset()
    cpus_online: int = 0
    cmdline: tuple[str, ...] = ()
    configured_cmdline: tuple[str, ...] | None = None
    boot_loader_files: tuple[str, ...] = ()
    modprobe_texts: Mapping[str, str] = field(default_factory=dict)
    vf_counts: tuple[VfCount, ...] = ()
    initramfs_update: tuple[str, ...] | None = None
    boot: BootSettings = field(default_factory=BootSettings)
    iommu_groups: Mapping[int, tuple[str, ...]] = field(default_factory=dict)
    iommu_modes: Mapping[str, int] = field(default_factory=dict)
    iommu_units: tuple[str, ...] = ()
    dma_table: str | None = None
    interrupt_remapping: Evidence = Evidence(None, "")
    modules: frozenset[str] = frozenset()
    loadable: frozenset[str] = frozenset()
    loadable_whole: bool = False
    drivers: frozenset[str] = frozenset()
    aliases: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    kvm: bool = False
    unsafe_interrupts: bool = False
    nodes: tuple[NumaNode, ...] = ()
    devices: tuple[PciDevice, ...] = ()
    device_faults: tuple[tuple[str, str], ...] = ()
    node_faults: tuple[tuple[str, str], ...] = ()
    aside: tuple[tuple[str, str], ...] = ()
    interfaces: tuple[Interface, ...] = ()
    autoprobe: Mapping[PciAddress, bool] = field(default_factory=dict)
    vf_products: Mapping[PciAddress, int] = field(default_factory=dict)
    vf_routing: Mapping[PciAddress, tuple[int, int]] = field(default_factory=dict)
    files: Mapping[str, str | None] = field(default_factory=dict)
    links: Mapping[str, str] = field(default_factory=dict)
    obstacles: Mapping[str, str] = field(default_factory=dict)
    directories: frozenset[str] = frozenset()
    has_systemd: bool = False
    program: str = "/usr/bin/lanekeeper"
    slots: Mapping[PciAddress, str] = field(default_factory=dict)
    serials: Mapping[PciAddress, str] = field(default_factory=dict)
    altnames: Mapping[PciAddress, tuple[str, ...]] = field(default_factory=dict)
    vf_settings: Mapping[PciAddress, Mapping[int, VfSettings]] = field(default_factory=dict)
    holders: Mapping[PciAddress, Holder] = field(default_factory=dict)
    representors: Mapping[tuple[PciAddress, int], str] = field(default_factory=dict)
    boot_displays: frozenset[PciAddress] = frozenset()
    mounted: Mapping[PciAddress, tuple[str, ...]] = field(default_factory=dict)
    offload: Offload = field(default_factory=Offload)

    @property
    def pfs(self) -> tuple[PciDevice, ...]:
        return tuple(device for device in self.devices if device.dev_type is DeviceType.PF)

    @property
    def whole(self) -> tuple[PciDevice, ...]:
        """Those that can be given away whole: no VFs, no bridges."""
        return tuple(
            device
            for device in self.devices
            if device.parent is None and device.class_code >> 16 != _BRIDGE
        )

    def vfs_of(self, pf: PciAddress) -> tuple[PciDevice, ...]:
        """Return the VFs of *pf* in the order of their index."""
        found = (device for device in self.devices if device.parent == pf)
        return tuple(sorted(found, key=lambda vf: vf.vf_index or 0))

    def vf_counts_of(self, pf: PciDevice) -> tuple[VfCount, ...]:
        """Return the lines that say of themselves that they give *pf* VFs."""
        own = (each.name for each in self.interfaces_of(pf))
        names = {*own, *self.altnames.get(pf.address, ()), *filter(None, (pf.netdev,))}
        return tuple(line for line in self.vf_counts if is_about(line, pf, names))

    def interfaces_of(self, device: PciDevice) -> tuple[Interface, ...]:
        """Return those of its ports, the one it is called by first; representors are none."""
        standing_in = {*self.representors.values()}
        found = (each for each in self.interfaces if each.device == device.address)
        own = (each for each in found if each.name not in standing_in)
        return tuple(sorted(own, key=lambda each: each.name != device.netdev))

    def link_of(self, device: PciDevice) -> Interface | None:
        """Return the one that it is called by, whose link is set."""
        return next(iter(self.interfaces_of(device)), None)
