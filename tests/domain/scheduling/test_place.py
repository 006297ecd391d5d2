"""Where a guest's cells and devices go together, and the choice among several ways."""

from __future__ import annotations

from dataclasses import replace

import pytest

from domain.scheduling.hosts import host, need, server, vf
from lanekeeper.domain.pci.alias import NumaPolicy
from lanekeeper.domain.scheduling.host import DeviceNeed, HostDevice, HostView
from lanekeeper.domain.scheduling.place import Place, place
from lanekeeper.domain.scheduling.shortfall import Shortfall
from lanekeeper.domain.topology.affinity import RootPolicy
from lanekeeper.domain.topology.cell import MEMORY, VCPUS, Amount, HostCell
from lanekeeper.domain.topology.guest import GuestCell, GuestTopology

ONE = GuestTopology(cells=(GuestCell(frozenset({0}), frozenset(), 256),))


def cell(number: int, *, used: int = 0) -> HostCell:
    amounts = {VCPUS: Amount(4, 4), MEMORY: Amount(1024, 1024, used)}
    return HostCell(id=number, socket=number // 2, amounts=amounts)


def on(name: str, node: int | None, root: str | None = None) -> HostDevice:
    return replace(vf(name, f"pf of {name}"), numa_node=node, pcie_root=root)


def by(policy: NumaPolicy, one: DeviceNeed) -> DeviceNeed:
    return replace(one, request=replace(one.request, numa_policy=policy))


def placed(found: Place | Shortfall) -> tuple[list[int], list[str]]:
    assert not isinstance(found, Shortfall), found
    return [seat.host_cell for seat in found.seats], [one.device.id for one in found.given]


def four_cells(*devices: HostDevice) -> HostView:
    return host("h1", *devices, cells=tuple(cell(number) for number in range(4)))


@pytest.mark.parametrize("policy", NumaPolicy)
def test_the_guest_goes_where_its_device_is_under_every_policy(policy: NumaPolicy) -> None:
    # Devices of another kind are most on node 0, which says nothing about this one.
    others = [replace(on(f"o{n}", 0), offered=vf("x", product_id=0x1234).offered) for n in "abc"]
    view = four_cells(*others, on("a", 3))
    request = server(by(policy, need("n")), topology=ONE)
    assert placed(place(request, view)) == ([3], ["a"])


def test_full_nodes_leave_the_nearest_that_is_left() -> None:
    cells = (cell(0, used=1024), cell(1), cell(2), cell(3))
    view = host("h1", on("a", 0), cells=cells)
    preferred = server(by(NumaPolicy.PREFERRED, need("n")), topology=ONE)
    assert placed(place(preferred, view)) == ([1], ["a"])  # on the same socket
    required = server(by(NumaPolicy.REQUIRED, need("n")), topology=ONE)
    found = place(required, view)
    assert isinstance(found, Shortfall)
    assert "of 1 that fit and are free 0 are near enough" in found.reason


def test_two_needs_on_two_nodes_bring_a_guest_of_two_cells_there() -> None:
    topology = GuestTopology(
        cells=tuple(GuestCell(frozenset({n}), frozenset(), 256) for n in range(2))
    )
    needs = [by(NumaPolicy.REQUIRED, need(name)) for name in "nm"]
    seats, devices = placed(
        place(server(*needs, topology=topology), four_cells(on("a", 1), on("b", 3)))
    )
    assert (set(seats), devices) == ({1, 3}, ["a", "b"])


def test_devices_share_a_root_port_where_they_have_to_or_can() -> None:
    gpu, nic = need("gpu", product_ids=(0x1234,)), need("nic")
    card = replace(on("g", None, "r2"), offered=vf("g", product_id=0x1234).offered)
    view = host("h1", on("a", None, "r1"), on("b", None, "r2"), card)
    assert placed(place(server(gpu, nic), view))[1] == ["g", "a"]
    for policy in (RootPolicy.REQUIRED, RootPolicy.PREFERRED):
        assert placed(place(server(gpu, nic, pcie_root=policy), view))[1] == ["g", "b"]
    apart = host("h1", on("a", None, "r1"), card)
    assert placed(place(server(gpu, nic, pcie_root=RootPolicy.PREFERRED), apart))[1] == ["g", "a"]
    found = place(server(gpu, nic, pcie_root=RootPolicy.REQUIRED), apart)
    assert isinstance(found, Shortfall)
    assert "lanekeeper:pcie_root=preferred" in found.remedy
