"""What is there: the host's devices as its configuration lists them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from lanekeeper.agent.policy import Policy
from lanekeeper.domain.pci.address import PciAddress
from lanekeeper.domain.pci.device import DeviceType, PciDevice
from lanekeeper.domain.pci.devname import Pins, nameless, pinned, renamed
from lanekeeper.domain.pci.listing import Listed, list_devices
from lanekeeper.domain.pci.unit import Unit, units
from lanekeeper.host.scan import Scan
from lanekeeper.protocol import BandwidthFact

_UNNAMED: Pins = {}


@dataclass(frozen=True, slots=True)
class Bridge:
    """A virtual switch, its ports, and the PFs that are ports of it, or below them."""

    name: str
    cards: tuple[PciAddress, ...] = ()
    ports: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Switching:
    """What is known of virtual switches.

    Attributes:
        bridges: physical network to the bridge on it, of those that are there.
        silence: why nobody could be asked now; *bridges* are those of before then.
    """

    bridges: Mapping[str, Bridge] = field(default_factory=dict)
    silence: str = ""


_UNSWITCHED = Switching()


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """The host's devices in the light of its policy.

    Attributes:
        policy: by which this was seen.
        listed: what the agent may touch, by address.
        parents: PFs of listed VFs that are not listed themselves; told, never given away.
        mappings: physical network to interfaces; by the policy, or by the devices' tags.
        pfs: every PF of the host, listed or not.
        others: what is neither listed nor such a parent.
        problems: what was set aside and why, one sentence each.
        switching: the virtual switches for guests.
        management: interfaces that carry the agent's own traffic.
        slots: physical slots of cards, by the address of what is no VF.
        units: first address of those that belong together, by the address of each.
    """

    policy: Policy
    listed: Mapping[PciAddress, Listed]
    parents: Mapping[PciAddress, PciDevice]
    mappings: Mapping[str, Sequence[str]]
    pfs: tuple[PciDevice, ...] = ()
    others: tuple[PciDevice, ...] = ()
    problems: tuple[str, ...] = ()
    switching: Switching = _UNSWITCHED
    management: frozenset[str] = frozenset()
    slots: Mapping[PciAddress, str] = field(default_factory=dict)
    units: Mapping[PciAddress, str] = field(default_factory=dict)

    def may_touch(self, address: PciAddress) -> bool:
        return address in self.listed


def view(
    scan: Scan,
    policy: Policy,
    management: frozenset[str],
    pins: Pins = _UNNAMED,
    switching: Switching = _UNSWITCHED,
) -> View:
    """Match what was scanned with *policy*; set aside what must not or cannot be used.

    *management* names the interfaces that carry the agent's own traffic: a function that has one
    of them is not for guests. VFs of such a PF are; they do not change what the PF does.
    *pins* say which card an entry means that names an interface.
    """
    specs = pinned(policy.specs, pins)
    listing = list_devices(specs, scan.devices)
    by_address = {device.address: device for device in scan.devices}
    carriers = [one.device for one in listing.listed if one.device.netdev in management]
    orphans = [
        one.device
        for one in listing.listed
        if one.device.parent is not None and one.device.parent not in by_address
    ]
    bridges = [one.device for one in listing.listed if one.device.is_bridge]
    aside = {device.address for device in (*carriers, *orphans, *bridges)} | policy.excluded
    listed = {one.device.address: one for one in listing.listed if one.device.address not in aside}
    tied = list(units(scan.devices))
    bound = {one: why for unit in tied for one, why in _bound(unit, listed)}
    listed = {address: one for address, one in listed.items() if address not in bound}
    parents = {
        address: by_address[address]
        for one in listed.values()
        if (address := one.device.parent) in by_address and address not in listed
    }
    aside_for = (
        *map(_carries, carriers),
        *map(_is_orphan, orphans),
        *_are_bridges(bridges),
        *(f"{address} is set aside: {why}" for address, why in bound.items()),
    )
    told = [*(one.device for one in listed.values()), *parents.values()]
    return View(
        policy=policy,
        listed=listed,
        parents=parents,
        mappings=policy.mappings or dict(_derived_mappings(listed, by_address)),
        switching=switching,
        management=management,
        slots=scan.slots,
        units=dict(_named(tied, listed)),
        pfs=tuple(device for device in scan.devices if device.dev_type is DeviceType.PF),
        others=tuple(
            one for one in scan.devices if one.address not in listed and one.address not in parents
        ),
        problems=(
            *listing.problems,
            *renamed(specs, scan.devices),
            *nameless(specs, scan.devices),
            *(f"{fault.name} is set aside: {fault.reason}" for fault in scan.faults),
            *aside_for,
            *_uncounted(policy.bandwidths, told),
            *_switch_problems(policy.bridges, switching),
        ),
    )


def _derived_mappings(
    listed: Mapping[PciAddress, Listed], by_address: Mapping[PciAddress, PciDevice]
) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Tell by the tags which PFs reach which physical network, where no mappings are given."""
    reach: dict[str, dict[str, None]] = {}
    for address, one in listed.items():
        pf = by_address.get(one.device.parent or address)
        network = one.tags.get("physical_network")
        if network and pf is not None and pf.netdev:
            reach.setdefault(network, {})[pf.netdev] = None
    return ((network, tuple(sorted(names))) for network, names in reach.items())


def _uncounted(bandwidths: Iterable[BandwidthFact], devices: Sequence[PciDevice]) -> Iterator[str]:
    """Interfaces that are none of a listed device's card; a PF without one may be any of them."""
    cards = [device for device in devices if device.dev_type is not DeviceType.VF]
    if all(card.netdev for card in cards):
        names = {card.netdev for card in cards}
        yield from (
            f"the bandwidth of {one.interface} is not counted: no listed device is of its card"
            for one in bandwidths
            if one.interface not in names
        )


def _switch_problems(wanted: Mapping[str, str], switching: Switching) -> Iterator[str]:
    if switching.silence:
        yield (
            f"normal ports of {', '.join(wanted)} are served as far as is known from before: "
            f"{switching.silence}"
        )
        return
    for network, name in wanted.items():
        if network not in switching.bridges:
            yield (
                f"no normal port of {network} can be served: Open vSwitch has no bridge {name}, "
                f"which [ovs] bridge_mappings names (ovs-vsctl add-br {name})"
            )


def _carries(device: PciDevice) -> str:
    return (
        f"{device.address} is set aside: its interface {device.netdev} carries this host's "
        "management traffic; leave it out of device_spec"
    )


def _are_bridges(bridges: Sequence[PciDevice]) -> Iterator[str]:
    if bridges:
        names = ", ".join(str(one.address) for one in bridges)
        are = "are bridges" if len(bridges) > 1 else "is a bridge"
        yield (
            f"set aside: {names} {are} of this host, which no guest can have; leave them out of "
            "device_spec (product_id or address of what is meant)"
        )


def _bound(unit: Unit, listed: Collection[PciAddress]) -> Iterator[tuple[PciAddress, str]]:
    """The listed members of a unit that cannot be given away, each with the reason."""
    if obstacle := unit.obstacle(listed):
        yield from ((one.address, obstacle) for one in unit.members if one.address in listed)


def _named(
    tied: Iterable[Unit], listed: Collection[PciAddress]
) -> Iterator[tuple[PciAddress, str]]:
    for unit in tied:
        ours = [one.address for one in unit.members if one.address in listed]
        if len(ours) > 1:
            yield from ((address, str(ours[0])) for address in ours)


def _is_orphan(device: PciDevice) -> str:
    return f"{device.address} is set aside: its PF {device.parent} cannot be read"
