"""What the first bytes of an image say about it.

A qcow2 header may name another file, which QEMU would open with its own rights on the host: the
way out of a tenant's image into the host's files. Such images are never taken.
"""

from __future__ import annotations

import struct

from lanekeeper.domain.errors import Invalid

HEADER_BYTES = 512

_QCOW2_MAGIC = b"QFI\xfb"
_QCOW2_LEAST = 72  # bytes of a version 2 header
_VERSION_3 = 3
_EXTERNAL_DATA_FILE = 1 << 2
_VIRTUAL_BYTES_MAX = 2**50
"""Source: qemu ``docs/interop/qcow2.rst``, Header."""


def check_header(header: bytes, disk_format: str, size_bytes: int) -> int:
    """Return the virtual size in bytes of a disk whose bytes begin with *header*.

    Args:
        header: the first 512 bytes, or all there are.
        disk_format: what the image is said to be.
        size_bytes: of the whole image.

    Raises:
        Invalid: it is not of that format, or it refers to another file.
    """
    is_qcow2 = header.startswith(_QCOW2_MAGIC)
    if disk_format != "qcow2":
        if is_qcow2:
            raise Invalid(
                f"disk_format is {disk_format}, but the data is qcow2",
                hint="create the image with disk_format qcow2, or convert the file",
            )
        return size_bytes
    if not is_qcow2:
        raise Invalid(
            "disk_format is qcow2, but the data is not: it does not begin with QFI\\xfb",
            hint="create the image with the disk_format that the file has, such as raw",
        )
    return _check_qcow2(header)


def _check_qcow2(header: bytes) -> int:
    if len(header) < _QCOW2_LEAST:
        raise Invalid("the data is no qcow2 image: it ends within the header")
    version, backing_offset, backing_bytes = struct.unpack_from(">IQI", header, 4)
    (virtual_bytes,) = struct.unpack_from(">Q", header, 24)
    if version not in {2, _VERSION_3}:
        raise Invalid(f"the data is qcow2 of version {version}; versions 2 and 3 are taken")
    if backing_offset or backing_bytes:
        raise Invalid(
            "the qcow2 image has a backing file, which would be read on the host",
            hint="flatten it: qemu-img convert -O qcow2 IN OUT",
        )
    if version == _VERSION_3:
        (incompatible,) = struct.unpack_from(">Q", header.ljust(HEADER_BYTES, b"\0"), 72)
        if incompatible & _EXTERNAL_DATA_FILE:
            raise Invalid(
                "the qcow2 image keeps its data in another file, which would be read on the host",
                hint="make it whole: qemu-img convert -O qcow2 IN OUT",
            )
    if virtual_bytes > _VIRTUAL_BYTES_MAX:
        raise Invalid(f"the qcow2 image says that its disk has {virtual_bytes} bytes: too many")
    return int(virtual_bytes)
