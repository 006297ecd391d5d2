"""What the scheduler knows of a host, and what a server asks of one."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from lanekeeper.domain.pci.request import DeviceRequest, Offered

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
    BLOCKED = "blocked by its card's other side"


@dataclass(frozen=True, slots=True, kw_only=True)
class HostDevice:
    """One listed device that is present.

    Attributes:
        pf_id: the device that is its PF; None for what is not a VF.
        parts_held: how many VFs of its card are held.
        whole_offered: whether its PF, too, may be given to guests.
        unfit: what is wrong with it, for which it is kept back.
        numa_node: None where the firmware names none.
        provider_id: the resource provider that counts it, where that matters.
    """

    id: str
    address: str
    offered: Offered
    standing: Standing = Standing.FREE
    pf_id: str | None = None
    parts_held: int = 0
    whole_offered: bool = False
    unfit: str = ""
    numa_node: int | None = None
    provider_id: str | None = None


@dataclass(frozen=True, slots=True)
class Stock:
    """One inventory of a host; what is free of it may be below zero when it was lowered."""

    capacity: int
    used: int = 0

    @property
    def free(self) -> int:
        return self.capacity - self.used


NOTHING = Stock(0)
DeviceShape = tuple[object, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class HostView:
    """One host as the scheduler sees it. A fact of one moment, never edited.

    Attributes:
        alive: whether its agent was heard of lately.
        stocks: resource class to what there is, allocation ratios applied.
        physical_networks: those that its PFs reach.
        zone: the availability zone that its aggregates put it in.
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
    zone: str = DEFAULT_ZONE
    generation: int = 0

    @property
    def device_shape(self) -> DeviceShape:
        """What its devices are and how they stand, without their names.

        Hosts of one shape answer any ``DeviceNeed`` alike; they need not give the same devices.
        """
        cards: dict[str, Counter[tuple[object, ...]]] = defaultdict(Counter)
        for device in self.devices:
            stands = (device.standing, device.unfit, device.pf_id is None, device.whole_offered)
            node = -1 if device.numa_node is None else device.numa_node
            kind = (device.offered.key, node, *stands)
            cards[device.pf_id or device.id][kind] += 1
        return tuple(sorted(tuple(sorted(card.items())) for card in cards.values()))

    def stock(self, resource_class: str) -> Stock:
        return self.stocks.get(resource_class, NOTHING)

    @property
    def free_devices(self) -> int:
        return sum(device.standing is Standing.FREE for device in self.devices)


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceNeed:
    """Devices that one alias of the flavor, or one port, asks for.

    Attributes:
        id: the claim's request id: the port's, or a uuid of its own.
        name: how people call it: ``alias a1``, ``port web``.
        physical_network: the network that a port has to reach; None for an alias.
        providers: of each unit, where an allocation has already said; else empty.
    """

    id: str
    name: str
    request: DeviceRequest
    physical_network: str | None = None
    providers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerRequest:
    """What a server asks of its host.

    Attributes:
        zone: an availability zone; None leaves it open.
        host: the name of the one host that may be taken; None leaves it open.
    """

    vcpus: int
    ram_mib: int
    disk_gib: int
    needs: tuple[DeviceNeed, ...] = ()
    zone: str | None = None
    host: str | None = None

    @property
    def amounts(self) -> dict[str, int]:
        """Units of the classes that devices do not own."""
        return {"VCPU": self.vcpus, "MEMORY_MB": self.ram_mib, "DISK_GB": self.disk_gib}
