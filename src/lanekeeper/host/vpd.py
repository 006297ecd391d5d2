"""Vital product data: what the maker wrote into a card, its serial number among it.

Source: PCI Local Bus Specification 3.0, appendix I: tags of large resources, and in the read-only
one (0x90) keywords of two letters with a length of one byte.
"""

from __future__ import annotations

from lanekeeper.host.attribute import read_bytes

_READ_ONLY, _LARGE, _END = 0x90, 0x80, 0x78
_BYTES_MAX = 4096


def read_serial(path: str) -> str | None:
    """Return keyword SN of the VPD at *path*; None without one. Raises HostFault."""
    data = read_bytes(path, _BYTES_MAX)
    return None if data is None else _serial(data)


def _serial(data: bytes) -> str | None:
    at = 0
    while at + 3 <= len(data) and data[at] & _LARGE:
        length = int.from_bytes(data[at + 1 : at + 3], "little")
        if data[at] == _READ_ONLY:
            return _keyword(data[at + 3 : at + 3 + length], b"SN")
        at += 3 + length
    return None


def _keyword(data: bytes, wanted: bytes) -> str | None:
    at = 0
    while at + 3 <= len(data):
        length = data[at + 2]
        if data[at : at + 2] == wanted:
            text = data[at + 3 : at + 3 + length].decode("ascii", "replace").strip(" \0")
            return text or None
        at += 3 + length
    return None
