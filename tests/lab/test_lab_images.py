"""The archives and kernels that the lab builds, read back."""

from __future__ import annotations

import gzip
import json
import lzma
import shutil
import stat
import struct
import subprocess
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lanekeeper.domain.errors import Invalid
from lanekeeper.lab import cpio
from lanekeeper.lab.cache import write_whole
from lanekeeper.lab.kernel import parse_dependencies, payload, vmlinux

KERNEL = b"\x7fELF" + bytes(range(256)) * 40


def unpacked(data: bytes) -> Iterator[tuple[str, int, bytes]]:
    """Read a newc archive as the kernel does."""
    at = 0
    while True:
        assert data[at : at + 6] == b"070701"
        fields = [int(data[at + 6 + 8 * i : at + 14 + 8 * i], 16) for i in range(13)]
        mode, size, name_size = fields[1], fields[6], fields[11]
        name = data[at + 110 : at + 110 + name_size - 1].decode()
        start = at + 110 + name_size + -(at + 110 + name_size) % 4
        if name == "TRAILER!!!":
            return
        yield name, mode, data[start : start + size]
        at = start + size + -(start + size) % 4


def bzimage(packed: bytes, *, version: int = 0x020F, sectors: int = 3) -> bytes:
    """Make as much of a bzImage as names its payload, 100 bytes behind the setup code."""
    header = bytearray((sectors + 1) * 512)
    header[0x1F1] = sectors
    header[0x202:0x208] = b"HdrS" + struct.pack("<H", version)
    header[0x248:0x250] = struct.pack("<II", 100, len(packed))
    return bytes(header) + bytes(100) + packed + b"what follows"


@given(
    st.lists(st.tuples(st.text("abc/", min_size=1, max_size=9), st.binary(max_size=50)), max_size=8)
)
def test_an_archive_gives_back_its_entries(members: list[tuple[str, bytes]]) -> None:
    data = cpio.archive(cpio.file(path, content) for path, content in members)
    assert [(name, content) for name, _, content in unpacked(data)] == members
    assert len(data) % cpio.ALIGNMENT == 0


def test_an_archive_holds_folders_links_and_programs() -> None:
    entries = [
        cpio.folder("bin"),
        cpio.file("bin/busybox", b"x", executable=True),
        cpio.link("bin/sh", "busybox"),
    ]
    assert list(unpacked(cpio.archive(entries))) == [
        ("bin", stat.S_IFDIR | 0o755, b""),
        ("bin/busybox", stat.S_IFREG | 0o755, b"x"),
        ("bin/sh", stat.S_IFLNK | 0o777, b"busybox"),
    ]


@pytest.mark.parametrize(
    "packed",
    [
        gzip.compress(KERNEL),
        lzma.compress(KERNEL) + struct.pack("<I", len(KERNEL)),
        lzma.compress(KERNEL, format=lzma.FORMAT_ALONE) + struct.pack("<I", len(KERNEL)),
    ],
    ids=["gzip", "xz", "lzma"],
)
def test_the_kernel_comes_out_of_its_image(packed: bytes) -> None:
    assert vmlinux(bzimage(packed)) == KERNEL


@pytest.mark.skipif(shutil.which("zstd") is None, reason="zstd is not installed")
def test_a_zstd_kernel_comes_out_of_its_image() -> None:
    packed = subprocess.run(["zstd", "-q", "-c"], input=KERNEL, capture_output=True, check=True)
    assert vmlinux(bzimage(packed.stdout + struct.pack("<I", len(KERNEL)))) == KERNEL


@pytest.mark.parametrize(
    ("image", "reason"),
    [
        (bytes(4096), "HdrS is missing"),
        (bzimage(b"", version=0x0207), "older than 2.08"),
        (bzimage(b"unknown"), "unknown compression: 756e6b6e6f77"),
        (bzimage(gzip.compress(b"no kernel")), "not unpack to an ELF file"),
    ],
)
def test_what_is_no_kernel_is_refused(image: bytes, reason: str) -> None:
    with pytest.raises(Invalid, match=reason):
        vmlinux(image)


def test_zero_setup_sectors_mean_four() -> None:
    image = bytearray(bzimage(b"abc", sectors=4))
    image[0x1F1] = 0
    assert payload(bytes(image)) == b"abc"


def test_modules_are_inserted_in_modprobes_order() -> None:
    shown = "insmod /k/dca.ko.xz \nbuiltin i2c_core\ninsmod /k/igb.ko.xz max_vfs=7\n"
    assert parse_dependencies(shown) == [Path("/k/dca.ko.xz"), Path("/k/igb.ko.xz")]


def test_a_file_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    target = tmp_path / "new" / "file"
    write_whole(target, b"one")
    write_whole(target, b"two")
    assert target.read_bytes() == b"two"
    assert [path.name for path in target.parent.iterdir()] == ["file"]


def flattened(document: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Do in Python what the guest's awk does."""
    if isinstance(document, dict | list):
        pairs = document.items() if isinstance(document, dict) else enumerate(document)
        for key, value in pairs:
            yield from flattened(value, f"{path}.{key}" if path else str(key))
    else:
        yield path, document if isinstance(document, str) else json.dumps(document)


@pytest.mark.skipif(shutil.which("awk") is None, reason="awk is not installed")
@pytest.mark.parametrize("indent", [None, 4])
def test_the_guest_reads_json_however_it_is_laid_out(indent: int | None, tmp_path: Path) -> None:
    document = {
        "uuid": "9f2c",
        "meta": {"ping": "192.168.15.10,192.168.15.11", "quoted": 'a "b" c'},
        "links": [{"id": "tap1", "ethernet_mac_address": "FA:16:3E:00:00:01", "mtu": 1500}],
        "networks": [{"link": "tap1", "routes": [], "ip_address": "10.0.0.4"}, {"id": None}],
        "empty": {},
    }
    path = tmp_path / "data.json"
    path.write_text(json.dumps(document, indent=indent))
    script = str(files("lanekeeper.lab") / "guest_json.awk")
    done = subprocess.run(["awk", "-f", script, path], capture_output=True, text=True, check=True)
    lines = [tuple(line.split("\t")) for line in done.stdout.splitlines()]
    assert lines == list(flattened(document))
