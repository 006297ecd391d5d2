"""What the scheduler knows of a host, and what a server asks of one."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from lanekeeper.domain.compute.server_group import GroupPolicy
from lanekeeper.domain.network.promise import NOTHING as NO_BANDWIDTH
from lanekeeper.domain.network.promise import Promise
from lanekeeper.domain.pci.request import DeviceRequest, Offered
from lanekeeper.domain.scheduling.bandwidth import CardBandwidth
from lanekeeper.domain.topology.affinity import RootPolicy
from lanekeeper.domain.topology.cell import HostCell
from lanekeeper.domain.topology.guest import GuestTopology

DEFAULT_ZONE = "nova"
"""Where hosts are that no aggregate puts elsewhere; nova ``default_availability_zone``."""


class Standing(StrEnum):
    """Whether a listed device can be had now, and what stands in the way."""

    FREE = "free"
    HELD = "held"
    CLEANING = "being cleaned"
    QUARANTINED = "quarantined"
    SPENT = "spent (one-time-use)"
    RESERVED = "reserved through Placement"
    RETIRED = "retired"
    UNFIT = "not well"
    TIED = "tied to a function that is not free"
    BLOCKED = "blocked by its card's other side"
    BESIDE_CLEANING = "kept back while its card's other side is cleaned"
    BESIDE_QUARANTINED = "kept back, since its card's other side is quarantined"
    BESIDE_UNLISTED = "kept back, since its card's other side is not clean"
    BESIDE_SPENT = "kept back, since its card's other side is spent"
    UNLISTED = "not listed any more"
    MISSING = "missing"


BESIDE = frozenset(
    {
        Standing.BLOCKED,
        Standing.BESIDE_CLEANING,
        Standing.BESIDE_QUARANTINED,
        Standing.BESIDE_UNLISTED,
        Standing.BESIDE_SPENT,
    }
)
"""Its card is held, not clean or spent the other way: its PF, or VFs of it."""
AWAY = frozenset({Standing.UNLISTED, Standing.MISSING})
"""Its host does not tell of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HostDevice:
    """One listed device; one that its host does not tell of any more is missing, or not listed.

    Attributes:
        pf_id: the device that is its PF; None for what is not a VF.
        parts_held: how many VFs of its card are held.
        whole_offered: whether its PF, too, may be given to guests.
        unfit: what is wrong with it, for which it is kept back.
        behind: addresses on its card's other side for which it is kept back.
        numa_node: None where the firmware names none.
        provider_id: the resource provider that counts it, where that matters.
        pcie_root: the root port that it hangs on; None for none, or where the host does not tell.
        unit: what is given away together, by a name of its host's; None for what is so alone.
        bandwidth: what its card can promise; None where nothing is counted.
    """

    id: str
    address: str
    offered: Offered
    standing: Standing = Standing.FREE
    pf_id: str | None = None
    parts_held: int = 0
    whole_offered: bool = False
    unfit: str = ""
    behind: tuple[str, ...] = ()
    numa_node: int | None = None
    provider_id: str | None = None
    pcie_root: str | None = None
    unit: str | None = None
    bandwidth: CardBandwidth | None = None

    @property
    def card(self) -> str:
        """The PF whose VF it is, or itself."""
        return self.pf_id or self.id

    @property
    def kind(self) -> tuple[object, ...]:
        """What it is and how it stands, without its name, and without where it is; has an order."""
        return (
            *(self.offered.key, self.standing, self.unfit, self.behind),
            *(self.pf_id is None, self.whole_offered),
            self.bandwidth.key if self.bandwidth else (),
            # By name: what belongs together may be of several cards.
            () if self.unit is None else (self.address, self.unit),
        )


@dataclass(frozen=True, slots=True)
class Stock:
    """One inventory of a host; what is free of it may be below zero when it was lowered."""

    capacity: int
    used: int = 0

    @property
    def free(self) -> int:
        return self.capacity - self.used


@dataclass(frozen=True, slots=True)
class HostAggregate:
    """An aggregate that a host is in, as filters and weights see it.

    Attributes:
        metadata: keys and values, by key.
    """

    name: str
    metadata: tuple[tuple[str, str], ...] = ()

    @classmethod
    def of(cls, name: str, metadata: Mapping[str, str]) -> HostAggregate:
        return cls(name, tuple(sorted(metadata.items())))


Aggregates = tuple[HostAggregate, ...]


def values_by_key(aggregates: Aggregates) -> dict[str, set[str]]:
    """What several aggregates say together, lists at commas split.

    Source: nova ``scheduler/filters/utils.py``, aggregate_metadata_get_by_host.
    """
    values: dict[str, set[str]] = defaultdict(set)
    for aggregate in aggregates:
        for key, text in aggregate.metadata:
            values[key].update(word.strip() for word in text.split(","))
    return values


def values_of(aggregates: Aggregates, key: str) -> set[str]:
    """What several aggregates say of one key, each as it is."""
    return {text for aggregate in aggregates for mine, text in aggregate.metadata if mine == key}


@dataclass(frozen=True, slots=True)
class Platform:
    """What a host runs guests with; empty and 0 where it has not told.

    Attributes:
        hypervisor: as libvirt calls it, in small letters.
        version: the hypervisor's, as ``major * 1000000 + minor * 1000 + micro``.
    """

    architecture: str = ""
    hypervisor: str = ""
    version: int = 0


NOTHING = Stock(0)
DeviceShape = tuple[object, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class HostView:
    """One host as the scheduler sees it. A fact of one moment, never edited.

    Attributes:
        alive: whether its agent was heard of lately.
        stocks: resource class to what there is, allocation ratios applied.
        physical_networks: those that its PFs reach.
        bridges: physical network to the virtual switch that it has on it.
        guards: whether it guards ports of those.
        pairs: whether its guests can have failover pairs.
        zone: the availability zone that its aggregates put it in.
        cells: its NUMA nodes, by number; empty where its agent tells of none.
        aggregates: those that it is in, by id.
        servers: ids of those that it has, or is to have.
        groups: how many of them are of each server group, by its id.
        generation: grows with every change of what is free there.
    """

    id: str
    name: str
    enabled: bool = True
    disabled_reason: str = ""
    alive: bool = True
    frozen_reason: str = ""
    stocks: Mapping[str, Stock] = field(default_factory=dict)
    devices: tuple[HostDevice, ...] = ()
    physical_networks: frozenset[str] = frozenset()
    bridges: Mapping[str, str] = field(default_factory=dict)
    guards: bool = False
    pairs: bool = False
    zone: str = DEFAULT_ZONE
    cells: tuple[HostCell, ...] = ()
    aggregates: Aggregates = ()
    platform: Platform = Platform()
    servers: frozenset[str] = frozenset()
    groups: Mapping[str, int] = field(default_factory=dict)
    generation: int = 0

    @property
    def device_shape(self) -> DeviceShape:
        """What its devices are and how they stand, without their names.

        Hosts of one shape answer any ``DeviceNeed`` alike; they need not give the same devices.
        """
        return _shape(
            self.devices, lambda device: (-1 if device.numa_node is None else device.numa_node,)
        )

    @property
    def numa_shape(self) -> DeviceShape:
        """What its devices and cells are, where they are and how they stand, without names.

        Hosts of one shape answer any request for devices near to a guest's CPUs alike.
        """
        roots = _numbered(device.pcie_root for device in self.devices)
        devices = _shape(
            self.devices,
            lambda device: (
                -1 if device.numa_node is None else device.numa_node,
                roots[device.pcie_root],
            ),
        )
        return (*(cell.shape for cell in self.cells), devices)

    def stock(self, resource_class: str) -> Stock:
        return self.stocks.get(resource_class, NOTHING)

    @property
    def free_devices(self) -> int:
        return sum(device.standing is Standing.FREE for device in self.devices)


def _shape(
    devices: Iterable[HostDevice], where: Callable[[HostDevice], tuple[int, ...]]
) -> DeviceShape:
    cards: dict[str, Counter[tuple[object, ...]]] = defaultdict(Counter)
    for device in devices:
        cards[device.card][*device.kind, where(device)] += 1
    return tuple(sorted(tuple(sorted(card.items())) for card in cards.values()))


def _numbered(values: Iterable[object]) -> dict[object, int]:
    numbers: dict[object, int] = {None: -1}
    for value in values:
        numbers.setdefault(value, len(numbers))
    return numbers


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceNeed:
    """Devices that one alias of the flavor, or one port, asks for.

    Attributes:
        id: the claim's request id: the port's, or a uuid of its own.
        name: how people call it: ``alias a1``, ``port web``.
        physical_networks: of which a port has to reach one; none for an alias.
        providers: of each unit, where an allocation has already said; else empty.
        promise: bandwidth that the card has to have for it.
        apart: a word; needs of one word get devices of different cards, and switches. Empty: any.
    """

    id: str
    name: str
    request: DeviceRequest
    physical_networks: tuple[str, ...] = ()
    providers: tuple[str, ...] = ()
    promise: Promise = NO_BANDWIDTH
    apart: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupRequest:
    """The server group that a server is to be in.

    Attributes:
        max_per_host: how many of its servers one host may have, by anti-affinity.
        hosts: names of those that have some of them.
    """

    id: str
    name: str
    policy: GroupPolicy
    max_per_host: int = 1
    hosts: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerRequest:
    """What a server asks of its host.

    Attributes:
        zone: an availability zone; None leaves it open.
        host: the name of the one host that may be taken; None leaves it open.
        topology: NUMA nodes, pinned CPUs and pages that it asks for; None for none of it.
        pcie_root: whether its devices have to hang on one root port, or should.
        isolate: whether each of its devices has to come from another card.
        pack_cells: fill NUMA cells that others are on before empty ones.
        project_id: whose server it is.
        flavor_name, extra_specs: the flavor's.
        image_id, image_properties: the image's; None where nobody named one.
        same_host: servers of which it is to be near one.
        different_host: servers that it is not to be near.
        group: None without one.
        switched: for each normal port, physical networks on one of which it needs a virtual
            switch.
        guarded: whether such a port has security groups that somebody relies on.
        paired: likewise as ``switched`` for each failover pair.
    """

    vcpus: int
    ram_mib: int
    disk_gib: int
    needs: tuple[DeviceNeed, ...] = ()
    switched: frozenset[tuple[str, ...]] = frozenset()
    guarded: bool = False
    paired: frozenset[tuple[str, ...]] = frozenset()
    zone: str | None = None
    host: str | None = None
    topology: GuestTopology | None = None
    pcie_root: RootPolicy = RootPolicy.ANY
    isolate: bool = False
    pack_cells: bool = False
    project_id: str | None = None
    flavor_name: str = ""
    extra_specs: Mapping[str, str] = field(default_factory=dict)
    image_id: str | None = None
    image_properties: Mapping[str, str] = field(default_factory=dict)
    same_host: frozenset[str] = frozenset()
    different_host: frozenset[str] = frozenset()
    group: GroupRequest | None = None

    @property
    def amounts(self) -> dict[str, int]:
        """Units of the classes that devices do not own."""
        amounts = {"VCPU": self.vcpus, "MEMORY_MB": self.ram_mib, "DISK_GB": self.disk_gib}
        if self.topology is not None and self.topology.is_pinned:
            amounts |= {"VCPU": self.topology.vcpus, "PCPU": self.topology.pcpus}
        return amounts

    @property
    def asks_where(self) -> bool:
        """Whether it matters where on its host things are."""
        return self.topology is not None or (
            self.pcie_root is not RootPolicy.ANY and bool(self.needs)
        )
