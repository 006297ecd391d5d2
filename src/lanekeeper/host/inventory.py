"""The host's functions as a person wants to see them: with link, VF settings and holder.

Nothing here decides anything. What cannot be read is a fault with its name; the rest is shown.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from lanekeeper.domain.errors import HostFault
from lanekeeper.domain.pci.address import PciAddress
from lanekeeper.domain.pci.device import PciDevice
from lanekeeper.domain.pci.holder import Holder
from lanekeeper.domain.pci.vf_settings import VfSettings
from lanekeeper.host.attribute import read_text
from lanekeeper.host.fault import Faults
from lanekeeper.host.holder import Holders, read_holders
from lanekeeper.host.sysfs import PciSysfs
from lanekeeper.host.vf_settings import Settings, read_vf_settings, were_kept
from lanekeeper.host.vpd import read_serials

_BRIDGE = 0x06  # base class; PCI Code and ID Assignment Specification
_NOBODY: Holders = {}
_NOTHING: Settings = {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Inventory:
    """The functions of one host.

    Attributes:
        links: of functions with an interface: ``up 10000 Mbit/s``, ``no carrier``, ``down``.
        settings: what PFs hold for their VFs, by PF and index; without PFs that were not asked.
        slots: names of physical slots, by the function in them.
        serials: what the vital product data says, beside the number of the PCIe capability.
        faults: what was set aside, by name, with the reason.
    """

    devices: tuple[PciDevice, ...]
    links: Mapping[PciAddress, str] = field(default_factory=dict)
    settings: Mapping[PciAddress, Mapping[int, VfSettings]] = field(default_factory=dict)
    holders: Mapping[PciAddress, Holder] = field(default_factory=dict)
    slots: Mapping[PciAddress, str] = field(default_factory=dict)
    serials: Mapping[PciAddress, str] = field(default_factory=dict)
    faults: tuple[tuple[str, str], ...] = ()

    def serial_of(self, device: PciDevice) -> str | None:
        """The number printed on the card, where it is known; else that of the capability."""
        return self.serials.get(device.address) or device.serial

    def settings_of(self, device: PciDevice) -> VfSettings | None:
        """What the PF of *device* holds for it; None for what is no VF, or has none."""
        if device.parent is None or device.vf_index is None:
            return None
        return self.settings.get(device.parent, {}).get(device.vf_index)


def read_inventory(root: Path, *, live: bool) -> Inventory:
    """Read the host below *root*; of one that is not *live* only what was written down is known.

    Raises:
        HostFault: the PCI bus itself cannot be listed.
    """
    scan = PciSysfs(root).scan()
    faults = Faults(keep=True)
    faults.found = [(fault.name, fault.reason) for fault in scan.faults]
    holders = faults.part(
        "who holds what", lambda: read_holders(root, scan.devices, faults), _NOBODY
    )
    is_known = live or were_kept(root)
    return Inventory(
        devices=scan.devices,
        links=_links(root, scan.devices, faults),
        settings=read_vf_settings(root, scan.devices, faults) if is_known else _NOTHING,
        holders=holders,
        slots=scan.slots,
        serials=read_serials(root, filter(_may_be_a_card, scan.devices), faults),
        faults=tuple(faults.found),
    )


def _may_be_a_card(device: PciDevice) -> bool:
    return device.parent is None and device.class_code >> 16 != _BRIDGE


def _links(root: Path, devices: tuple[PciDevice, ...], faults: Faults) -> dict[PciAddress, str]:
    home = f"{root}/sys/class/net"
    links = {
        device.address: faults.part(device.netdev, partial(_link, f"{home}/{device.netdev}"), "")
        for device in devices
        if device.netdev is not None
    }
    return {address: link for address, link in links.items() if link}


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
