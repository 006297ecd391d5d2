"""The kernel's image: the uncompressed ``vmlinux`` inside a packaged ``bzImage``; its modules.

A guest that boots ``vmlinux`` is ready eight seconds sooner under emulation than one that has to
unpack its kernel first.

Source: Linux ``Documentation/arch/x86/boot.rst`` (setup header, payload fields since protocol
2.08), ``scripts/Makefile.lib`` (what appends the payload's size).
"""

from __future__ import annotations

import bz2
import gzip
import lzma
import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from lanekeeper.domain.errors import Invalid
from lanekeeper.lab.cache import Cache, write_whole
from lanekeeper.lab.program import run
from lanekeeper.lab.traceable import untraceable

SETUP_SECTS, MAGIC, VERSION = 0x1F1, 0x202, 0x206
PAYLOAD_OFFSET, PAYLOAD_LENGTH = 0x248, 0x24C
HEADER_MAGIC = b"HdrS"
PROTOCOL_2_08 = 0x0208
SECTOR = 512
SIZE_SUFFIX = 4  # all but gzip carry the unpacked size behind the stream; gzip ends with it itself
ELF = b"\x7fELF"


def _xz(data: bytes) -> bytes:
    return lzma.LZMADecompressor().decompress(data)  # ends with the stream, whatever follows


def _bzip2(data: bytes) -> bytes:
    return bz2.BZ2Decompressor().decompress(data)


def _gzip(data: bytes) -> bytes:
    return zlib.decompressobj(wbits=31).decompress(data)


def _zstd(data: bytes) -> bytes:
    return run(["zstd", "-q", "-d", "-c"], stdin=data[:-SIZE_SUFFIX])


def _lz4(data: bytes) -> bytes:
    return run(["lz4", "-q", "-d", "-c"], stdin=data[:-SIZE_SUFFIX])


UNPACKERS: tuple[tuple[bytes, Callable[[bytes], bytes]], ...] = (
    (b"\x1f\x8b", _gzip),
    (b"\xfd7zXZ\x00", _xz),
    (b"\x28\xb5\x2f\xfd", _zstd),
    (b"\x02\x21\x4c\x18", _lz4),
    (b"BZh", _bzip2),
    (b"\x5d\x00\x00", _xz),  # lzma's older form, which the same reader knows
)


def payload(image: bytes) -> bytes:
    """Cut the compressed kernel out of a bzImage.

    Raises:
        Invalid: it is no bzImage, or one older than boot protocol 2.08.
    """
    if image[MAGIC : MAGIC + 4] != HEADER_MAGIC:
        raise Invalid("no bzImage: the setup header's magic HdrS is missing")
    if _number(image, VERSION, 2) < PROTOCOL_2_08:
        raise Invalid("the bzImage's boot protocol is older than 2.08 and names no payload")
    code = ((image[SETUP_SECTS] or 4) + 1) * SECTOR
    start = code + _number(image, PAYLOAD_OFFSET, 4)
    return image[start : start + _number(image, PAYLOAD_LENGTH, 4)]


def _number(image: bytes, offset: int, size: int) -> int:
    return int.from_bytes(image[offset : offset + size], "little")


def vmlinux(image: bytes) -> bytes:
    """Unpack the ELF kernel from a bzImage.

    Raises:
        Invalid: no bzImage, an unknown compression, or what came out is no ELF file.
        Unavailable: the program for its compression is missing (zstd, lz4).
    """
    packed = payload(image)
    for magic, unpack in UNPACKERS:
        if packed.startswith(magic):
            kernel = unpack(packed)
            if not kernel.startswith(ELF):
                raise Invalid("the bzImage's payload does not unpack to an ELF file")
            return kernel
    raise Invalid(f"the bzImage's payload has an unknown compression: {packed[:6].hex()}")


def build_vmlinux(cache: Cache) -> Path:
    """Unpack the cached kernel's ELF file, once, and return its path."""
    path = cache.root / f"vmlinux-{cache.release()}"
    if not path.exists():
        write_whole(path, vmlinux(cache.vmlinuz().read_bytes()))
    return path


@dataclass(frozen=True, slots=True)
class Module:
    """One kernel module, uncompressed, as insmod takes it."""

    name: str
    content: bytes


def parse_dependencies(shown: str) -> list[Path]:
    """Read ``modprobe --show-depends``: the files in insmod's order; builtins left out."""
    words = (line.split() for line in shown.splitlines())
    return [Path(line[1]) for line in words if len(line) > 1 and line[0] == "insmod"]


def read_modules(cache: Cache, names: Iterable[str]) -> list[Module]:
    """Read modules and what they depend on from the cached kernel, in the order to insert them.

    They come as ``untraceable`` makes them. Raises as ``read_module_files``.
    """
    return list(read_module_files(cache, names).values())


def read_module_files(cache: Cache, names: Iterable[str]) -> dict[Path, Module]:
    """Read the same, by the packaged file.

    Raises:
        HostFault: the kernel knows none of that name.
    """
    found: dict[Path, Module] = {}
    for name in names:
        where = ["-d", str(cache.kernel), "-S", cache.release()]
        shown = run(["modprobe", *where, "--show-depends", name]).decode()
        for path in parse_dependencies(shown):
            if path not in found:
                unpacked = f"{path.name.partition('.ko')[0]}.ko"
                found[path] = Module(unpacked, untraceable(_unpacked(path)))
    return found


def _unpacked(path: Path) -> bytes:
    data = path.read_bytes()
    if path.suffix == ".xz":
        return lzma.decompress(data)
    if path.suffix == ".gz":
        return gzip.decompress(data)
    if path.suffix == ".zst":
        return run(["zstd", "-q", "-d", "-c"], stdin=data)
    return data
