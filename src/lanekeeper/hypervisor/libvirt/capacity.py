"""How large this host is, from libvirt's capabilities."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from lxml import etree

from lanekeeper.hypervisor.driver import Capacity
from lanekeeper.protocol import NumaCell

_KIB_A_MIB = 1024
_PAIRING_LIBVIRT, _PAIRING_QEMU = 6_001_000, 4_002_000
"""From which versions on there is ``<teaming>``. Source: libvirt ``docs/formatdomain.rst``."""
_PARSER = etree.XMLParser(resolve_entities=False, no_network=True)


def read_capacity(connection: Any, files: Path) -> Capacity:
    """Ask libvirt, and the file system below *files*. Raises libvirtError, OSError."""
    info = connection.getInfo()
    while not files.exists():
        files = files.parent
    return Capacity(
        hypervisor=connection.getType().lower(),
        version=connection.getVersion(),
        architecture=info[0],
        vcpus=info[2],
        memory_mib=info[1],
        disk_gib=shutil.disk_usage(files).total >> 30,
        cells=parse_cells(connection.getCapabilities()),
        pairs=can_pair(connection.getLibVersion(), connection.getVersion()),
    )


def can_pair(libvirt: int, qemu: int) -> bool:
    """Whether these versions let a virtio card stand by for a VF."""
    return libvirt >= _PAIRING_LIBVIRT and qemu >= _PAIRING_QEMU


def parse_cells(text: str) -> tuple[NumaCell, ...]:
    """Read the NUMA nodes from capabilities XML, in node order."""
    root = etree.fromstring(text.encode(), _PARSER)
    cells = (
        NumaCell(
            id=int(cell.get("id", "0")),
            cpus=sorted(int(cpu.get("id", "0")) for cpu in cell.findall("cpus/cpu")),
            memory_mib=int(cell.findtext("memory") or "0") // _KIB_A_MIB,
        )
        for cell in root.findall("host/topology/cells/cell")
    )
    return tuple(sorted(cells, key=lambda cell: cell.id))
