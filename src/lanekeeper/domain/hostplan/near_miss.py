"""What an entry that selects nothing probably meant, and what is there instead of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from difflib import get_close_matches

from lanekeeper.domain.hostplan.observed import HostFacts
from lanekeeper.domain.hostplan.policy.reading import VERY_NEAR
from lanekeeper.domain.hostplan.policy.selector import DeviceSelector
from lanekeeper.domain.pci.address import PciAddress
from lanekeeper.domain.pci.device import PciDevice

_BRIDGE = 0x06  # base class; PCI Code and ID Assignment Specification
_TOLD_MAX = 8
_ASKED = ("altname", "serial", "slot", "vendor", "product", "ids", "class", "driver", "numa_node")


def instead_of_pf(selector: DeviceSelector, host: HostFacts) -> Iterator[str]:
    """Say what *selector* means that is no PF, and which PF that points at."""
    for found in _others(selector, host.pfs, host):
        name = f"{found.address}{_named(found)}"
        if found.parent is not None:
            pf = next((one for one in host.pfs if one.address == found.parent), None)
            of = f"{found.parent}{_named(pf) if pf else ''}"
            yield f'{name} is VF {found.vf_index} of {of}: name the PF, pf: "{found.parent}"'
        elif found.class_code >> 16 == _BRIDGE:
            yield f"{name} is a bridge"
        else:
            off = "it has no SR-IOV, or its firmware or the machine's has it switched off"
            yield f"{name} is no PF: {off}{_of_one_card(found.address, host)}"


def instead_of_device(selector: DeviceSelector, host: HostFacts) -> Iterator[str]:
    """Say what *selector* means that is not given away whole."""
    for found in _others(selector, host.whole, host):
        if found.parent is not None:
            fix = "the entry of its PF in pfs gives a VF its driver: vf_driver, or ranges"
            yield f"{found.address} is a VF of {found.parent}; {fix}"
        else:
            yield f"{found.address} is a bridge, which no guest can have"


def near_names(
    selector: DeviceSelector, among: Sequence[PciDevice], host: HostFacts
) -> Iterator[str]:
    """Names that stand at another key, or with a letter wrong; functions next to an address."""
    if isinstance(selector.address, PciAddress):
        yield from _beside(selector.address, among, host)
    wanted = selector.netdev or selector.altname
    if wanted is None:
        return
    own = {one.netdev: one for one in among if one.netdev}
    other = {name: one for one in among for name in host.altnames.get(one.address, ())}
    if selector.netdev is not None and wanted in other:
        yield f"{wanted} is another name of {other[wanted].address}: altname: {wanted}"
    elif selector.altname is not None and wanted in own:
        yield f"{wanted} is the interface's own name: netdev: {wanted}"
    else:
        known = {**other, **own}
        for name in get_close_matches(wanted, known, n=1, cutoff=VERY_NEAR):
            yield f"{name} is the nearest name, that of {known[name].address}"


def told(device: PciDevice, selector: DeviceSelector, host: HostFacts) -> str:
    """Name *device* with its interface, and with what it has where *selector* asks for more."""
    empty = DeviceSelector()
    asked = [name for name in _ASKED if _given(selector, name) != _given(empty, name)]
    parts = [device.netdev or "no netdev", *(_has(device, name, host) for name in asked)]
    return f"{device.address} ({', '.join(part for part in parts if part)})"


def _others(
    selector: DeviceSelector, among: Sequence[PciDevice], host: HostFacts
) -> list[PciDevice]:
    """Return what *selector* means beside *among*; a place in a row says nothing of these."""
    wanted = {one.address for one in among}
    rest = [one for one in host.devices if one.address not in wanted]
    alone = replace(selector, index=None)
    return list(alone.select(rest, host))[:_TOLD_MAX] if str(alone) else []


def _beside(address: PciAddress, among: Sequence[PciDevice], host: HostFacts) -> Iterator[str]:
    """Name the other functions of a card that has none at *address*."""
    if any(one.address == address for one in host.devices):
        return
    beside = [str(one.address) for one in among if _card(one.address) == _card(address)]
    if beside:
        yield f"that card has no function {address.function}, but {', '.join(beside)}"


def _of_one_card(address: PciAddress, host: HostFacts) -> str:
    pfs = [str(pf.address) for pf in host.pfs if _card(pf.address) == _card(address)]
    return f"; of the same card {', '.join(pfs)} can have VFs" if pfs else ""


def _card(address: PciAddress) -> PciAddress:
    return replace(address, function=0)


def _named(device: PciDevice) -> str:
    parts = [part for part in (device.netdev, device.driver) if part]
    return f" ({', '.join(parts)})" if parts else ""


def _given(selector: DeviceSelector, name: str) -> object:
    return getattr(selector, "class_code" if name == "class" else name)


def _has(device: PciDevice, name: str, host: HostFacts) -> str:
    """Say what *device* has in the field *name*; empty where it has nothing."""
    ids = f"{device.vendor_id:04x}:{device.product_id:04x}"
    serials = [text for text in (host.serials.get(device.address), device.serial) if text]
    has = {
        "altname": ", ".join(host.altnames.get(device.address, ())),
        "serial": " or ".join(serials),
        "slot": host.slots.get(device.address),
        "vendor": ids[:4],
        "product": ids[5:],
        "ids": ids,
        "class": f"{device.class_code:06x}",
        "driver": device.driver,
        "numa_node": device.numa_node,
    }[name]
    return "" if has in (None, "") else f"{name} {has}"
