"""Where a function's own bytes carry serial numbers: VPD, and one extended capability.

Source: PCI Local Bus Specification 3.0, appendix I; PCI Express Base Specification 6.0, 7.9.3.
"""

from __future__ import annotations

import re
from collections.abc import Callable

_EXTENDED_AT, _CONFIG_BYTES = 0x100, 4096
_SERIAL_CAPABILITY = 0x0003
_READ_ONLY, _WRITABLE, _LARGE = 0x90, 0x91, 0x80
_TELLING = re.compile(rb"SN|EC|MN|V.|Y.|AS")  # serial, asset; makers keep MACs and GUIDs in V*

Rename = Callable[[str], str]


def replace_serial(config: bytes, rename: Rename) -> bytes:
    """Return *config* with another Device Serial Number, if it has one."""
    at = _EXTENDED_AT
    for _ in range(_CONFIG_BYTES // 8):  # a broken chain may loop
        header = int.from_bytes(config[at : at + 4], "little")
        number = config[at + 4 : at + 12]
        if header & 0xFFFF == _SERIAL_CAPABILITY and any(number):
            fresh = bytes.fromhex(rename(number[::-1].hex("-")).replace("-", ""))[::-1]
            return config[: at + 4] + fresh + config[at + 12 :]
        at = header >> 20
        if at < _EXTENDED_AT:
            break
    return config


def scrub_vpd(data: bytes, rename: Rename) -> bytes:
    """Return *data* with its telling fields renamed, lengths kept and the checksum made right.

    What does not read as VPD is blanked, since nobody knows what is in it.
    """
    out, at = bytearray(data), 0
    while at < len(data) and data[at] & _LARGE:
        kind, size = data[at], int.from_bytes(data[at + 1 : at + 3], "little")
        if at + 3 + size > len(data):
            return bytes(len(data))
        if kind in (_READ_ONLY, _WRITABLE):
            _scrub_fields(out, at + 3, at + 3 + size, rename)
        at += 3 + size
    return bytes(out) if at else bytes(len(data))


def _scrub_fields(out: bytearray, at: int, end: int, rename: Rename) -> None:
    while at + 3 <= end:
        keyword, size = bytes(out[at : at + 2]), out[at + 2]
        start = at + 3
        if keyword == b"RV" and size:
            out[start] = -sum(out[:start]) & 0xFF
        elif _TELLING.fullmatch(keyword) and size:
            text = bytes(out[start : start + size]).decode("latin-1")
            out[start : start + size] = rename(text).encode("latin-1")[:size].ljust(size)
        at = start + size
