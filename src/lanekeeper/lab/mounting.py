"""mount(2) and unshare(2), which Python's standard library lacks before 3.12 or altogether.

Source: Linux ``include/uapi/linux/mount.h``, ``include/uapi/linux/sched.h``.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from lanekeeper.domain.errors import HostFault

MS_RDONLY, MS_BIND, MS_REC, MS_PRIVATE = 1, 4096, 16384, 1 << 18
CLONE_NEWNS = 0x0002_0000
MOUNT_FIELDS_MIN = 10

_libc = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True, slots=True)
class Mount:
    """One line of mountinfo."""

    point: Path
    filesystem: str


def mount(source: str, target: Path, filesystem: str = "", flags: int = 0, data: str = "") -> None:
    """Mount. Raises HostFault, naming source and target."""
    words = (source, str(target), filesystem)
    arguments = [word.encode() for word in words]
    if _libc.mount(*arguments, ctypes.c_ulong(flags), data.encode()) != 0:
        reason = os.strerror(ctypes.get_errno())
        raise HostFault(f"cannot mount {filesystem or source} at {target}: {reason}")


def bind(source: Path, target: Path) -> None:
    """Show *source*, without what is mounted below it, at *target* too. Raises HostFault."""
    mount(str(source), target, flags=MS_BIND)


def unshare_mounts() -> None:
    """Give this process mounts of its own; from now on nobody else sees its changes.

    Raises:
        HostFault: not root, or the kernel refused.
    """
    if _libc.unshare(CLONE_NEWNS) != 0:
        reason = os.strerror(ctypes.get_errno())
        raise HostFault(f"cannot make a mount namespace: {reason}", hint="root is needed")
    mount("none", Path("/"), flags=MS_REC | MS_PRIVATE)


def parse_mountinfo(text: str) -> Iterator[Mount]:
    r"""Yield mounts in the order they were made; ``\040`` and the like are spaces and tabs again.

    Source: ``proc_pid_mountinfo(5)``.
    """
    for line in text.splitlines():
        before, _, after = line.partition(" - ")
        fields = [*before.split(" "), *after.split(" ")]
        if len(fields) < MOUNT_FIELDS_MIN - 1:
            continue
        point = fields[4].encode().decode("unicode_escape").encode("latin-1").decode()
        yield Mount(Path(point), after.split(" ")[0])
