"""All that the doctor looks at on one host: ``HostFacts``, and what only findings need.

Three answers are told apart everywhere: what was read; None, when the host has no such thing;
and a fault, by name, when it has one that cannot be read or makes no sense.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from lanekeeper.domain.hostplan.observed import HostFacts
from lanekeeper.domain.hostplan.offload import Offload
from lanekeeper.domain.pci.address import PciAddress
from lanekeeper.domain.pci.device import PciDevice


@dataclass(frozen=True, slots=True)
class Line:
    """One line of one file: *path* is relative to the root, *number* counts from 1."""

    path: str
    number: int
    text: str

    def __str__(self) -> str:
        return f"/{self.path}:{self.number} has {self.text.strip()!r}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Firmware:
    """What the firmware says of itself.

    Attributes:
        product: vendor and model of the machine, as ``Dell Inc. PowerEdge R630``.
        secure_boot: None on a machine without UEFI.
        lockdown: ``none``, ``integrity`` or ``confidentiality``; None without that kernel module.
        dmar_flags: of the DMAR table; None without it, or when only root may read it.
    """

    product: str = ""
    secure_boot: bool | None = None
    lockdown: str | None = None
    dmar_flags: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class KernelLog:
    """Those lines of the kernel's log that speak of devices.

    Attributes:
        source: the file they come from; empty when the log cannot be read.
    """

    source: str = ""
    lines: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Region:
    """One memory or port window (BAR) of a function; *start* 0 means that it was given none."""

    number: int
    start: int
    end: int
    flags: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FunctionFacts:
    """What a PCI function says beyond its identity.

    Attributes:
        reset_methods: those that the kernel may use, the preferred first; empty for none;
            None when the kernel does not say (before Linux 5.15).
        override: the one driver that may take it, or None.
        speeds: of its link, now and at most, in GT/s. ``widths``: likewise, in lanes.
        errors: counts of the AER kinds ``correctable``, ``nonfatal`` and ``fatal``, each by name,
            those above 0 only.
        regions: its windows. ``vf_regions``: those of its VFs.
        ari: whether functions of its bus may be numbered past 7; None when not told.
        offset, stride: from the PF's routing number to that of its first VF, and between VFs.
        above: the bridges between it and the CPU, the nearest first.
    """

    reset_methods: tuple[str, ...] | None = None
    override: str | None = None
    speeds: tuple[float, float] | None = None
    widths: tuple[int, int] | None = None
    errors: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    regions: tuple[Region, ...] = ()
    vf_regions: tuple[Region, ...] = ()
    ari: bool | None = None
    offset: int | None = None
    stride: int | None = None
    above: tuple[PciAddress, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class BridgeFacts:
    """What decides at a bridge.

    Attributes:
        acs: its ACS control bits; None when it has no such capability. See ``acs_known``.
        acs_known: whether its extended configuration space could be read.
        last_bus: the highest bus number behind it; None when not told.
    """

    acs: int | None = None
    acs_known: bool = False
    last_bus: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Netdev:
    """A network interface.

    Attributes:
        function: the PCI function that carries it.
        master: the bridge, bond or switch that it is a port of, and ``master_kind`` which of these.
        carrier: whether a cable with a living other end is in; None when it is down.
        port: its port on the card, as ``p0`` or ``pf0vf3`` for the representor of VF 3.
        switch: the eswitch it belongs to; set exactly for ports of one.
    """

    name: str
    function: PciAddress | None = None
    master: str | None = None
    master_kind: str = ""
    carrier: bool | None = None
    port: str = ""
    switch: str = ""


@dataclass(frozen=True, slots=True)
class Variant:
    """A VFIO driver for one kind of card: *pattern* is what the card's MODALIAS has to match."""

    module: str
    pattern: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Initramfs:
    """The first root file system of the running kernel.

    Attributes:
        path: the file; ``modules`` are those in it, ``modprobe`` the lines of its modprobe.d.
    """

    path: str
    modules: frozenset[str]
    modprobe: frozenset[str]


@dataclass(frozen=True, slots=True)
class MemoryLimit:
    """How much memory programs of *who* may lock, in bytes, as *line* says."""

    line: Line
    who: str
    amount: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Survey:
    """One host, examined.

    Attributes:
        faults: what could not be read or makes no sense outside devices: name and reason.
        function_faults: likewise of functions; nothing else is said of these.
        reserved: groups with memory that the firmware keeps for a device, and the line saying so.
        modprobe: lines of modprobe.d that mean something. ``modprobe_ignored``: files there that
            modprobe passes over.
        parameters: of loaded modules, as ``kvm.halt_poll_ns``.
        boot: lines of files read or run at boot that speak of VFs. ``boot_files``: where they
            were looked for.
        versions: of ``qemu`` and ``libvirt``, as numbers.
    """

    host: HostFacts
    firmware: Firmware = Firmware()
    log: KernelLog = KernelLog()
    functions: Mapping[PciAddress, FunctionFacts] = field(default_factory=dict)
    function_faults: tuple[tuple[str, str], ...] = ()
    bridges: Mapping[PciAddress, BridgeFacts] = field(default_factory=dict)
    reserved: Mapping[int, Line] = field(default_factory=dict)
    netdevs: tuple[Netdev, ...] = ()
    modprobe: tuple[Line, ...] = ()
    modprobe_ignored: tuple[str, ...] = ()
    parameters: Mapping[str, str] = field(default_factory=dict)
    variants: tuple[Variant, ...] = ()
    boot: tuple[Line, ...] = ()
    boot_files: tuple[str, ...] = ()
    initramfs: Initramfs | None = None
    memory_limits: tuple[MemoryLimit, ...] = ()
    versions: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    faults: tuple[tuple[str, str], ...] = ()

    def of(self, device: PciDevice) -> FunctionFacts:
        """Return what *device* says of itself; nothing, for one that could not be read."""
        return self.functions.get(device.address, _SILENT)

    @property
    def offload(self) -> Offload:
        return self.host.offload

    @property
    def kernel(self) -> tuple[int, ...]:
        """The running kernel's version, as numbers; empty when it is not known."""
        return version_numbers(self.host.release)


_SILENT = FunctionFacts()


def version_numbers(text: str) -> tuple[int, ...]:
    """Return the numbers that *text* begins with: ``6.12.95+deb12`` is (6, 12, 95)."""
    found: list[int] = []
    for part in text.split("."):
        digits = part[: len(part) - len(part.lstrip("0123456789"))]
        if not digits:
            break
        found.append(int(digits))
        if digits != part:
            break
    return tuple(found)
