"""Settings kept as lines of text below /etc, each with the file and number it stands at."""

from __future__ import annotations

import glob
import re
from collections.abc import Iterator
from pathlib import Path

from lanekeeper.domain.hostplan.survey import Line, MemoryLimit
from lanekeeper.host.attribute import read_lines

BOOT_FILES = (
    "etc/rc.local",
    "etc/rc.d/rc.local",
    "etc/udev/rules.d/*.rules",
    "etc/systemd/system/*.service",
    "etc/systemd/network/*",
    "etc/NetworkManager/system-connections/*",
    "etc/sysconfig/network-scripts/ifcfg-*",
    "etc/network/interfaces",
    "etc/network/interfaces.d/*",
    "etc/netplan/*.yaml",
    "etc/sysfs.conf",
    "etc/sysfs.d/*.conf",
    "etc/tmpfiles.d/*.conf",
)
"""What distributions read or run at boot, where people have VFs made."""

BOOT_WORDS = re.compile(r"sriov|SRIOV|max_vfs|VirtualFunctions|virtual-function-count|total-vfs")

LIMIT_FILES = (
    "etc/security/limits.conf",
    "etc/security/limits.d/*.conf",
    *(
        f"{home}/systemd/system/{unit}.service{drop_in}"
        for home in ("etc", "usr/lib")
        for unit in ("libvirtd", "virtqemud")
        for drop_in in ("", ".d/*.conf")
    ),
)
LIMIT_WORDS = re.compile(r"memlock|LimitMEMLOCK", re.IGNORECASE)

_SUFFIXES = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}  # systemd.exec(5)
_AMOUNT = re.compile(r"(\d+)([KMGT]?)B?")
_LIMIT_COLUMNS = 4  # limits.conf(5): who, soft or hard, item, value in KiB
_GUEST_USERS = frozenset(("*", "qemu", "libvirt-qemu", "root", "@kvm", "kvm"))


def read_boot_lines(root: Path) -> tuple[tuple[Line, ...], tuple[str, ...]]:
    """Return the lines that speak of VFs, and the files that were read. Raises HostFault."""
    found = {(root / name).resolve(): name for name in reversed([*matching(root, BOOT_FILES)])}
    files = tuple(reversed(found.values()))  # Red Hat's /etc/rc.local is a link to the other
    return tuple(_lines(root, files, BOOT_WORDS)), files


def read_memory_limits(root: Path) -> tuple[MemoryLimit, ...]:
    """Return the limits that libvirt, or who runs QEMU, is given in files. Raises HostFault."""
    lines = _lines(root, matching(root, LIMIT_FILES), LIMIT_WORDS)
    return tuple(limit for line in lines if (limit := _limit(line)))


def _limit(line: Line) -> MemoryLimit | None:
    if "systemd" in line.path:
        value = line.text.partition("=")[2].strip().rpartition(":")[2]
        found = _AMOUNT.fullmatch(value)
        unit = re.search(r"(\w+)\.service", line.path)
        if found is None or unit is None:
            return None  # infinity
        return MemoryLimit(line, unit[1], int(found[1]) * _SUFFIXES[found[2]])
    words = line.text.split()
    if len(words) != _LIMIT_COLUMNS or words[2] != "memlock" or words[0] not in _GUEST_USERS:
        return None
    return MemoryLimit(line, words[0], int(words[3]) * 1024) if words[3].isdecimal() else None


def matching(root: Path, patterns: tuple[str, ...]) -> Iterator[str]:
    """Yield the files that are there, relative to *root*."""
    for pattern in patterns:
        for name in sorted(glob.glob(pattern, root_dir=root)):  # noqa: PTH207  # relative names
            if (root / name).is_file():
                yield name


def _lines(
    root: Path, files: Iterator[str] | tuple[str, ...], words: re.Pattern[str]
) -> Iterator[Line]:
    for name in files:
        for number, text in enumerate(read_lines(str(root / name)), 1):
            bare = text.strip()
            if words.search(bare) and not bare.startswith(("#", ";")):
                yield Line(name, number, bare)
