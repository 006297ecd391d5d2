"""Which PCI functions carry the disks that the host itself has mounted.

Read from procfs and sysfs only, so that a captured tree answers as the host does.
"""

from __future__ import annotations

import os
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from lanekeeper.domain.pci.address import PciAddress
from lanekeeper.host.attribute import link_name, names, read_text

_ADDRESS = re.compile(r"/([0-9a-f]{4,8}:[0-9a-f]{2}:[01][0-9a-f]\.[0-7])(?=/)")
_DRIVE = re.compile(r"nvme(\d+)n(\d+)(?:p\d+)?")
_VOLUME = re.compile(r"/dev/zd\d+(?:p\d+)?")  # of some pool: which one, nothing here says
_ZFS_MEMBER = "zfs_member"
BTRFS = "sys/fs/btrfs"
UDEV = "run/udev/data"
_MAPPER = "/dev/mapper/"


def read_mounted(root: Path) -> dict[PciAddress, tuple[str, ...]]:
    """Return what is mounted from the disks of each PCI function.

    LVM, RAID, ZFS and a btrfs on several devices may lie between.

    Raises:
        HostFault: the kernel refused a read.

    Source: Linux fs/proc_namespace.c, show_vfsmnt().
    """
    base = root / "sys/class/block"
    names_by_mapping = {
        read_text(str(base / name / "dm/name")): name
        for name in names(str(base))
        if name[:3] == "dm-"
    }
    mounted: defaultdict[PciAddress, list[str]] = defaultdict(list)
    together = _together(root)
    used = [*_used(root)]
    used += [(f"/dev/{name}", place) for name, place in _used_by_zfs(root, used)]
    for device, place in used:
        name = device.removeprefix("/dev/")
        if device.startswith(_MAPPER):
            name = names_by_mapping.get(device.removeprefix(_MAPPER)) or name
        for function in _functions(base, name, together):
            if place not in mounted[function]:
                mounted[function].append(place)
    return {function: tuple(places) for function, places in mounted.items()}


def _used(root: Path) -> Iterator[tuple[str, str]]:
    """Yield each block device that is mounted or swapped to, and where."""
    for line in (read_text(str(root / "proc/self/mounts")) or "").splitlines():
        device, place = f"{line} ".split(" ")[:2]
        if device.startswith("/dev/"):
            yield device, place
    for line in (read_text(str(root / "proc/swaps")) or "").splitlines()[1:]:
        if line.startswith("/dev/"):
            yield line.split()[0], "swap"


@dataclass(frozen=True, slots=True)
class Member:
    """A block device that belongs to a ZFS pool, imported or not: its number, as ``259:3``."""

    number: str
    name: str
    pool: str


def read_members(root: Path) -> list[Member]:
    """Return the members of ZFS pools. ZFS hangs no links below disks; udev has looked into them.

    Raises:
        HostFault: the kernel refused a read.

    Source: systemd's udev ``src/udev/udev-builtin-blkid.c``, which stores ID_FS_TYPE; util-linux
    ``libblkid/src/superblocks/zfs.c``, which calls them zfs_member, with the pool as label.
    """
    found: list[Member] = []
    for file in names(str(root / UDEV)):
        if not file.startswith("b"):
            continue
        lines = (read_text(str(root / UDEV / file)) or "").splitlines()
        told = dict(line.removeprefix("E:").partition("=")[::2] for line in lines)
        name = link_name(str(root / "sys/dev/block" / file[1:]))
        if told.get("ID_FS_TYPE") == _ZFS_MEMBER and name:
            found.append(Member(file[1:], name, told.get("ID_FS_LABEL", "")))
    return found


def _used_by_zfs(root: Path, used: list[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    """Yield each member of a pool, and what is mounted or swapped to from it, or the pool."""
    members = read_members(root)
    lines = (read_text(str(root / "proc/self/mounts")) or "").splitlines() if members else []
    mounts = [f"{line}   ".split(" ")[:3] for line in lines]
    volumes = [place for device, place in used if _VOLUME.fullmatch(device)]
    for member in members:
        own = [at for what, at, kind in mounts if _is_of(member.pool, what) and kind == "zfs"]
        for place in (f"the ZFS pool {member.pool}".rstrip(), *own, *volumes):
            yield member.name, place


def _is_of(pool: str, dataset: str) -> bool:
    return dataset.partition("/")[0] == pool


def _together(root: Path) -> dict[str, list[str]]:
    """Return for each device of a btrfs all of its devices: a mount names one of them.

    Source: Linux fs/btrfs/sysfs.c, btrfs_sysfs_add_device(): links by the kernel's names.
    """
    base = root / BTRFS
    found: dict[str, list[str]] = {}
    for filesystem in names(str(base)):
        devices = names(str(base / filesystem / "devices"))
        found |= dict.fromkeys(devices, devices)
    return found


def _functions(base: Path, name: str, together: Mapping[str, list[str]]) -> set[PciAddress]:
    """Return the functions below a block device, which may stand on several."""
    found: set[PciAddress] = set()
    stack = [name]
    for one in stack:  # grows while it is walked
        addresses = _ADDRESS.findall(os.path.realpath(base / one))
        if addresses:
            found.add(PciAddress.parse(addresses[-1]))
        below = names(str(base / one / "slaves")) + _paths(base, one) + together.get(one, [])
        stack.extend(other for other in below if other not in stack)
    return found


def _paths(base: Path, name: str) -> list[str]:
    """Return the paths to a drive that hangs below its NVMe subsystem and below no function.

    Source: Linux drivers/nvme/host/multipath.c: ``nvme0c1n1`` is the path by controller 1.
    """
    drive = _DRIVE.fullmatch(name)
    if drive is None or "/nvme-subsystem/" not in os.path.realpath(base / name):
        return []
    path = re.compile(rf"nvme{drive[1]}c\d+n{drive[2]}")
    return [other for other in names(str(base)) if path.fullmatch(other)]
