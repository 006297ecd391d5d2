"""What device_spec entries and aliases come to on one host, and why some come to nothing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from lanekeeper.domain.pci.alias import Alias
from lanekeeper.domain.pci.device import DeviceType, PciDevice
from lanekeeper.domain.pci.device_spec import DeviceSpec
from lanekeeper.domain.pci.listing import Clash, Listed, list_devices
from lanekeeper.domain.pci.request import (
    Alternative,
    Offered,
    flavor_requests,
    mismatches,
    type_mismatches,
)

_BRIDGE = 0x06  # PCI Code and ID Assignment Specification, class code


@dataclass(frozen=True, slots=True)
class NearMiss:
    """The device that comes nearest, and every reason why it is not taken; the first one first."""

    device: PciDevice
    reasons: tuple[str, ...]

    def __str__(self) -> str:
        one = self.device
        return (
            f"{one.address} ({one.vendor_id:04x}:{one.product_id:04x}, {one.dev_type}"
            f"{f', {one.netdev}' if one.netdev else ''}): {self.reasons[0]}"
        )


@dataclass(frozen=True, slots=True)
class EntryCoverage:
    """One entry on one host.

    Attributes:
        takes: what it lists, in bus order.
        hidden: what it selects too, but an earlier entry lists; with that entry, from 0.
        nearest: where it selects nothing; None on a host without devices.
    """

    takes: tuple[PciDevice, ...] = ()
    hidden: tuple[tuple[PciDevice, int], ...] = ()
    nearest: NearMiss | None = None


@dataclass(frozen=True, slots=True)
class AliasCoverage:
    """One name of an alias on one host: the devices that would do for it.

    Attributes:
        nearest: where there are none; None where nothing is listed at all.
        unlisted: where none of those that are listed has the ids and the type that are asked for,
            what has them, and no entry lists it.
    """

    devices: tuple[PciDevice, ...] = ()
    nearest: NearMiss | None = None
    unlisted: tuple[PciDevice, ...] = ()


@dataclass(frozen=True, slots=True)
class Coverage:
    """All entries, aliases and networks on one host.

    Attributes:
        entries: one for each entry, in their order.
        aliases: by name, in the order of their first mention.
        networks: devices by the physical network that their entry names.
        clashes: why an agent would refuse to start with these entries on this host.
    """

    entries: tuple[EntryCoverage, ...]
    aliases: Mapping[str, AliasCoverage]
    networks: Mapping[str, tuple[PciDevice, ...]]
    listed: tuple[Listed, ...]
    clashes: tuple[Clash, ...]


def cover(
    specs: Sequence[DeviceSpec], aliases: Sequence[Alias], devices: Sequence[PciDevice]
) -> Coverage:
    """Match everything with everything; each device once with each entry."""
    listing = list_devices(specs, devices)
    networks: dict[str, list[PciDevice]] = {}
    for one in listing.listed:
        if network := one.tags.get("physical_network"):
            networks.setdefault(network, []).append(one.device)
    names = dict.fromkeys(alias.name for alias in aliases)
    taken = {one.device.address for one in listing.listed}
    others = [device for device in devices if device.address not in taken]
    return Coverage(
        entries=_entries(specs, devices, listing.listed),
        aliases={name: _alias(aliases, name, listing.listed, others) for name in names},
        networks={name: tuple(found) for name, found in networks.items()},
        listed=listing.listed,
        clashes=listing.clashes,
    )


def _entries(
    specs: Sequence[DeviceSpec], devices: Sequence[PciDevice], listed: Iterable[Listed]
) -> tuple[EntryCoverage, ...]:
    by_address = {device.address: device for device in devices}
    first = {one.device.address: one.entry for one in listed}
    found = []
    for index, spec in enumerate(specs):
        missed = []
        takes, hidden = [], []
        for device in sorted(devices, key=lambda device: device.address):
            parent = by_address.get(device.parent) if device.parent else None
            reasons = tuple(spec.mismatches(device, parent))
            if reasons:
                missed.append(NearMiss(device, reasons))
            elif first[device.address] == index:
                takes.append(device)
            else:
                hidden.append((device, first[device.address]))
        nearest = None if takes or hidden else _nearest(missed, [spec])
        found.append(EntryCoverage(tuple(takes), tuple(hidden), nearest))
    return tuple(found)


def _alias(
    aliases: Sequence[Alias], name: str, listed: Sequence[Listed], others: Sequence[PciDevice]
) -> AliasCoverage:
    (request,) = flavor_requests(aliases, f"{name}:1") if _can_be_asked(name) else (None,)
    if request is None:
        return AliasCoverage()
    devices, missed = [], []
    for one in listed:
        offered = Offered.of(one.device, one.tags)
        reasons = [
            tuple(one.reason for one in mismatches(wanted, offered))
            for wanted in request.alternatives
        ]
        if all(reasons):
            missed.append(NearMiss(one.device, min(reasons, key=len)))
        else:
            devices.append(one.device)
    if devices:
        return AliasCoverage(tuple(devices))
    nearest = _nearest(missed, request.alternatives)
    if any(_is_kind(request.alternatives, one.device) for one in listed):
        return AliasCoverage((), nearest)
    unlisted = (device for device in others if _is_kind(request.alternatives, device))
    return AliasCoverage((), nearest, tuple(sorted(unlisted, key=lambda one: one.address)))


def _is_kind(alternatives: Sequence[Alternative], device: PciDevice) -> bool:
    return any(_is_of(wanted, device) for wanted in alternatives)


def _is_of(wanted: Alternative, device: PciDevice) -> bool:
    """Whether *device* has the ids and the type; what is asked for by class alone is unknown."""
    ids = (wanted.vendor_id, device.vendor_id), (wanted.product_id, device.product_id)
    is_meant = all(asked == there for asked, there in ids)
    return is_meant and not any(type_mismatches(wanted, Offered.of(device, {})))


def _can_be_asked(name: str) -> bool:
    """Whether a flavor can name it; see ``request.parse_alias_spec``."""
    return "," not in name and ":" not in name and name == name.strip() != ""


class _Ids(Protocol):
    """What is asked for by ids; None is any."""

    @property
    def vendor_id(self) -> int | None: ...
    @property
    def product_id(self) -> int | None: ...


def _nearest(missed: Sequence[NearMiss], wanted: Sequence[_Ids]) -> NearMiss | None:
    def distance(miss: NearMiss) -> tuple[int, bool, bool, bool]:
        # Of equals, bridges and devices without SR-IOV are meant least often.
        is_bridge = miss.device.class_code >> 16 == _BRIDGE
        is_slip = any(_is_slip(each, miss.device) for each in wanted)
        return len(miss.reasons), not is_slip, is_bridge, miss.device.dev_type is DeviceType.PCI

    return min(missed, key=distance, default=None)


def _is_slip(wanted: _Ids, device: PciDevice) -> bool:
    """Whether the ids are those of *device* with digits in another order: 10ac for 10ca."""
    pairs = (wanted.vendor_id, device.vendor_id), (wanted.product_id, device.product_id)
    given = [(f"{asked:04x}", f"{told:04x}") for asked, told in pairs if asked is not None]
    return bool(given) and all(sorted(asked) == sorted(told) for asked, told in given)
