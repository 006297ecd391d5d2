"""Entries that name a network interface: which card each means, whatever it is called later.

A name is looked up when it is first there, and means that card from then on: names change at will,
and an interface is gone while a guest has its function. Nova looks names up anew each time.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from typing import Self

from lanekeeper.domain.pci.address import PciAddress
from lanekeeper.domain.pci.device import PciDevice
from lanekeeper.domain.pci.device_spec import DeviceSpec


@dataclass(frozen=True, slots=True)
class Pin:
    """The function that an interface's name means."""

    address: PciAddress
    vendor_id: int
    product_id: int
    serial: str | None

    @classmethod
    def of(cls, device: PciDevice) -> Self:
        return cls(device.address, device.vendor_id, device.product_id, device.serial)


Pins = Mapping[str, Pin]
"""By the name that entries have."""


def pin(specs: Sequence[DeviceSpec], devices: Sequence[PciDevice], before: Pins) -> Pins:
    """Look up the names of *specs*: those that mean something *before* still mean that.

    Where another card is at the address now, the name is looked up again; where none is, it may
    come back.
    """
    there = {device.address: Pin.of(device) for device in devices}
    by_name = {device.netdev: Pin.of(device) for device in devices if device.netdev}
    found: dict[str, Pin] = {}
    for name in dict.fromkeys(spec.devname for spec in specs):
        if name is None:
            continue
        known = before.get(name)
        if known is not None and there.get(known.address, known) == known:
            found[name] = known
        elif name in by_name:
            found[name] = by_name[name]
    return found


def pinned(specs: Sequence[DeviceSpec], pins: Pins) -> tuple[DeviceSpec, ...]:
    """The entries, those with a name that is known bound to its card."""
    found = (pins.get(spec.devname or "") for spec in specs)
    return tuple(
        spec if one is None else replace(spec, pinned=one.address)
        for spec, one in zip(specs, found, strict=True)
    )


def nameless(specs: Sequence[DeviceSpec], devices: Iterable[PciDevice]) -> Iterator[str]:
    """Tell of each entry of *specs* whose interface is not there, nor was when it was asked."""
    names = sorted({device.netdev for device in devices if device.netdev})
    for number, spec in enumerate(specs, 1):
        if spec.devname is None or spec.pinned is not None or spec.devname in names:
            continue
        near = get_close_matches(spec.devname, names, n=1)
        yield (
            f"{spec.source or f'device_spec entry {number}'}: no network interface of a PCI device "
            f"here is called {spec.devname}, so the entry lists nothing; "
            + (f"did you mean {near[0]}? " if near else "")
            + "What has a driver for guests has no interface: give its address instead"
        )


def renamed(specs: Sequence[DeviceSpec], devices: Iterable[PciDevice]) -> Iterator[str]:
    """Tell of each entry of *specs*, bound to cards, whose card is called otherwise by now."""
    names = {device.address: device.netdev for device in devices}
    for number, spec in enumerate(specs, 1):
        now = names.get(spec.pinned) if spec.pinned is not None else None
        if now is not None and now != spec.devname:
            yield (
                f"{spec.source or f'device_spec entry {number}'}: interface {spec.devname} is "
                f"called {now} by now; the entry still means {spec.pinned} until the agent starts "
                "again. Nova would look for the name and no longer find the card: give the address"
            )
