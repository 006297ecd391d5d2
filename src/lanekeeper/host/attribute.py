"""Reading and writing the kernel's one-value files.

Absence is None, refusal is a HostFault that names the file: the two are never mixed up.
Paths are plain strings here; a scan of 1,024 functions makes 10,000 of them.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from lanekeeper.domain.errors import HostFault

_GONE = (FileNotFoundError, NotADirectoryError)
_CHUNK = 65536
_BYTES_MAX = 2**20  # sysfs gives a page; cpuinfo and interrupts of a large host some hundred KiB

Write = Callable[[str, str], None]
"""Gives the kernel a text: ``write(path, text)``. Raises HostFault."""


@contextmanager
def refusals(action: str) -> Iterator[None]:
    """Turn the kernel's refusal of *action* into a HostFault that names it."""
    try:
        yield
    except OSError as error:
        raise HostFault(f"cannot {action}: {error.strerror}") from error


def read_bytes(path: str, most: int = _BYTES_MAX) -> bytes | None:
    """Return up to *most* bytes; None when there is no such file. Raises HostFault."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            return _read_all(descriptor, most)
        finally:
            os.close(descriptor)
    except _GONE:
        return None
    except OSError as error:
        raise HostFault(f"cannot read {path}: {error.strerror}") from error


def _read_all(descriptor: int, most: int) -> bytes:
    """Read to the end: procfs hands out whole records, so a short read there is not the end."""
    parts: list[bytes] = []
    left = most
    while left > 0 and (data := os.read(descriptor, min(left, _CHUNK))):
        parts.append(data)
        left -= len(data)
    return b"".join(parts)


def read_text(path: str) -> str | None:
    """Return the text, stripped; bytes that are not UTF-8 show as U+FFFD. Raises HostFault."""
    data = read_bytes(path)
    return None if data is None else data.decode("utf-8", "replace").strip()


def read_attribute(path: str) -> bytes | None:
    """Return one attribute of sysfs, by the one read that gives all of it; None when there is none.

    Raises:
        HostFault: the kernel refused it.

    Source: Linux ``Documentation/filesystems/sysfs.rst``: an attribute is a page at most.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            return os.read(descriptor, _CHUNK)
        finally:
            os.close(descriptor)
    except _GONE:
        return None
    except OSError as error:
        raise HostFault(f"cannot read {path}: {error.strerror}") from error


def read_lines(path: str) -> list[str]:
    """Return every line of a file, empty ones too; none for no file. Raises HostFault."""
    return (read_bytes(path) or b"").decode("utf-8", "replace").splitlines()


def write_text(path: str, text: str) -> None:
    """Give the kernel *text* in one write(2); never create a file.

    A driver may refuse with any errno, ENOENT too, so absence is not told apart here.
    """
    with refusals(f"write {text.strip()!r} to {path}"):
        descriptor = os.open(path, os.O_WRONLY | os.O_TRUNC | os.O_CLOEXEC)
        try:
            os.write(descriptor, text.encode("ascii"))
        finally:
            os.close(descriptor)


def link_name(path: str) -> str | None:
    """Return the last part of the link's target; None when there is no link. Raises HostFault."""
    way = link_way(path)
    return None if way is None else way.rpartition("/")[2]


def link_way(path: str) -> str | None:
    """Return the link's target, as it is written; None when nothing is there. Raises HostFault."""
    try:
        return os.readlink(path)  # noqa: PTH115  # hot path
    except _GONE:
        return None
    except OSError as error:
        raise HostFault(f"cannot follow {path}: {error.strerror}") from error


def link_target(path: str) -> str | None:
    """Return where a link leads, as it is written; None for what is no link. Raises HostFault."""
    try:
        return os.readlink(path)  # noqa: PTH115  # hot path
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.EINVAL):
            return None
        raise HostFault(f"cannot follow {path}: {error.strerror}") from error


def names(path: str) -> list[str]:
    """Return the names in a directory, sorted; empty when there is none. Raises HostFault."""
    try:
        return sorted(os.listdir(path))  # noqa: PTH208  # Path objects cost more than the syscall
    except _GONE:
        return []
    except OSError as error:
        raise HostFault(f"cannot list {path}: {error.strerror}") from error


def whole(text: str, what: str, base: int = 10) -> int:
    """Read a number that the kernel wrote. Raises HostFault, which names *what* and the text."""
    try:
        return int(text, base)
    except ValueError as error:
        raise HostFault(f"{what} is {text[:40]!r}, not a number") from error
