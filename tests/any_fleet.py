"""Hosts as they may come, and servers that somebody may want: strategies for Hypothesis.

What they draw is plain data, so that a counter-example can be read and told again as a test.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from hypothesis import strategies as st
from msgspec.structs import replace

from fleet import pf_and_vfs
from lanekeeper.config.tree import Pci
from lanekeeper.domain.network.port import VnicType
from lanekeeper.domain.pci.alias import Alias
from lanekeeper.protocol import DeviceFact, NumaCell, PagesFact

BUSES = ("21", "41", "61")
VF, PF = ({"vendor_id": "8086", "product_id": one} for one in ("10ca", "10c9"))
PCI = Pci(
    alias=tuple(
        Alias.parse(one)
        for one in (
            {"name": "vf", **VF, "device_type": "type-VF"},
            {"name": "near", **VF, "device_type": "type-VF", "numa_policy": "required"},
            {"name": "whole", **PF, "device_type": "type-PF"},
            {"name": "drive", "vendor_id": "8086", "product_id": "0953"},
            # The first alternative is preferred.
            {"name": "either", "resource_class": "CUSTOM_FAST"},
            {"name": "either", **VF, "device_type": "type-VF"},
            {"name": "gold", **VF, "traits": "CUSTOM_GOLD"},
        )
    )
)
SPECS: Sequence[Mapping[str, str]] = (
    {},
    {"hw:cpu_policy": "dedicated"},
    {"hw:numa_nodes": "2"},
    {"hw:cpu_policy": "dedicated", "hw:pci_numa_affinity_policy": "required"},
    {"hw:cpu_policy": "dedicated", "hw:pci_numa_affinity_policy": "socket"},
    {"hw:numa_nodes": "1", "hw:pci_numa_affinity_policy": "preferred"},
    {"hw:mem_page_size": "2048", "hw:numa_nodes": "1"},
    {"group_policy": "isolate"},
    {"lanekeeper:pcie_root": "required"},
    {"lanekeeper:pcie_root": "preferred"},
)
_TAGS: Sequence[dict[str, str]] = (
    {},
    {"physical_network": "physnet1"},
    {"physical_network": "physnet2"},
    {"physical_network": "physnet1", "trusted": "true"},
    {"physical_network": "physnet1", "resource_class": "CUSTOM_FAST"},
    {"one_time_use": "true"},
    {"traits": "CUSTOM_GOLD"},
    {"resource_class": "CUSTOM_FAST"},
)
_tags = st.sampled_from(_TAGS)


@st.composite
def cards(draw: st.DrawFn) -> list[DeviceFact]:
    """Up to three cards; their VFs may differ in what they are for, and be tied together."""
    tied = draw(st.sampled_from(("", "", "VFs", "PFs")))
    found: list[DeviceFact] = []
    for bus in draw(st.sets(st.sampled_from(BUSES), max_size=3).map(sorted)):
        where: dict[str, Any] = {
            "numa_node": draw(st.sampled_from((None, 0, 1))),
            "pcie_root": draw(st.sampled_from((None, "0000:00:01.0", "0000:00:02.0"))),
        }
        pf, *vfs = pf_and_vfs(bus, draw(st.integers(0, 3)))
        mine = draw(_tags)
        differ = draw(st.booleans())
        whole = draw(st.booleans())
        found.append(replace(pf, listed=whole, tags=draw(_tags) if whole else {}, **where))
        found += [replace(vf, tags=draw(_tags) if differ else mine, **where) for vf in vfs]
    for slot in range(draw(st.integers(0, 2))):
        address = f"0000:0{slot + 1}:00.0"
        drive = DeviceFact(
            address=address, vendor_id="8086", product_id="0953", dev_type="type-PCI"
        )
        found.append(replace(drive, tags=draw(st.sampled_from(({}, {"one_time_use": "true"})))))
    return list(_tie(found, tied))


def _tie(devices: list[DeviceFact], which: str) -> list[DeviceFact]:
    """Have the VFs of each card, or all PFs, be one unit, as an agent tells of them."""
    kind = {"VFs": "type-VF", "PFs": "type-PF"}.get(which)
    members = [one for one in devices if one.listed and one.dev_type == kind]
    unit: dict[str, str] = {}
    for one in members:
        mates = [mate for mate in members if which == "PFs" or mate.parent == one.parent]
        if len(mates) > 1:
            unit[one.address] = min(mate.address for mate in mates)
    return [replace(one, unit=unit.get(one.address)) for one in devices]


def _cells(per_cell: int, dedicated: int, memory_mib: int) -> tuple[NumaCell, ...]:
    return tuple(
        NumaCell(
            id=node,
            socket=node,
            cpus=list(range(per_cell * node, per_cell * (node + 1))),
            memory_mib=memory_mib,
            dedicated=list(range(per_cell * node, per_cell * node + dedicated)),
            shared=list(range(per_cell * node + dedicated, per_cell * (node + 1))),
            pages=[PagesFact(size_kib=2048, total=256)],
        )
        for node in range(2)
    )


@dataclass(frozen=True, kw_only=True)
class Machine:
    """What one host's agent tells of it."""

    devices: Sequence[DeviceFact] = ()
    vcpus: int = 8
    memory_mib: int = 4096
    mappings: Sequence[str] = ("physnet1",)
    cells: Sequence[NumaCell] = ()


machines = st.builds(
    Machine,
    devices=cards(),
    vcpus=st.sampled_from((1, 4, 8)),
    memory_mib=st.sampled_from((1024, 4096)),
    mappings=st.sampled_from(((), ("physnet1",), ("physnet1", "physnet2"))),
    cells=st.sampled_from(((), _cells(4, 2, 2048), _cells(4, 0, 2048), _cells(2, 2, 512))),
)


@dataclass(frozen=True, kw_only=True)
class PortAsked:
    """A port that is there already; *network* is counted from 0."""

    network: int = 0
    vnic_type: VnicType = VnicType.DIRECT
    trusted: bool | None = None
    policy: str | None = None


@dataclass(frozen=True, kw_only=True)
class Wish:
    """A server that somebody wants.

    Attributes:
        made_on: networks to make a port on, counted from 0; the last has few addresses.
        group: which server group, counted from 0.
        alone: whether the host is named.
    """

    aliases: Sequence[tuple[str, int]] = ()
    specs: Mapping[str, str] = field(default_factory=dict)
    vcpus: int = 1
    ram_mib: int = 256
    ports: Sequence[PortAsked] = ()
    made_on: Sequence[int] = ()
    zone: str | None = None
    host: str | None = None
    group: int | None = None
    by_admin: bool = True

    @property
    def all_specs(self) -> dict[str, str]:
        asked = ",".join(f"{name}:{count}" for name, count in self.aliases)
        return {**self.specs, **({"pci_passthrough:alias": asked} if asked else {})}


_networks = st.integers(0, 1)
_ports = st.builds(
    PortAsked,
    network=_networks,
    vnic_type=st.sampled_from((VnicType.DIRECT, VnicType.MACVTAP, VnicType.DIRECT_PHYSICAL)),
    trusted=st.sampled_from((None, None, True, False)),
    policy=st.sampled_from((None, None, "required", "preferred")),
)
_ALIAS_NAMES = ("vf", "near", "whole", "drive", "either", "gold")
wishes = st.builds(
    Wish,
    aliases=st.lists(st.tuples(st.sampled_from(_ALIAS_NAMES), st.integers(1, 3)), max_size=2),
    specs=st.sampled_from(SPECS),
    vcpus=st.sampled_from((1, 2)),
    ram_mib=st.sampled_from((256, 512)),
    ports=st.lists(_ports, max_size=2),
    made_on=st.lists(st.integers(0, 2), max_size=2),
    zone=st.sampled_from((None, None, None, "nova", "west")),
    host=st.sampled_from((None, None, None, "h0", "h1")),
    group=st.sampled_from((None, None, 0, 1, 2)),
    by_admin=st.booleans(),
)
