"""The lab host's disk: an ext4 image that keeps what it writes from one boot to the next.

It is the upper layer of the overlay over the outer machine's files, and goes with the lab. The
outer machine never mounts it: whatever the lab host's root did to it, only e2fsprogs reads it.
"""

from __future__ import annotations

from pathlib import Path

from lanekeeper.domain.errors import HostFault
from lanekeeper.lab.program import run

DRIVE_MIB = 64
SIZE_MIB = 4096  # the file has holes: 2 MiB are taken at first
LAYER = "files"
"""The folder on it that lies over the outer machine's root."""

_MIB = 2**20
_MADE_LATER = "lazy_itable_init=1,lazy_journal_init=1"
_REPLAYED = 1  # e2fsck's exit code when it has corrected something


def make(path: Path) -> None:
    """Make an empty disk at *path*. Raises Unavailable, HostFault."""
    make_blank(path, SIZE_MIB)
    run(["mkfs.ext4", "-q", "-F", "-m", "0", "-J", "size=16", "-E", _MADE_LATER, str(path)])


def make_blank(path: Path, size_mib: int) -> None:
    """Make a file of zeros that takes no room yet."""
    with path.open("wb") as file:
        file.truncate(size_mib * _MIB)
    path.chmod(0o600)


def read(path: Path, name: str) -> bytes:
    """Read the file *name* of the lab host, whose QEMU must have ended.

    The file system was not unmounted: what its journal holds is put in place first.

    Raises:
        HostFault: the file system is damaged, or has no such file.
    """
    run(["e2fsck", "-E", "journal_only", "-y", str(path)], fine=(0, _REPLAYED))
    inner = f"/{LAYER}{name}"
    content = run(["debugfs", "-R", f'cat "{inner}"', str(path)])
    if not content:  # debugfs ends with 0 all the same
        raise HostFault(f"the lab host's disk has no {name}, or an empty one")
    return content
