"""What of the outer machine a lab host may see: its root file system, less what is private.

The lab host's root may mount the shared file system again, so nothing that it does itself can hide
anything. The tree is put together outside, in a mount namespace that only QEMU lives in, and what
is masked there is not in it.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from lanekeeper.lab.mounting import Mount

# Kernel interfaces and what runs on the outer machine; /proc alone would undo every other mask.
LIVE = ("/dev", "/proc", "/run", "/sys", "/tmp", "/var/tmp")  # noqa: S108 - hidden, not used
HOMES = ("/home", "/root")
# Whole folders of secrets, of other people's data, or of state that is not the lab host's.
PRIVATE_FOLDERS = (
    "/etc/apt/auth.conf.d",
    "/etc/ceph",
    "/etc/kolla",
    "/etc/kubernetes",
    "/etc/lanekeeper",
    "/etc/letsencrypt",
    "/etc/libvirt/qemu",
    "/etc/NetworkManager/system-connections",
    "/etc/neutron",
    "/etc/nova",
    "/etc/openvpn",
    "/etc/pki/tls/private",
    "/etc/ssl/private",
    "/etc/wireguard",
    "/lost+found",
    "/media",
    "/mnt",
    "/srv",
    "/var/backups",
    "/var/cache/libvirt",
    "/var/lib/containers",
    "/var/lib/docker",
    "/var/lib/kubelet",
    "/var/lib/lanekeeper",
    "/var/lib/libvirt",
    "/var/lib/mysql",
    "/var/lib/postgresql",
    "/var/lib/private",
    "/var/log",
    "/var/mail",
    "/var/spool",
)
PRIVATE_FILES = (
    "/etc/apt/auth.conf",
    "/etc/gshadow*",
    "/etc/krb5.keytab",
    "/etc/machine-id",
    "/etc/netplan/*",
    "/etc/shadow*",
    "/etc/ssh/*_key",
    "/swap*",
)
# A file system that is neither one of these nor the root's own is left out: network shares and
# FUSE mounts carry other people's files, the rest are kernel interfaces.
DISK_FILESYSTEMS = frozenset(
    [
        "bcachefs",
        "btrfs",
        "erofs",
        "ext2",
        "ext3",
        "ext4",
        "f2fs",
        "overlay",
        "squashfs",
        "tmpfs",
        "virtiofs",
        "xfs",
        "zfs",
    ]
)


@dataclass(frozen=True, slots=True)
class View:
    """The tree to put together, in this order.

    Attributes:
        shown: mount points to show beside the root, parents first.
        folders: to be covered with an empty folder each.
        files: to be covered with an empty file each.
        opened: folders below covered ones that are shown nevertheless.
    """

    shown: tuple[Path, ...]
    folders: tuple[Path, ...]
    files: tuple[Path, ...]
    opened: tuple[Path, ...]


def plan(mounts: Iterable[Mount], files: Iterable[Path], opened: Sequence[Path]) -> View:
    """Say how to put the tree together; pure.

    Args:
        mounts: the outer machine's.
        files: what ``PRIVATE_FILES`` matched there.
        opened: folders that the lab host has to see wherever they lie, links resolved.
    """
    folders = [Path(folder) for folder in (*LIVE, *HOMES, *PRIVATE_FOLDERS)]
    shown = {mount.point for mount in mounts if mount.filesystem in DISK_FILESYSTEMS}
    shown -= {Path("/")}
    return View(
        shown=tuple(sorted(point for point in shown if not _covered(point, folders))),
        folders=tuple(sorted(folders)),
        files=tuple(sorted(path for path in files if not _covered(path, folders))),
        opened=tuple(sorted({path for path in opened if _covered(path, folders)})),
    )


def _covered(path: Path, folders: Iterable[Path]) -> bool:
    return any(path.is_relative_to(folder) for folder in folders)


def read_private_files(root: Path = Path("/")) -> list[Path]:
    """Find the files below *root* that ``PRIVATE_FILES`` names, and the private ones of ``/etc``.

    No list of names is ever complete; but a password in ``/etc`` is kept from other users by its
    mode, or by that of a folder above it.
    """
    named = (root.glob(pattern.lstrip("/")) for pattern in PRIVATE_FILES)
    found = {path for matches in named for path in matches if path.is_file()}
    return sorted(found | set(_kept_from_others(root / "etc")))


def _kept_from_others(folder: Path, *, is_open: bool = True) -> Iterator[Path]:
    """Find regular files that a user who owns nothing cannot read; follows no link."""
    is_open = is_open and bool(folder.stat().st_mode & stat.S_IXOTH)
    for entry in os.scandir(folder):
        if entry.is_dir(follow_symlinks=False):
            yield from _kept_from_others(Path(entry.path), is_open=is_open)
        elif entry.is_file(follow_symlinks=False):
            mode = entry.stat(follow_symlinks=False).st_mode
            if not (is_open and mode & stat.S_IROTH):
                yield Path(entry.path)
