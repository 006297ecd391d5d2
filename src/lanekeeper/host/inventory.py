"""The host's functions as a person wants to see them: with link, VF settings and holder.

Nothing here decides anything. What cannot be read is a fault with its name; the rest is shown.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from lanekeeper.domain.errors import Error, HostFault, Invalid
from lanekeeper.domain.pci.address import PciAddress
from lanekeeper.domain.pci.device import PciDevice
from lanekeeper.domain.pci.holder import Holder
from lanekeeper.host.attribute import read_bytes, read_text
from lanekeeper.host.holder import read_holders
from lanekeeper.host.machine import Machine, VfSettings

CAPTURED_SETTINGS = "captured/vf-settings"
_NETWORK = 0x02  # base class; PCI Code and ID Assignment Specification

VfKey = tuple[PciAddress, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Inventory:
    """The functions of one host.

    Attributes:
        links: of functions with an interface: ``up 10000 Mbit/s``, ``no carrier``, ``down``.
        settings: what PFs hold for their VFs, by PF and index.
        faults: what was set aside, by name, with the reason.
    """

    devices: tuple[PciDevice, ...]
    links: Mapping[PciAddress, str] = field(default_factory=dict)
    settings: Mapping[VfKey, VfSettings] = field(default_factory=dict)
    holders: Mapping[PciAddress, Holder] = field(default_factory=dict)
    faults: tuple[tuple[str, str], ...] = ()

    def settings_of(self, device: PciDevice) -> VfSettings | None:
        """What the PF of *device* holds for it; None for what is no VF, or has none."""
        if device.parent is None or device.vf_index is None:
            return None
        return self.settings.get((device.parent, device.vf_index))


def read_inventory(root: Path, machine: Machine, *, live: bool) -> Inventory:
    """Read the host below *root*, which *machine* is; one that is not *live* answers no netlink.

    Raises:
        HostFault: the PCI bus itself cannot be listed.
    """
    scan = machine.scan()
    faults = [(fault.name, fault.reason) for fault in scan.faults]
    settings: dict[VfKey, VfSettings] = {}
    try:
        settings = _captured_settings(root)
        holders = read_holders(root, scan.devices)
    except HostFault as error:
        faults.append(("who holds what", str(error)))
        holders = {}
    for pf in switching_pfs(scan.devices) if live else ():
        try:
            found = machine.all_vf_settings(pf.address)
        except Error as error:
            faults.append((f"VF settings of {pf.address}", str(error)))
            continue
        settings |= {(pf.address, index): one for index, one in found.items()}
    return Inventory(
        devices=scan.devices,
        links=_links(root, scan.devices, faults),
        settings=settings,
        holders=holders,
        faults=tuple(faults),
    )


def switching_pfs(devices: tuple[PciDevice, ...]) -> tuple[PciDevice, ...]:
    """PFs of network cards that have VFs and an interface, so that VF settings can be asked for."""
    return tuple(
        one for one in devices if one.num_vfs and one.netdev and one.class_code >> 16 == _NETWORK
    )


def settings_text(
    devices: tuple[PciDevice, ...], read: Callable[[PciAddress], Mapping[int, VfSettings]]
) -> str:
    """Write down, for a capture, what the PFs among *devices* hold. Raises HostFault, NotFound."""
    import msgspec

    found = {str(pf.address): read(pf.address) for pf in switching_pfs(devices)}
    return msgspec.json.encode(found).decode() if found else ""


def _captured_settings(root: Path) -> dict[VfKey, VfSettings]:
    text = read_bytes(str(root / CAPTURED_SETTINGS))
    if text is None:
        return {}
    import msgspec  # only captures have this

    try:
        told = msgspec.json.decode(text, type=dict[str, dict[int, VfSettings]])
        return {
            (PciAddress.parse(pf), index): one
            for pf, found in told.items()
            for index, one in found.items()
        }
    except (msgspec.MsgspecError, Invalid) as error:
        raise HostFault(f"{CAPTURED_SETTINGS} makes no sense: {error}") from error


def _links(
    root: Path, devices: tuple[PciDevice, ...], faults: list[tuple[str, str]]
) -> dict[PciAddress, str]:
    found = {}
    for device in devices:
        if device.netdev is not None:
            try:
                found[device.address] = _link(f"{root}/sys/class/net/{device.netdev}")
            except HostFault as error:
                faults.append((device.netdev, str(error)))
    return {address: link for address, link in found.items() if link}


def _link(home: str) -> str:
    """Say in words how the interface is.

    Source: Linux ``Documentation/ABI/testing/sysfs-class-net``: carrier and speed cannot be read
    of one that is down.
    """
    state = read_text(f"{home}/operstate") or ""
    if state == "up":
        speed = _said(f"{home}/speed")
        return f"up {speed} Mbit/s" if speed and speed.isdecimal() else "up"
    return "no carrier" if state == "down" and _said(f"{home}/carrier") == "0" else state


def _said(path: str) -> str | None:
    try:
        return read_text(path)
    except HostFault:
        return None
