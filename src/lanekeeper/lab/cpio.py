"""The kernel's initramfs archive, written without a program.

Source: Linux ``Documentation/driver-api/early-userspace/buffer-format.rst`` (newc).
"""

from __future__ import annotations

import stat
from collections.abc import Iterable
from dataclasses import dataclass

MAGIC = "070701"
TRAILER = "TRAILER!!!"
ALIGNMENT = 4


@dataclass(frozen=True, slots=True)
class Entry:
    """One member of an archive. *mode* carries the file's kind; *device* is (major, minor)."""

    path: str
    mode: int
    content: bytes = b""
    device: tuple[int, int] = (0, 0)


def folder(path: str) -> Entry:
    """A directory anyone may read."""
    return Entry(path, stat.S_IFDIR | 0o755)


def file(path: str, content: bytes, *, executable: bool = False) -> Entry:
    """A regular file."""
    return Entry(path, stat.S_IFREG | (0o755 if executable else 0o644), content)


def link(path: str, target: str) -> Entry:
    """A symbolic link."""
    return Entry(path, stat.S_IFLNK | 0o777, target.encode())


def archive(entries: Iterable[Entry]) -> bytes:
    """Write *entries* in their order; a folder has to stand before what it holds.

    The same entries give the same bytes: owners and times are zero, inodes count up.
    """
    out = bytearray()
    for inode, entry in enumerate(entries, start=1):
        _append(out, entry, inode)
    _append(out, Entry(TRAILER, 0), 0)
    return bytes(out)


def _append(out: bytearray, entry: Entry, inode: int) -> None:
    name = entry.path.encode() + b"\0"
    links = 2 if stat.S_ISDIR(entry.mode) else 1
    fields = (inode, entry.mode, 0, 0, links, 0, len(entry.content), 0, 0, *entry.device)
    out += (MAGIC + "".join(f"{field:08X}" for field in (*fields, len(name), 0))).encode()
    _pad(out, name)
    _pad(out, entry.content)


def _pad(out: bytearray, data: bytes) -> None:
    out += data
    out += bytes(-len(out) % ALIGNMENT)
