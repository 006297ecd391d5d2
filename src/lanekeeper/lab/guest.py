"""The guest image: three files, made from the distribution's kernel and busybox, nothing compiled.

* a raw disk of 1 MiB, as good as empty: the root disk that a server has to have;
* the kernel as ``vmlinux``, which starts at once;
* an initramfs that is the whole guest: it prints what it was given and answers pings.

What it prints, a line each: ``GUEST-INIT uptime``, ``GUEST-SERVER uuid``,
``GUEST-PCI address vendor:device class= driver=``, ``GUEST-NET interface mac= driver= pci=
carrier=``, ``GUEST-ADDRESS interface address netmask= mac=``, ``GUEST-PING address ok|FAIL``,
``GUEST-READY uptime``, and then ``GUEST-PLUGGED mac= pci=`` for each card that is plugged in later;
``GUEST-WARN`` for what went wrong.
"""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from lanekeeper.lab import cpio
from lanekeeper.lab.cache import Cache, write_whole
from lanekeeper.lab.kernel import Module, build_vmlinux, read_modules

DISK_BYTES = 1 << 20
DISK_LABEL = b"Lanekeeper guest: everything is in the initramfs.\n"
# "quiet" spares a VM exit for every character of the kernel's messages: seconds under emulation.
COMMAND_LINE = (
    "console=ttyS0 quiet mitigations=off tsc=reliable"
    " init_on_alloc=0 randomize_kstack_offset=off apparmor=0"
)
MEMORY_MIB = 192
# The guest inserts a group when it sees a device that needs it, and spends no time on others.
MODULES = {
    "ahci": ("ahci", "sr_mod", "sd_mod"),
    "igb": ("igb",),
    "igbvf": ("igbvf",),
    "isofs": ("isofs",),
    "nvme": ("nvme",),
    "virtio_blk": ("virtio_blk",),
    "virtio_net": ("virtio_net",),
    "virtio_scsi": ("virtio_scsi", "sr_mod", "sd_mod"),
}
APPLETS = (
    "[ awk basename cat cut hostname ifconfig insmod ls mount ping readlink sed sh sleep tr umount"
)


@dataclass(frozen=True, slots=True)
class GuestImage:
    """Where the three files lie, and what a server made of them needs.

    Attributes:
        command_line: for the image property ``os_command_line``.
        memory_mib: the smallest flavor that boots it.
    """

    disk: Path
    kernel: Path
    ramdisk: Path
    command_line: str = COMMAND_LINE
    memory_mib: int = MEMORY_MIB


def build(cache: Cache) -> GuestImage:
    """Build the files that are not there yet. Raises NotFound without an unpacked kernel."""
    disk = cache.guest / "disk.img"
    if not disk.exists():
        write_whole(disk, DISK_LABEL.ljust(DISK_BYTES, b"\0"))
    content = cpio.archive(entries(cache))
    # A new name for a new content: a running lab host serves old names from its memory.
    ramdisk = cache.guest / f"initramfs-{hashlib.sha256(content).hexdigest()[:16]}.img"
    if not ramdisk.exists():
        write_whole(ramdisk, gzip.compress(content, mtime=0))
    return GuestImage(disk, build_vmlinux(cache), ramdisk)


def entries(cache: Cache) -> Iterable[cpio.Entry]:
    """List what is in the guest's initramfs."""
    for name in ("bin", "config", "dev", "loaded", "modules", "proc", "sys", "tmp"):
        yield cpio.folder(name)
    yield cpio.file("bin/busybox", cache.busybox.read_bytes(), executable=True)
    yield from (cpio.link(f"bin/{name}", "busybox") for name in APPLETS.split())
    yield cpio.file("init", _resource("guest_init.sh"), executable=True)
    yield cpio.file("flat.awk", _resource("guest_json.awk"))
    written: dict[str, Module] = {}
    for group, names in MODULES.items():
        modules = read_modules(cache, names)
        order = "\n".join(module.name for module in modules)
        yield cpio.file(f"modules/{group}", order.encode())
        written.update({module.name: module for module in modules})
    yield from (cpio.file(f"modules/{name}", module.content) for name, module in written.items())


def _resource(name: str) -> bytes:
    return (files("lanekeeper.lab") / name).read_bytes()
