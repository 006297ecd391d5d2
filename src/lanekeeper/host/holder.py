"""Who holds which function on this host: libvirt's records of active guests, then processes.

libvirt keeps the XML of each active domain below ``/run/libvirt/qemu``, so neither libvirt nor its
library is needed to know. A guest that somebody started by hand is known by the VFIO file that its
process keeps open.

Source: libvirt ``src/qemu/qemu_process.c`` writes the status files; Linux
``Documentation/driver-api/vfio.rst``.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Protocol

from lanekeeper.domain.errors import HostFault, Invalid
from lanekeeper.domain.pci.address import PciAddress
from lanekeeper.domain.pci.device import PciDevice
from lanekeeper.domain.pci.driver import is_vfio
from lanekeeper.domain.pci.holder import GUEST_RECORDS, Holder, HolderKind
from lanekeeper.host.attribute import names, read_bytes, read_text
from lanekeeper.host.fault import Faults

CAPTURED = "captured/holders"
_STATUS = "run/libvirt/qemu"
_FUNCTIONS = (
    "devices/interface[@type='hostdev']/source/address",
    "devices/hostdev[@type='pci']/source/address",
)
_VFIO_FILE = re.compile(r"/dev/vfio/(?:(\d+)|devices/(vfio\d+))")
_GUEST_NAME = re.compile(rb"\0-name\0(?:guest=)?([^,\0]+)")

Holders = dict[PciAddress, Holder]
_NOTHING: tuple[tuple[PciAddress, Holder], ...] = ()


class _Fields(Protocol):
    """The attributes of an XML element."""

    def get(self, key: str, default: str, /) -> str: ...


def read_holders(root: Path, devices: Iterable[PciDevice], faults: Faults) -> Holders:
    """Return the holders of *devices* on the host below *root*.

    A guest's record that makes no sense goes to *faults*. A guest has what it has by a VFIO driver,
    so each function on one that nobody else has may be that guest's: its holder is not known.

    Raises:
        HostFault: the kernel refused a read, or *faults* keeps none.
    """
    captured = read_bytes(str(root / CAPTURED))
    if captured is not None:
        return decode_holders(captured)
    before = len(faults.found)
    found = dict(_guests(root, faults))
    held = [one for one in devices if is_vfio(one.driver) and one.address not in found]
    if held:
        found |= _processes(root, held)
    if len(faults.found) > before:
        unknown = Holder(HolderKind.UNKNOWN, "the record of a guest makes no sense")
        found |= {one.address: unknown for one in held if one.address not in found}
    return found


def encode_holders(holders: Mapping[PciAddress, Holder]) -> str:
    """Write *holders* down as a capture keeps them: no part of a guest's XML, which has secrets."""
    import msgspec

    return msgspec.json.encode({str(at): holder for at, holder in holders.items()}).decode()


def decode_holders(text: bytes) -> Holders:
    """Raises HostFault: *text* is not what ``encode_holders`` writes."""
    import msgspec  # only captures have this

    from lanekeeper.domain import typed

    try:
        found = typed.decode(text, dict[str, Holder])
        return {PciAddress.parse(address): holder for address, holder in found.items()}
    except (msgspec.MsgspecError, Invalid) as error:
        raise HostFault(f"/{CAPTURED} makes no sense: {error}") from error


def _guests(root: Path, faults: Faults) -> Iterator[tuple[PciAddress, Holder]]:
    home = root / _STATUS
    for name in names(str(home)):
        if name.endswith(".xml"):
            text, source = read_bytes(str(home / name)) or b"", f"/{_STATUS}/{name}"
            read = partial(_guest, text, source)
            yield from faults.part(GUEST_RECORDS, read, _NOTHING)


def _guest(text: bytes, source: str) -> tuple[tuple[PciAddress, Holder], ...]:
    from lxml import etree  # where no guest is, its loading is saved

    parser = etree.XMLParser(resolve_entities=False, no_network=True)
    try:
        domain = etree.fromstring(text, parser).find("domain")
    except etree.XMLSyntaxError as error:
        raise HostFault(f"{source} is no XML: {error}") from error
    if domain is None:
        return ()  # the record of a network, or of a domain's save image
    holder = Holder(HolderKind.GUEST, domain.findtext("title") or domain.findtext("name") or "?")
    addresses = (address for path in _FUNCTIONS for address in domain.findall(path))
    return tuple((_address(address, source), holder) for address in addresses)


def _address(fields: _Fields, source: str) -> PciAddress:
    """Source: libvirt ``src/conf/device_conf.c``: numbers in base 16 with 0x, domain may lack."""
    try:
        parts = (int(fields.get(name, "0"), 0) for name in ("domain", "bus", "slot", "function"))
        return PciAddress(*parts)
    except (ValueError, Invalid) as error:
        raise HostFault(f"{source} gives a guest a function at no address: {error}") from error


def _processes(root: Path, held: list[PciDevice]) -> Holders:
    """Find who has the VFIO files of *held* open; UNKNOWN where that may not be seen."""
    by_file = {name: one.address for one in held for name in _files(root, one)}
    members: dict[str, list[PciAddress]] = {}
    for one in held:
        if one.iommu_group is not None:
            members.setdefault(str(one.iommu_group), []).append(one.address)
    found: Holders = {}
    blind = False
    for pid in filter(str.isdecimal, names(str(root / "proc"))):
        home = root / "proc" / pid
        try:
            opened = _vfio_files(home)
        except PermissionError:
            blind = True
            continue
        except OSError:
            continue  # it has ended
        for group, file in opened:
            addresses = members.get(group, []) if group else [by_file[file]] * (file in by_file)
            found |= dict.fromkeys(addresses, _process(home, int(pid)))
    if blind:
        unknown = Holder(HolderKind.UNKNOWN)
        found |= {one.address: unknown for one in held if one.address not in found}
    return found


def _files(root: Path, device: PciDevice) -> list[str]:
    """Names of the device's files for IOMMUFD, as ``vfio3``."""
    return names(str(root / "sys/bus/pci/devices" / str(device.address) / "vfio-dev"))


def _vfio_files(home: Path) -> list[tuple[str, str]]:
    """Groups and device files that a process has open. Raises OSError."""
    links = (_target(f"{home}/fd/{name}") for name in os.listdir(f"{home}/fd"))  # noqa: PTH208
    matches = (_VFIO_FILE.fullmatch(link) for link in links)
    return [(found[1] or "", found[2] or "") for found in matches if found]


def _target(path: str) -> str:
    try:
        return os.readlink(path)  # noqa: PTH115  # thousands of them
    except FileNotFoundError:
        return ""  # closed meanwhile


def _process(home: Path, pid: int) -> Holder:
    """Name it by the guest it runs, where it says so, as QEMU's ``-name`` does."""
    said = _GUEST_NAME.search(read_bytes(str(home / "cmdline")) or b"")
    name = said[1].decode("utf-8", "replace") if said else read_text(str(home / "comm")) or "?"
    return Holder(HolderKind.PROCESS, name, pid)
