"""Everything that findings and plans want to know of one host, read in one go."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from lanekeeper.domain.errors import HostFault, NotFound
from lanekeeper.domain.hostplan.boot_loader import BootSettings
from lanekeeper.domain.hostplan.observed import Evidence, HostFacts, Interface
from lanekeeper.domain.pci.address import PciAddress
from lanekeeper.domain.pci.device import PciDevice
from lanekeeper.host.altname import read_altnames
from lanekeeper.host.attribute import names, read_text, whole
from lanekeeper.host.boot.loader import BootLoader, read_boot_loader, read_command_line
from lanekeeper.host.disk import read_mounted
from lanekeeper.host.fault import Faults, below, named_below
from lanekeeper.host.holder import read_holders
from lanekeeper.host.initramfs import update_command
from lanekeeper.host.interfaces import Interfaces, read_interfaces, read_representors
from lanekeeper.host.modprobe import modules_listed, read_aliases, read_loadable, read_vf_counts
from lanekeeper.host.offload import read_offload
from lanekeeper.host.own_file import read_directories, read_links, read_obstacles, read_own_files
from lanekeeper.host.slot import read_slots
from lanekeeper.host.sysfs import PciSysfs
from lanekeeper.host.topology import cpu_list, read_nodes
from lanekeeper.host.vf_count import read_count_lines
from lanekeeper.host.vf_settings import read_vf_settings
from lanekeeper.host.vpd import read_serials

_REMAPPED = re.compile(r"\bIR-(?:PCI-MSIX?|IO-APIC)[^\s]*")
_ECAP_INTERRUPT_REMAPPING = 1 << 3  # Intel VT-d specification, Extended Capability Register, IR
_KIB = 1024
_DISPLAY = 0x03  # the base class; PCI Code and ID Assignment Specification
_NO_GROUPS: dict[int, tuple[str, ...]] = {}
_NO_ALTNAMES: dict[str, tuple[str, ...]] = {}
_NO_NAMES: list[str] = []
_NO_PRODUCTS: dict[PciAddress, int] = {}
_NO_ROUTING: dict[PciAddress, tuple[int, int]] = {}
_NO_BOOT_LOADER = BootLoader(None, (), BootSettings(loader=None, update=None))


def read_host(
    root: Path, program: str = "/usr/bin/lanekeeper", faults: Faults | None = None
) -> HostFacts:
    """Read the host below *root*: ``/``, or a planted tree.

    Args:
        root: where ``sys``, ``proc``, ``etc`` and ``dev`` are.
        program: how Lanekeeper is called at boot.
        faults: keeps what cannot be read, in place of a HostFault.

    Raises:
        HostFault: the kernel refused a read. A device that cannot be read is not that.
    """
    with named_below(root):
        return _read_host(root, program, faults)


@dataclass(frozen=True, slots=True)
class _Functions:
    """PCI functions that make sense, what was read with them, and why others are set aside."""

    devices: tuple[PciDevice, ...]
    interfaces: tuple[Interface, ...]
    routing: Mapping[PciAddress, tuple[int, int]]
    vf_products: Mapping[PciAddress, int]
    faults: Mapping[str, str]


def _read_functions(root: Path, bus: PciSysfs, faults: Faults | None, doubts: Faults) -> _Functions:
    part = (faults or Faults(keep=False)).part
    scan = bus.scan()
    interfaces = part("interfaces", lambda: read_interfaces(root), Interfaces())
    doubts.found += [("routes", reason) for reason in interfaces.doubts]
    spoiled = dict(interfaces.faults)  # more is added to it
    routing = part(
        "routing numbers of VFs", lambda: _routing(root, scan.devices, spoiled), _NO_ROUTING
    )
    products = part("ids of VFs", lambda: _vf_products(root, scan.devices, spoiled), _NO_PRODUCTS)
    aside = {fault.name: fault.reason for fault in scan.faults}
    aside |= {str(address): reason for address, reason in spoiled.items()}
    devices = tuple(device for device in scan.devices if device.address not in spoiled)
    return _Functions(devices, interfaces.found, routing, products, aside)


def _read_host(root: Path, program: str, faults: Faults | None) -> HostFacts:
    part = (faults or Faults(keep=False)).part
    told = faults or Faults(keep=True)  # what programs and cards say is needed by few policies
    doubts = faults or Faults(keep=True)
    bus = PciSysfs(root)
    boot_loader = part("the boot loader", lambda: read_boot_loader(root), _NO_BOOT_LOADER)
    groups = part("IOMMU groups", lambda: _groups(root), _NO_GROUPS)
    units = tuple(part("IOMMU units", lambda: names(str(root / "sys/class/iommu")), _NO_NAMES))
    found = _read_functions(root, bus, faults, doubts)
    devices, interfaces = found.devices, found.interfaces
    pfs = tuple(device for device in devices if device.total_vfs)
    undivided = tuple(device for device in devices if device.parent is None)
    of_nodes = Faults(keep=True)
    nodes = read_nodes(root, of_nodes)
    release = part("the kernel's version", lambda: read_release(root), "")
    return HostFacts(
        release=release,
        cpu_flags=doubts.part("CPU flags", lambda: _cpu_flags(root), frozenset()),
        cpus_online=doubts.part("CPUs online", lambda: _cpus_online(root), 0),
        cmdline=part("kernel arguments", lambda: read_command_line(root), ()),
        configured_cmdline=boot_loader.arguments,
        boot_loader_files=boot_loader.files,
        boot=boot_loader.settings,
        modprobe_texts=part("modprobe.d", lambda: read_vf_counts(root), {}),
        vf_counts=doubts.part("files of the boot", lambda: read_count_lines(root), ()),
        initramfs_update=update_command(root, release),
        iommu_groups=groups,
        iommu_modes=doubts.part("IOMMU groups", lambda: _group_types(root, groups), {}),
        iommu_units=units,
        dma_table=_dma_table(root),
        interrupt_remapping=doubts.part(
            "interrupt remapping",
            lambda: _interrupt_remapping(root, bool(groups), units),
            Evidence(None, "what says so cannot be read"),
        ),
        modules=part("modules", lambda: _modules(root, release), frozenset()),
        loadable=part("modules", lambda: read_loadable(root, release), frozenset()),
        loadable_whole=bool(release) and (root / modules_listed(release)).exists(),
        aliases=part("modules.alias", lambda: read_aliases(root, release), {}),
        drivers=part("drivers", lambda: _drivers(root), frozenset()),
        kvm=(root / "dev/kvm").exists(),
        unsafe_interrupts=doubts.part("VFIO", lambda: _unsafe_interrupts(root), False),
        nodes=nodes,
        node_faults=below(root, of_nodes.found),
        devices=devices,
        device_faults=below(root, sorted(found.faults.items())),
        interfaces=interfaces,
        autoprobe=part("autoprobe", lambda: _autoprobe(bus, pfs), {}),
        vf_products=found.vf_products,
        vf_routing=found.routing,
        files=part("files of the policy", lambda: read_own_files(root), {}),
        links=part("files of the policy", lambda: read_links(root), {}),
        obstacles=part("files of the policy", lambda: read_obstacles(root), {}),
        directories=read_directories(root),
        has_systemd=(root / "usr/lib/systemd/systemd").exists(),
        program=program,
        slots=part("physical slots", lambda: read_slots(root, undivided), {}),
        serials=read_serials(root, undivided, told),
        altnames=_altnames(root, interfaces, told),
        vf_settings=read_vf_settings(root, pfs, told),
        holders=part("who holds what", lambda: read_holders(root, devices, doubts), {}),
        representors=part("representors", lambda: read_representors(root), {}),
        boot_displays=part("graphics", lambda: _boot_displays(root, undivided), frozenset()),
        mounted=part("what is mounted", lambda: read_mounted(root), {}),
        offload=read_offload(root, pfs, told),
        aside=() if faults else below(root, doubts.found),
    )


def _boot_displays(root: Path, whole: tuple[PciDevice, ...]) -> frozenset[PciAddress]:
    """Source: Linux ``Documentation/ABI/testing/sysfs-bus-pci``, boot_vga: of VGA controllers."""
    home = f"{root}/sys/bus/pci/devices"
    displays = (one.address for one in whole if one.class_code >> 16 == _DISPLAY)
    return frozenset(at for at in displays if read_text(f"{home}/{at}/boot_vga") == "1")


def _altnames(
    root: Path, interfaces: tuple[Interface, ...], faults: Faults
) -> dict[PciAddress, tuple[str, ...]]:
    told = faults.part("other names of interfaces", lambda: read_altnames(root), _NO_ALTNAMES)
    return {each.device: told[each.name] for each in interfaces if each.name in told}


def _cpus_online(root: Path) -> int:
    return len(cpu_list(read_text(str(root / "sys/devices/system/cpu/online")) or ""))


def read_release(root: Path) -> str:
    """Return the running kernel's release, as ``uname -r``; empty when not known."""
    words = (read_text(str(root / "proc/version")) or "").split()
    return words[2] if len(words) > 2 else ""  # noqa: PLR2004  # "Linux version X"


def _cpu_flags(root: Path) -> frozenset[str]:
    text = read_text(str(root / "proc/cpuinfo")) or ""
    found = re.search(r"^(?:flags|Features)\s*:(.*)$", text, re.MULTILINE)
    return frozenset(found[1].split()) if found else frozenset()


def _groups(root: Path) -> dict[int, tuple[str, ...]]:
    base = root / "sys/kernel/iommu_groups"
    numbers = sorted(int(name) for name in names(str(base)) if name.isdecimal())
    return {number: tuple(names(str(base / str(number) / "devices"))) for number in numbers}


def _group_types(root: Path, groups: dict[int, tuple[str, ...]]) -> dict[str, int]:
    base = root / "sys/kernel/iommu_groups"
    types = (read_text(str(base / str(number) / "type")) for number in groups)
    return dict(Counter(kind for kind in types if kind))


def _dma_table(root: Path) -> str | None:
    tables = root / "sys/firmware/acpi/tables"
    return next((name for name in ("DMAR", "IVRS") if (tables / name).exists()), None)


def _interrupt_remapping(root: Path, translating: bool, units: tuple[str, ...]) -> Evidence:
    """Tell from the names of the interrupt chips in use; they begin with IR- when remapped.

    Source: Linux drivers/iommu/intel/irq_remapping.c and amd/iommu.c, which name their domains
    so; the kernel has no attribute that says it.
    """
    interrupts = read_text(str(root / "proc/interrupts"))
    remapped = _REMAPPED.search(interrupts or "")
    if remapped:
        return Evidence(True, f"/proc/interrupts has {remapped[0]}")
    ecap = _ecap(root, units)
    if ecap is not None and not ecap & _ECAP_INTERRUPT_REMAPPING:
        return Evidence(False, f"ecap {ecap:x} of {units[0]} lacks bit 3")
    if interrupts is None:
        return Evidence(None, "/proc/interrupts is not there")
    if not translating:
        return Evidence(False, "no IOMMU is on, and no chip in /proc/interrupts begins with IR-")
    capable = f"; ecap {ecap:x} of {units[0]} has bit 3, so the IOMMU could" if ecap else ""
    return Evidence(False, f"no interrupt chip in /proc/interrupts begins with IR-{capable}")


def _ecap(root: Path, units: tuple[str, ...]) -> int | None:
    for unit in units:
        text = read_text(str(root / "sys/class/iommu" / unit / "intel-iommu/ecap"))
        if text:
            return whole(text, f"{unit}/intel-iommu/ecap", 16)
    return None


def _modules(root: Path, release: str) -> frozenset[str]:
    """Return what is loaded, and what is built in, with underscores as the kernel writes them."""
    builtin = read_text(str(root / "lib/modules" / release / "modules.builtin")) if release else ""
    names_in = (line.rpartition("/")[2].partition(".ko")[0] for line in (builtin or "").split())
    return frozenset(names(str(root / "sys/module"))) | {n.replace("-", "_") for n in names_in}


def _drivers(root: Path) -> frozenset[str]:
    return frozenset(names(str(root / "sys/bus/pci/drivers")))


def _unsafe_interrupts(root: Path) -> bool:
    parameter = "sys/module/vfio_iommu_type1/parameters/allow_unsafe_interrupts"
    return (read_text(str(root / parameter)) or "N") in ("Y", "1")


def _autoprobe(bus: PciSysfs, pfs: tuple[PciDevice, ...]) -> dict[PciAddress, bool]:
    found: dict[PciAddress, bool] = {}
    for pf in pfs:
        try:
            found[pf.address] = bus.autoprobe(pf.address)
        except NotFound:  # before Linux 4.12 drivers always take them
            continue
    return found


def _vf_products(
    root: Path, devices: tuple[PciDevice, ...], spoiled: dict[PciAddress, str]
) -> dict[PciAddress, int]:
    """Read what VFs of PFs will be; why that of one makes no sense goes to *spoiled*.

    Source: Linux ``Documentation/ABI/testing/sysfs-bus-pci``, sriov_vf_device: in hex.
    """
    found: dict[PciAddress, int] = {}
    for pf in devices:
        name = f"{root}/sys/bus/pci/devices/{pf.address}/sriov_vf_device"
        text = read_text(name) if pf.total_vfs else None
        try:
            if text:
                found[pf.address] = whole(text, name, 16)
        except HostFault as error:
            spoiled[pf.address] = str(error)
    return found


def _routing(
    root: Path, devices: tuple[PciDevice, ...], spoiled: dict[PciAddress, str]
) -> dict[PciAddress, tuple[int, int]]:
    """Read the routing numbers of PFs; why those of one make no sense goes to *spoiled*."""
    found: dict[PciAddress, tuple[int, int]] = {}
    for pf in devices:
        if not pf.total_vfs:
            continue
        home = f"{root}/sys/bus/pci/devices/{pf.address}"
        try:
            offset, stride = (_routing_number(f"{home}/sriov_{n}") for n in ("offset", "stride"))
        except HostFault as error:
            spoiled[pf.address] = str(error)
            continue
        if offset:
            found[pf.address] = offset, stride
    return found


def _routing_number(path: str) -> int:
    return whole(read_text(path) or "0", path)
