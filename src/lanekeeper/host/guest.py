"""Which functions active guests have, from the records that libvirt keeps of them.

Source: libvirt ``src/qemu/qemu_domain.c``: a status file for each active domain.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from lanekeeper.domain.errors import HostFault, Invalid
from lanekeeper.domain.pci.address import PciAddress
from lanekeeper.host.attribute import names, read_bytes

_RECORDS = "run/libvirt/qemu"
_ADDRESSES = (".//devices/hostdev/source/address", ".//devices/interface/source/address")
_PARTS = ("domain", "bus", "slot", "function")


def read_guests(root: Path) -> dict[PciAddress, str]:
    """Return the name of the guest that has a function, by its address. Raises HostFault."""
    home = root / _RECORDS
    records = [name for name in names(str(home)) if name.endswith(".xml")]
    return {
        address: guest
        for name in records
        for address, guest in _given(read_bytes(str(home / name)) or b"", f"/{_RECORDS}/{name}")
    }


def _given(text: bytes, source: str) -> Iterator[tuple[PciAddress, str]]:
    from lxml import etree  # most hosts that are planned for have no guest

    parser = etree.XMLParser(resolve_entities=False, no_network=True)
    try:
        record = etree.fromstring(text, parser)
    except etree.XMLSyntaxError as error:
        raise HostFault(f"{source} is no XML: {error}") from error
    guest = record.findtext("domain/name") or record.findtext("name") or "?"
    for address in (found for path in _ADDRESSES for found in record.findall(path)):
        try:
            numbers = [int(address.get(part) or "0", 0) for part in _PARTS]
            yield PciAddress(*numbers), guest
        except (ValueError, Invalid) as error:
            raise HostFault(f"{source} gives {guest} a function at no address: {error}") from error
