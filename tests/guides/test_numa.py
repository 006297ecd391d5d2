"""The guide's host for the policy socket: two sockets of two nodes each, a device on node 0."""

from __future__ import annotations

import re
from itertools import combinations

import pytest

from guides.example import read_guide
from lanekeeper.domain.pci.alias import NumaPolicy
from lanekeeper.domain.pci.request import Alternative, DeviceRequest, Offered
from lanekeeper.domain.scheduling.host import DeviceNeed, HostDevice, HostView, ServerRequest
from lanekeeper.domain.scheduling.place import place
from lanekeeper.domain.scheduling.shortfall import Shortfall
from lanekeeper.domain.topology.cell import MEMORY, Amount, HostCell
from lanekeeper.domain.topology.guest import CpuPolicy, GuestCell, GuestTopology

PAIR = re.compile(r"节点 (\d) 和节点 (\d)")
ALLOWED = PAIR.findall(read_guide("nova").named("socket-pairs").text)
DEVICE = HostDevice(
    id="0000:81:00.0",
    address="0000:81:00.0",
    offered=Offered.from_text("8086", "0443", "type-PCI", {}),
    numa_node=0,
)
NEED = DeviceNeed(
    id="0",
    name="the device",
    request=DeviceRequest(
        alias_name="a1",
        count=1,
        alternatives=(Alternative(vendor_id=0x8086, product_id=0x443),),
        numa_policy=NumaPolicy.SOCKET,
    ),
)
GUEST = GuestTopology(
    cells=tuple(GuestCell(frozenset(), frozenset(cpus), 512) for cpus in ((0, 1), (2, 3))),
    cpu_policy=CpuPolicy.DEDICATED,
)


@pytest.mark.parametrize("nodes", list(combinations(range(4), 2)))
def test_the_guides_two_sockets_with_four_nodes(nodes: tuple[int, int]) -> None:
    """A guest of two nodes that can go to *nodes* only."""
    cells = tuple(
        HostCell(
            id=node,
            socket=node // 2,
            dedicated=frozenset({2 * node, 2 * node + 1}),
            pinned=frozenset() if node in nodes else frozenset({2 * node}),
            amounts={MEMORY: Amount(4096, 4096)},
        )
        for node in range(4)
    )
    host = HostView(id="h", name="h", devices=(DEVICE,), cells=cells)
    found = place(
        ServerRequest(vcpus=4, ram_mib=1024, disk_gib=1, needs=(NEED,), topology=GUEST), host
    )
    if tuple(map(str, nodes)) in ALLOWED:
        assert not isinstance(found, Shortfall)
        assert {seat.host_cell for seat in found.seats} == set(nodes)
    else:
        assert nodes == (2, 3)
        assert isinstance(found, Shortfall)
        # The other guests on the device's socket are what keeps this one from it.
        full = "{} has 1 of 2 CPUs for pinning free, 2 needed"
        assert found.reason == (
            "has no room for the guest near free devices for the device: "
            f"cell {full.format(0)}; cell {full.format(1)}"
        )
        assert found.remedy == (
            "delete servers on cells 0 and 1 of this host, or use the policy preferred, or devices "
            "on the guest's nodes"
        )
