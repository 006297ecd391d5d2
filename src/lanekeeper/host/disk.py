"""Which PCI functions carry the disks that the host itself has mounted.

Read from procfs and sysfs only, so that a captured tree answers as the host does.
"""

from __future__ import annotations

import os
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from lanekeeper.domain.pci.address import PciAddress
from lanekeeper.host.attribute import names, read_text

_ADDRESS = re.compile(r"/([0-9a-f]{4,8}:[0-9a-f]{2}:[01][0-9a-f]\.[0-7])(?=/)")
_DRIVE = re.compile(r"nvme(\d+)n(\d+)(?:p\d+)?")
_MAPPER = "/dev/mapper/"


def read_mounted(root: Path) -> dict[PciAddress, tuple[str, ...]]:
    """Return what is mounted from the disks of each PCI function, through LVM and RAID too.

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
    for device, place in _used(root):
        name = device.removeprefix("/dev/")
        if device.startswith(_MAPPER):
            name = names_by_mapping.get(device.removeprefix(_MAPPER)) or name
        for function in _functions(base, name):
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


def _functions(base: Path, name: str) -> set[PciAddress]:
    """Return the functions below a block device, which may stand on several."""
    found: set[PciAddress] = set()
    stack = [name]
    for one in stack:  # grows while it is walked
        addresses = _ADDRESS.findall(os.path.realpath(base / one))
        if addresses:
            found.add(PciAddress.parse(addresses[-1]))
        below = names(str(base / one / "slaves")) + _paths(base, one)
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
