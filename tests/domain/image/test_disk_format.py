import struct

import pytest

from lanekeeper.domain.errors import Invalid
from lanekeeper.domain.image.disk_format import check_header

GIB = 2**30


def qcow2(
    *, version: int = 3, backing: int = 0, virtual: int = GIB, incompatible: int = 0
) -> bytes:
    name_bytes = 11 if backing else 0
    start = struct.pack(">4sIQIIQ", b"QFI\xfb", version, backing, name_bytes, 16, virtual)
    return start.ljust(72, b"\0") + struct.pack(">Q", incompatible).ljust(440, b"\0")


@pytest.mark.parametrize(
    ("header", "disk_format", "virtual"),
    [
        (qcow2(), "qcow2", GIB),
        (qcow2(version=2), "qcow2", GIB),
        (qcow2(version=2)[:72], "qcow2", GIB),
        (qcow2(incompatible=1), "qcow2", GIB),  # dirty: refcounts are repaired when opened
        (b"\x7fELF", "raw", 4096),
        (b"", "raw", 4096),
        (b"MZ", "aki", 4096),
    ],
)
def test_a_whole_image_tells_its_virtual_size(
    header: bytes, disk_format: str, virtual: int
) -> None:
    assert check_header(header, disk_format, 4096) == virtual


@pytest.mark.parametrize(
    ("header", "disk_format", "text"),
    [
        (qcow2(), "raw", "disk_format is raw, but the data is qcow2"),
        (qcow2(), "iso", "disk_format is iso, but the data is qcow2"),
        (b"\0" * 512, "qcow2", "disk_format is qcow2, but the data is not"),
        (b"", "qcow2", "disk_format is qcow2, but the data is not"),
        (qcow2()[:71], "qcow2", "ends within the header"),
        (qcow2(version=1), "qcow2", "version 1"),
        (qcow2(version=4), "qcow2", "version 4"),
        (qcow2(backing=104), "qcow2", "has a backing file"),
        (qcow2(version=2, backing=104), "qcow2", "has a backing file"),
        (qcow2(incompatible=4), "qcow2", "keeps its data in another file"),
        (qcow2(incompatible=7), "qcow2", "keeps its data in another file"),
        (qcow2(virtual=2**63), "qcow2", "too many"),
    ],
)
def test_what_is_not_as_declared_or_reaches_outside_is_refused(
    header: bytes, disk_format: str, text: str
) -> None:
    with pytest.raises(Invalid, match=text):
        check_header(header, disk_format, 4096)
