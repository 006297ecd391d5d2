"""Which modules and module options are in the first root file system of the running kernel.

Source: Linux ``Documentation/driver-api/early-userspace/buffer-format.rst``: cpio archives, one
after the other, any of them compressed.
"""

from __future__ import annotations

import gzip
import lzma
import zlib
from collections.abc import Iterator
from pathlib import Path

from lanekeeper.domain.errors import HostFault
from lanekeeper.domain.hostplan.survey import Initramfs
from lanekeeper.host.attribute import read_bytes, read_lines
from lanekeeper.host.run import Terms, run

CAPTURED = "captured/initramfs"
"""How a captured machine has it: ``module NAME`` and ``option LINE``, after ``path FILE``."""

_FILES = ("boot/initrd.img-{}", "boot/initramfs-{}.img", "boot/initrd-{}")
_BYTES_MAX = 2**29
_UNPACKED_MAX = 2**31
_SECONDS = 60.0
_HEADER_BYTES = 110
_MAGICS = (b"070701", b"070702")
_PROGRAMS = {b"\x28\xb5\x2f\xfd": "zstd", b"\x02\x21\x4c\x18": "lz4"}


def read_initramfs(root: Path, release: str) -> Initramfs | None:
    """Read it, or what was captured of it; None when there is none under a name that is known.

    Raises:
        HostFault: it cannot be read, or is packed in a way that nothing here unpacks.
    """
    if (root / CAPTURED).exists():
        return _captured(read_lines(str(root / CAPTURED)))
    for pattern in _FILES:
        name = pattern.format(release)
        data = read_bytes(str(root / name), _BYTES_MAX) if release else None
        if data:
            return _parse(name, data)
    return None


def update_command(root: Path, release: str) -> tuple[str, ...] | None:
    """Return the command that makes it anew; None when neither of the two tools is there."""
    if (root / "usr/sbin/update-initramfs").exists():
        return ("update-initramfs", "-u", "-k", release or "all")
    if any((root / name).exists() for name in ("usr/bin/dracut", "usr/sbin/dracut")):
        which = ("--kver", release) if release else ("--regenerate-all",)
        return ("dracut", "--force", *which)
    return None


def listing(initramfs: Initramfs) -> str:
    """Return *initramfs* as a captured machine has it."""
    modules = (f"module {name}" for name in sorted(initramfs.modules))
    options = (f"option {line}" for line in sorted(initramfs.modprobe))
    return "\n".join([f"path {initramfs.path}", *modules, *options])


def _captured(lines: list[str]) -> Initramfs:
    found: dict[str, set[str]] = {"path": set(), "module": set(), "option": set()}
    for line in lines:
        kind, _, rest = line.partition(" ")
        found.get(kind, set()).add(rest)
    return Initramfs(
        path=min(found["path"], default=CAPTURED),
        modules=frozenset(found["module"]),
        modprobe=frozenset(found["option"]),
    )


def _parse(name: str, data: bytes) -> Initramfs:
    modules: set[str] = set()
    options: set[str] = set()
    for path, content in _entries(name, data):
        stem, dot, _ = path.rpartition("/")[2].partition(".ko")
        if dot:
            modules.add(stem.replace("-", "_"))
        elif "modprobe.d/" in path and path.endswith(".conf"):
            options.update(
                " ".join(line.split()) for line in content.decode("utf-8", "replace").splitlines()
            )
    return Initramfs(path=name, modules=frozenset(modules), modprobe=frozenset(options - {""}))


def _entries(name: str, data: bytes) -> Iterator[tuple[str, bytes]]:
    """Walk the archives; what follows the last plain one is compressed, or the end."""
    at = 0
    while at < len(data):
        if data[at : at + 1] == b"\0":
            at += 1
        elif data[at : at + 6] in _MAGICS:
            path, content, at = _entry(name, data, at)
            yield path, content
        else:
            yield from _entries(name, _unpack(name, data[at:]))
            return


def _entry(name: str, data: bytes, at: int) -> tuple[str, bytes, int]:
    try:
        header = data[at : at + _HEADER_BYTES]
        size, path_size = int(header[54:62], 16), int(header[94:102], 16)
    except ValueError as error:
        raise HostFault(f"/{name} is damaged at byte {at}") from error
    path_at = at + _HEADER_BYTES
    content_at = (path_at + path_size + 3) // 4 * 4
    path = data[path_at : path_at + path_size - 1].decode("utf-8", "replace")
    return path, data[content_at : content_at + size], (content_at + size + 3) // 4 * 4


def _unpack(name: str, data: bytes) -> bytes:
    try:
        if data[:2] == b"\x1f\x8b":
            return gzip.decompress(data)
        if data[:6] == b"\xfd7zXZ\0":
            return lzma.decompress(data)
    except (OSError, EOFError, zlib.error, lzma.LZMAError) as error:
        raise HostFault(f"/{name} cannot be unpacked: {error}") from error
    program = _PROGRAMS.get(data[:4])
    if program is None:
        raise HostFault(f"/{name} is packed in an unknown way ({data[:4].hex()})")
    terms = Terms(timeout_s=_SECONDS, output_bytes=_UNPACKED_MAX, data=data)
    try:
        ended = run([program, "-dcq"], program, terms)
    except OSError as error:
        raise HostFault(f"/{name} needs {program} to be unpacked: {error}") from error
    except HostFault as error:
        raise HostFault(f"/{name} cannot be unpacked: {error}") from error
    if ended.code:
        reason = ended.errors.decode("utf-8", "replace").strip().partition("\n")[0]
        said = reason[:200] or f"exit code {ended.code}"
        raise HostFault(f"/{name} cannot be unpacked: {program} says {said}")
    return ended.output
