"""Which devices of a host its configuration lists, and what about that cannot stand."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from lanekeeper.domain.pci.address import PciAddress
from lanekeeper.domain.pci.device import DeviceType, PciDevice
from lanekeeper.domain.pci.device_spec import DeviceSpec, match


@dataclass(frozen=True, slots=True)
class Listed:
    """A device that guests may have, and the entry that says so, counted from 0."""

    device: PciDevice
    entry: int
    tags: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Clash:
    """Why a start with these entries is refused on this host.

    Attributes:
        entries: those that bring it about, counted from 0.
        places: where each of them stands.
        card: the PF that is listed beside its VFs, where that is why.
    """

    entries: tuple[int, ...]
    places: tuple[str, ...]
    says: str
    card: PciAddress | None = None

    def __str__(self) -> str:
        return f"{' and '.join(self.places)}: {self.says}"


@dataclass(frozen=True, slots=True)
class Listing:
    """What the entries make of a host's devices.

    Attributes:
        listed: in bus order.
        cautions: what is taken but rarely meant, one sentence each.
    """

    listed: tuple[Listed, ...]
    clashes: tuple[Clash, ...] = ()
    cautions: tuple[str, ...] = ()

    @property
    def problems(self) -> tuple[str, ...]:
        """Why the start is refused, one sentence each, naming the lines."""
        return tuple(str(clash) for clash in self.clashes)


def list_devices(specs: Sequence[DeviceSpec], devices: Iterable[PciDevice]) -> Listing:
    """Match all *devices* of one host with the entries and check the outcome as a whole."""
    by_address = {device.address: device for device in devices}
    listed = tuple(
        Listed(device, *found)
        for device in sorted(by_address.values(), key=lambda device: device.address)
        if (found := match(specs, device, by_address.get(device.parent) if device.parent else None))
    )
    return Listing(
        listed=listed,
        clashes=(
            *_both_sides(specs, listed),
            *_remote_managed_pfs(specs, by_address),
            *_remote_managed_names(specs, by_address.values()),
        ),
        cautions=tuple(_idle(specs, listed)),
    )


def _both_sides(specs: Sequence[DeviceSpec], listed: Sequence[Listed]) -> Iterator[Clash]:
    """Tell of each PF that is listed together with VFs of its own, none with a physical network.

    Source: nova ``compute/pci_placement_translator.py``, PlacementPciDependentDeviceException.
    """
    plain = [one for one in listed if not one.tags.get("physical_network")]
    vfs_by_pf: dict[PciAddress, list[Listed]] = {}
    for one in plain:
        if one.device.parent is not None:
            vfs_by_pf.setdefault(one.device.parent, []).append(one)
    for pf in plain:
        if vfs := vfs_by_pf.get(pf.device.address):
            clash = _clash(
                specs,
                (pf.entry, *(vf.entry for vf in vfs)),
                f"PF {pf.device.address} and {len(vfs)} of its VFs "
                f"({vfs[0].device.address}{', ...' if len(vfs) > 1 else ''}) are both listed "
                f"without a physical_network; list one side only: {_chooser(pf.device, vfs)}",
            )
            yield replace(clash, card=pf.device.address)


def _chooser(pf: PciDevice, vfs: Sequence[Listed]) -> str:
    """What of an entry tells a PF from its VFs: their ids, or, of NVMe drives, only addresses."""
    if any(_ids(vf.device) != _ids(pf) for vf in vfs):
        return "a product_id beside the address chooses the PF or the VFs"
    slots: dict[PciAddress, list[PciAddress]] = {}
    for vf in vfs:
        slots.setdefault(replace(vf.device.address, function=0), []).append(vf.device.address)
    each = [_expressions(functions) for functions in slots.values()]
    several = ", each in an entry of its own" if len(each) > 1 else ""
    return (
        "the ids of both are the same, so an address of expressions chooses: "
        f'"address": {_expressions([pf.address])} the PF, '
        f'"address": {" and ".join(each)} its VFs{several}'
    )


def _ids(device: PciDevice) -> tuple[int, int]:
    return device.vendor_id, device.product_id


def _expressions(functions: Sequence[PciAddress]) -> str:
    """An address as JSON that covers these functions of one slot, and reaches through no PF."""
    domain, bus, slot, _ = re.split("[:.]", str(functions[0]))
    digits = "".join(f"{one.function:x}" for one in functions)
    return json.dumps({"domain": domain, "bus": bus, "slot": slot, "function": f"[{digits}]"})


def _remote_managed_pfs(
    specs: Sequence[DeviceSpec], by_address: Mapping[PciAddress, PciDevice]
) -> Iterator[Clash]:
    """Tell of each remote_managed entry that names a PF but not the ids of its VFs.

    Source: nova ``pci/devspec.py``, _validate_remote_managed.
    """
    for index, spec in enumerate(specs):
        if not (spec.is_remote_managed and spec.address.is_exact):
            continue
        for pf in by_address.values():
            if pf.dev_type is not DeviceType.PF or not spec.address.covers(pf.address):
                continue
            if not _selects_a_vf_by_id(spec, pf, by_address.values()):
                yield _clash(
                    specs,
                    (index,),
                    f"a PF ({pf.address}) cannot be remote_managed; "
                    "give the vendor_id and product_id of its VFs beside the address",
                )


def _remote_managed_names(
    specs: Sequence[DeviceSpec], devices: Iterable[PciDevice]
) -> Iterator[Clash]:
    """Tell of each remote_managed entry whose network interface is not there.

    Source: nova ``pci/devspec.py``, PciDeviceRemoteManagedNotPresent.
    """
    names = {device.netdev for device in devices}
    for index, spec in enumerate(specs):
        if spec.is_remote_managed and spec.devname and spec.devname not in names:
            yield _clash(
                specs,
                (index,),
                "remote_managed needs a device that is there, and no "
                f"network interface of this host is {spec.devname}; give an address instead",
            )


def _selects_a_vf_by_id(spec: DeviceSpec, pf: PciDevice, devices: Iterable[PciDevice]) -> bool:
    if spec.product_id is None or spec.product_id == pf.product_id:
        return False
    return any(
        spec.product_id == vf.product_id and spec.vendor_id in (None, vf.vendor_id)
        for vf in devices
        if vf.parent == pf.address
    )


def _idle(specs: Sequence[DeviceSpec], listed: Sequence[Listed]) -> Iterator[str]:
    used = {one.entry for one in listed}
    for index in range(len(specs)):
        if index not in used:
            yield (
                f"{_place(specs, index)}: this device_spec entry lists no device of this host, "
                "or only such as an earlier entry lists"
            )


def _clash(specs: Sequence[DeviceSpec], entries: Iterable[int], says: str) -> Clash:
    once = tuple(dict.fromkeys(entries))
    return Clash(once, tuple(_place(specs, entry) for entry in once), says)


def _place(specs: Sequence[DeviceSpec], entry: int) -> str:
    return specs[entry].source or f"device_spec entry {entry + 1}"
