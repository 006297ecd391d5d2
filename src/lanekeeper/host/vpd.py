"""Vital product data: what the maker wrote into a card, its serial number among it.

Source: PCI Local Bus Specification 3.0, appendix I: tags of large resources, and in the read-only
one (0x90) keywords of two letters with a length of one byte.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from pathlib import Path

from lanekeeper.domain.pci.address import PciAddress
from lanekeeper.domain.pci.device import PciDevice
from lanekeeper.host.attribute import read_bytes
from lanekeeper.host.fault import Faults

_READ_ONLY, _LARGE, _END = 0x90, 0x80, 0x78
_BYTES_MAX = 4096


def read_serials(root: Path, devices: Iterable[PciDevice], faults: Faults) -> dict[PciAddress, str]:
    """Return the serial number of each of *devices* that says one."""
    home = str(root / "sys/bus/pci/devices")
    paths = {one.address: f"{home}/{one.address}/vpd" for one in devices}
    found = {
        address: faults.part(f"VPD of {address}", partial(read_serial, path), None)
        for address, path in paths.items()
    }
    return {address: serial for address, serial in found.items() if serial is not None}


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
