"""The emulated compute host: one frozen description, one pure function to QEMU's arguments.

The machine: q35 with VT-d and interrupt remapping; two NUMA nodes, each with a PCI Express root of
its own and an Intel 82576 behind it; beside the first an NVMe drive with SR-IOV.

    node 0   0000:21:00.0   82576 PF 1, 7 VFs
             0000:22:00.0   NVMe, 4 VFs
    node 1   0000:41:00.0   82576 PF 2, 7 VFs

Card by card it can be cabled to another lab of this machine, by Unix sockets.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from uuid import NAMESPACE_DNS, UUID, uuid5

from lanekeeper.lab import boot_menu
from lanekeeper.lab.acceleration import Acceleration
from lanekeeper.lab.cable import CARDS, cable_socket
from lanekeeper.lab.wire import CONTROLLER_ADDRESS, PORT_NAME, PORTS

QEMU = "qemu-system-x86_64"
# QEMU 10 maps the BARs of VFs as 32-bit: they have to lie below 4 GiB, and firmware puts them
# there only when it believes that the machine has few address bits.
PHYSICAL_ADDRESS_BITS = 36
# What QEMU's emulation offers and is slow at: it copies and fills memory byte by byte where the
# processor says that this is fast; a fifth level of page tables makes every miss of the TLB
# longer, most of all a guest's; and each crossing of SMAP has the other half of a TLB to fill.
SLOW_FEATURES = ("erms", "fsrm", "fsrs", "fsrc", "fzrm", "la57", "smap")
_APPEND = "-append"
NODE_CPUS = "0-1", "2"
"""The first CPU is for the lab host itself (``lab/inside/first_cpu.py``), so there are three."""
MEMORY_MIB_MIN, MEMORY_MIB_MAX = 1024, 32768


@dataclass(frozen=True, slots=True, kw_only=True)
class LabSpec:
    """What one lab host is made of. Paths are the outer machine's.

    Attributes:
        tree: what the lab host sees as its (read-only) root.
        folder: where its sockets and its console log go.
        busybox: forwards connections to the controller.
        disk: the image that keeps what the lab host writes.
        drive: what the NVMe drive holds.
        controller_port: TCP port of the controller on the outer machine's loopback.
        has_x2apic: its interrupts may be remapped in x2APIC mode.
        other: folder of the lab whose cards this one's are cabled to; else they wait for one that
            will be cabled to them.
    """

    name: str
    kernel: Path
    initramfs: Path
    tree: Path
    folder: Path
    busybox: Path
    disk: Path
    drive: Path
    controller_port: int
    acceleration: Acceleration = Acceleration.TCG
    memory_mib: int = 3072
    has_x2apic: bool = True
    other: Path | None = None

    @property
    def uuid(self) -> UUID:
        """The machine's own id, which is the same each time a lab of this name starts."""
        return uuid5(NAMESPACE_DNS, f"{self.name}.lab.lanekeeper")

    @property
    def machine_id(self) -> str:
        """What ``/etc/machine-id`` holds in it."""
        return self.uuid.hex

    def mac(self, card: int) -> str:
        """The address of *card*, local to this lab: two labs side by side differ."""
        digest = sha256(self.name.encode()).hexdigest()
        return f"52:54:00:{digest[0:2]}:{digest[2:4]}:{card:02x}"

    def port_socket(self, index: int) -> Path:
        return self.folder / f"port{index}"

    @property
    def console(self) -> Path:
        return self.folder / "console.log"


def arguments(spec: LabSpec) -> list[str]:
    """Write QEMU's command line for *spec*."""
    return [
        QEMU,
        *("-name", f"guest={spec.name}", "-uuid", str(spec.uuid)),
        *("-nodefaults", "-no-user-config", "-no-reboot", "-display", "none", "-vga", "none"),
        *("-monitor", "none", "-serial", f"file:{spec.console}"),
        *_processor(spec),
        *_memory(spec),
        *_boot(spec),
        *_root(spec),
        *_ports(spec),
        *_network(spec),
        *_cards(spec),
        *_disk(spec),
    ]


def with_kernel_arguments(words: Sequence[str], kernel_arguments: str) -> list[str]:
    """Return QEMU's command line *words* with other arguments for the kernel."""
    at = words.index(_APPEND) + 1
    return [*words[:at], kernel_arguments, *words[at + 1 :]]


def escape(text: object) -> str:
    """Write *text* as part of a QEMU option: commas doubled."""
    return str(text).replace(",", ",,")


def _processor(spec: LabSpec) -> Iterator[str]:
    yield from ("-machine", "q35,kernel-irqchip=split", "-smp", "3")
    if spec.acceleration is Acceleration.KVM:
        limit = f"host-phys-bits=on,host-phys-bits-limit={PHYSICAL_ADDRESS_BITS}"
        yield from ("-accel", "kvm", "-cpu", f"host,{limit}")
    else:
        # "max" carries AMD's SVM, which TCG emulates: nested guests run under KVM.
        without = ",".join(f"{feature}=off" for feature in SLOW_FEATURES)
        model = f"max,phys-bits={PHYSICAL_ADDRESS_BITS},{without}"
        yield from ("-accel", "tcg,thread=multi", "-cpu", model)
    yield from ("-device", f"intel-iommu,intremap=on,caching-mode=on,device-iotlb=on{_eim(spec)}")


def _eim(spec: LabSpec) -> str:
    """Without it Linux speaks to local APICs by memory.

    Such an access, the end of an interrupt among them, is lost under TCG where another CPU maps
    something at that moment (docs/decisions/0120).
    """
    return ",eim=on" if spec.has_x2apic else ""


def _memory(spec: LabSpec) -> Iterator[str]:
    half = spec.memory_mib // 2
    yield from ("-m", f"{2 * half}M")
    for node, cpus in enumerate(NODE_CPUS):
        yield from ("-object", f"memory-backend-ram,id=memory{node},size={half}M")
        yield from ("-numa", f"node,nodeid={node},cpus={cpus},memdev=memory{node}")
    yield from ("-numa", "dist,src=0,dst=1,val=20")


def _boot(spec: LabSpec) -> Iterator[str]:
    words = f"{boot_menu.ALWAYS} {boot_menu.DEFAULT}"
    yield from ("-kernel", str(spec.kernel), "-initrd", str(spec.initramfs), _APPEND, words)


def _root(spec: LabSpec) -> Iterator[str]:
    options = "security_model=none,readonly=on,multidevs=remap,id=root"
    yield from ("-fsdev", f"local,path={escape(spec.tree)},{options}")
    yield from ("-device", "virtio-9p-pci,fsdev=root,mount_tag=root")


def _ports(spec: LabSpec) -> Iterator[str]:
    yield from ("-device", f"virtio-serial-pci,id=ports,max_ports={PORTS + 1}")
    for index in range(PORTS):
        path = escape(spec.port_socket(index))
        yield from ("-chardev", f"socket,id=port{index},path={path},server=on,wait=off")
        name = f"{PORT_NAME}{index}"
        yield from ("-device", f"virtserialport,bus=ports.0,chardev=port{index},name={name}")


def _network(spec: LabSpec) -> Iterator[str]:
    # One program for each connection: a character device would carry a single one for ever.
    port = spec.controller_port
    forward = shlex.join([str(spec.busybox), "nc", "127.0.0.1", str(port)])
    allowed = f"guestfwd=tcp:{CONTROLLER_ADDRESS}:{port}-cmd:{escape(forward)}"
    yield from ("-netdev", f"user,id=management,ipv6=off,restrict=on,{allowed}")
    yield from ("-device", f"virtio-net-pci,netdev=management,mac={spec.mac(0)},romfile=")


def _cards(spec: LabSpec) -> Iterator[str]:
    for node, bus in ((0, 32), (1, 64)):
        yield from ("-device", f"pxb-pcie,id=node{node},bus=pcie.0,bus_nr={bus},numa_node={node}")
    for slot, node in ((1, 0), (2, 1), (3, 0)):
        root_port = f"pcie-root-port,id=slot{slot},bus=node{node},chassis={slot},slot={slot}"
        yield from ("-device", root_port)
    for card in CARDS:
        yield from ("-netdev", _outside(spec, card))
        # A hub between: the card's link is up, whether or not another lab is there.
        yield from ("-netdev", f"hubport,id=plug{card},hubid={card},netdev=outside{card}")
        yield from ("-netdev", f"hubport,id=cable{card},hubid={card}")
        nic = f"igb,bus=slot{card},netdev=cable{card},mac={spec.mac(card)},romfile="
        yield from ("-device", nic)
    yield from ("-device", f"nvme-subsys,id=nvme,nqn=lanekeeper-{spec.name}")
    functions = "sriov_max_vfs=4,sriov_vq_flexible=8,sriov_vi_flexible=4"
    yield from ("-device", f"nvme,serial=lab-{spec.name},subsys=nvme,bus=slot3,{functions}")
    yield from ("-drive", f"if=none,id=drive,format=raw,file={escape(spec.drive)}")
    yield from ("-device", "nvme-ns,drive=drive,nsid=1")


def _outside(spec: LabSpec, card: int) -> str:
    kind, id_ = "stream", f"id=outside{card}"
    if spec.other is None:
        path = escape(cable_socket(spec.folder, card))
        return f"{kind},{id_},server=on,addr.type=unix,addr.path={path}"
    path = escape(cable_socket(spec.other, card))
    # In seconds, as every release since 8.0 knows it: the other lab may end and start again.
    return f"{kind},{id_},server=off,addr.type=unix,addr.path={path},reconnect=1"


def _disk(spec: LabSpec) -> Iterator[str]:
    # Behind all else, so that no card's address depends on it.
    yield from ("-drive", f"if=none,id=disk,format=raw,file={escape(spec.disk)}")
    yield from ("-device", "virtio-blk-pci,bus=pcie.0,drive=disk")
