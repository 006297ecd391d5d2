"""How functions are printed: a tree for people, every fact for ``--json``."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from typing import Any

from lanekeeper.cli.table import table
from lanekeeper.domain.pci.address import PciAddress
from lanekeeper.domain.pci.device import PciDevice
from lanekeeper.domain.pci.unit import units
from lanekeeper.domain.pci.vf_settings import LinkState
from lanekeeper.host.inventory import Inventory

_BRIDGE = 0x06
_NOTHING = "-"
_HEAD = (
    *("ADDRESS", "TYPE", "IDS", "NUMA", "GROUP", "DRIVER"),
    *("NETDEV", "MAC", "VLAN", "LINK", "SLOT", "SERIAL", "HOLDER"),
)
_WHERE_KNOWN = ("SLOT", "SERIAL")
FINE, PLAIN = ("├─ ", "└─ "), ("|- ", "`- ")
"""What VFs hang on, for terminals that know such characters and for those that do not."""

Branches = tuple[str, str]


def is_bridge(device: PciDevice) -> bool:
    return device.class_code >> 16 == _BRIDGE


def devices_text(
    inventory: Inventory, chosen: Sequence[PciDevice], branches: Branches = PLAIN
) -> Iterator[str]:
    """PFs with their VFs below them, everything else in bus order; then what of it belongs
    together, and what was set aside.
    """
    yield table(*_without_empty(list(_rows(inventory, chosen, branches))))
    shown = {device.address for device in chosen}
    for unit in units(inventory.devices):
        members = [str(one.address) for one in unit.members]
        if any(one.address in shown for one in unit.members):
            yield f"only together: {', '.join(members)} (they share {unit.tie})"
    for name, reason in inventory.faults:
        yield f"set aside: {name}: {reason}"


def _without_empty(
    rows: list[tuple[str, ...]],
) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """Return head and rows without the columns that hosts may know nothing of."""
    empty = {_HEAD.index(name) for name in _WHERE_KNOWN}
    empty = {at for at in empty if all(row[at] == _NOTHING for row in rows)}
    kept = [at for at in range(len(_HEAD)) if at not in empty]
    return tuple(_HEAD[at] for at in kept), [tuple(row[at] for at in kept) for row in rows]


def _rows(
    inventory: Inventory, chosen: Sequence[PciDevice], branches: Branches
) -> Iterator[tuple[str, ...]]:
    shown = {device.address for device in chosen}
    below: dict[PciAddress, list[PciDevice]] = {}
    for device in chosen:
        if device.parent in shown:
            below.setdefault(device.parent, []).append(device)
    for device in chosen:
        if device.parent in shown:
            continue
        yield _row(inventory, device, "")
        vfs = sorted(below.get(device.address, ()), key=lambda vf: vf.vf_index or 0)
        for vf in vfs:
            yield _row(inventory, vf, branches[vf is vfs[-1]])


def _row(inventory: Inventory, device: PciDevice, branch: str) -> tuple[str, ...]:
    settings = inventory.settings_of(device)
    mac = device.mac or (settings.mac if settings else None)
    vlan = settings.vlan if settings else 0
    return (
        f"{branch}{device.address}",
        _type(device),
        f"{device.vendor_id:04x}:{device.product_id:04x}",
        _or_dash(device.numa_node),
        _or_dash(device.iommu_group),
        _or_dash(device.driver),
        _or_dash(device.netdev),
        _or_dash(mac),
        _or_dash(vlan or None),
        _link(inventory, device),
        _or_dash(inventory.slots.get(device.address)),
        _or_dash(inventory.serial_of(device)),
        _or_dash(inventory.holders.get(device.address)),
    )


def _type(device: PciDevice) -> str:
    kind = device.dev_type.removeprefix("type-")
    if device.vf_index is not None:
        return f"{kind} {device.vf_index}"
    return f"{kind} {device.num_vfs}/{device.total_vfs}" if device.total_vfs else kind


def _link(inventory: Inventory, device: PciDevice) -> str:
    """The interface's own, else what the PF was told to say to the VF."""
    link = inventory.links.get(device.address)
    settings = inventory.settings_of(device)
    if link or settings is None or settings.link_state is None:
        return link or "-"
    return LinkState(settings.link_state).name.lower()


def _or_dash(value: object) -> str:
    return _NOTHING if value is None else str(value)


def inventory_json(inventory: Inventory, chosen: Iterable[PciDevice]) -> dict[str, Any]:
    return {
        "devices": [_shown(inventory, device) for device in chosen],
        "units": [
            {"members": [str(one.address) for one in unit.members], "tie": unit.tie}
            for unit in units(inventory.devices)
        ],
        "set_aside": [{"name": name, "reason": reason} for name, reason in inventory.faults],
    }


def _shown(inventory: Inventory, device: PciDevice) -> dict[str, Any]:
    settings, holder = inventory.settings_of(device), inventory.holders.get(device.address)
    return {
        **device_json(device),
        "link": inventory.links.get(device.address),
        "slot": inventory.slots.get(device.address),
        "vpd_serial": inventory.serials.get(device.address),
        "settings": None if settings is None else _settings_json(asdict(settings)),
        "holder": None if holder is None else asdict(holder),
    }


def _settings_json(settings: dict[str, Any]) -> dict[str, Any]:
    state = settings["link_state"]
    return settings | {"link_state": None if state is None else LinkState(state).name.lower()}


def device_json(device: PciDevice) -> dict[str, Any]:
    """One device with the field names and spellings of the compute API."""
    facts = {name: getattr(device, name) for name in PciDevice.__slots__}
    return {
        **facts,
        "address": str(device.address),
        "vendor_id": f"{device.vendor_id:04x}",
        "product_id": f"{device.product_id:04x}",
        "class_code": f"{device.class_code:06x}",
        "parent": None if device.parent is None else str(device.parent),
    }
