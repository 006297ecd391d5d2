"""Where a guest's cells and devices go together, and the choice among several ways."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from domain.scheduling.hosts import host, need, server, vf
from lanekeeper.domain.pci.alias import NumaPolicy
from lanekeeper.domain.scheduling.host import DeviceNeed, HostDevice, HostView
from lanekeeper.domain.scheduling.place import Place, place
from lanekeeper.domain.scheduling.shortfall import Shortfall
from lanekeeper.domain.topology.affinity import RootPolicy
from lanekeeper.domain.topology.cell import MEMORY, VCPUS, Amount, HostCell, pages_of
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
    assert found.reason == (
        "has no room for the guest near free devices for n: cell 0 has 0 of 1024 MiB of memory "
        "free, 256 needed"
    )
    assert found.remedy.startswith("delete servers on cell 0 of this host, or use the policy ")


_PINNED = GuestTopology(
    cells=(GuestCell(frozenset(), frozenset({0}), 256), GuestCell(frozenset(), frozenset({1}), 256))
)
_PAGES = replace(ONE, pages=2048)


@pytest.mark.parametrize(
    ("topology", "full", "says"),
    [
        (_PINNED, {"pinned": frozenset({8, 9})}, "0 of 2 CPUs for pinning free, 1 needed"),
        (
            _PAGES,
            {"amounts": {VCPUS: Amount(4, 4), pages_of(2048): Amount(200, 200, 150)}},
            "50 of 200 pages of 2048 KiB free, 128 needed",
        ),
        (
            ONE,
            {"amounts": {VCPUS: Amount(4, 4, 4), MEMORY: Amount(1024, 1024)}},
            "0 of 4 shared CPUs free, 1 needed",
        ),
    ],
)
@pytest.mark.parametrize("policy", [NumaPolicy.REQUIRED, NumaPolicy.LEGACY, NumaPolicy.SOCKET])
def test_what_is_used_up_on_the_devices_node_is_named_and_freeing_it_helps(
    topology: GuestTopology, full: dict[str, Any], says: str, policy: NumaPolicy
) -> None:
    amounts = {
        VCPUS: Amount(4, 4),
        MEMORY: Amount(1024, 1024),
        pages_of(2048): Amount(200, 200),
    }
    cells = tuple(
        HostCell(id=n, socket=n, dedicated=frozenset({4 * n, 4 * n + 1}), amounts=amounts)
        for n in range(4)
    )
    request = server(by(policy, need("n")), topology=topology)
    crowded = replace(cells[2], **full)
    view = host("h1", on("a", 2), cells=(*cells[:2], crowded, cells[3]))
    found = place(request, view)
    assert isinstance(found, Shortfall)
    assert f"cell 2 has {says}" in found.reason
    assert "delete servers on cell 2 of this host" in found.remedy
    assert isinstance(place(request, replace(view, cells=cells)), Place)


def test_a_node_that_never_had_room_is_not_called_crowded() -> None:
    cells = (cell(0), replace(cell(1, used=100), amounts={}))
    found = place(
        server(by(NumaPolicy.REQUIRED, need("n")), topology=ONE), host("h", on("a", 1), cells=cells)
    )
    assert isinstance(found, Shortfall)
    assert "of 1 that fit and are free 0 are near enough" in found.reason
    assert "and even without other guests cell 1 has 0" in found.reason
    assert "delete" not in found.remedy


@pytest.mark.parametrize(
    ("topology", "small", "says"),
    [
        (
            GuestTopology(cells=(GuestCell(frozenset(), frozenset(range(4)), 256),)),
            {"dedicated": frozenset({8, 9})},
            "2 of 2 CPUs for pinning free, 4 needed",
        ),
        (
            replace(ONE, pages=2048),
            {"amounts": {VCPUS: Amount(8, 8), pages_of(2048): Amount(100, 100)}},
            "100 of 100 pages of 2048 KiB free, 128 needed",
        ),
        (
            GuestTopology(cells=(GuestCell(frozenset(range(4)), frozenset(), 256),)),
            {"amounts": {VCPUS: Amount(2, 2), MEMORY: Amount(4096, 4096)}},
            "2 of 2 shared CPUs free, 4 needed",
        ),
        (
            ONE,
            {"amounts": {VCPUS: Amount(8, 8), MEMORY: Amount(128, 128)}},
            "128 of 128 MiB of memory free, 256 needed",
        ),
    ],
    ids=["pinned", "huge pages", "floating", "memory"],
)
def test_a_node_that_is_too_small_for_the_flavor_is_the_reason(
    topology: GuestTopology, small: dict[str, Any], says: str
) -> None:
    amounts = {
        VCPUS: Amount(8, 8),
        MEMORY: Amount(4096, 4096),
        pages_of(2048): Amount(200, 200),
    }
    full = [
        HostCell(id=n, dedicated=frozenset(range(8 * n, 8 * n + 8)), amounts=amounts)
        for n in range(2)
    ]
    cells = (full[0], replace(full[1], **small))
    request = server(by(NumaPolicy.REQUIRED, need("n")), topology=topology)
    found = place(request, host("h", on("a", 1), cells=cells))
    assert isinstance(found, Shortfall)
    assert f"even without other guests cell 1 has {says}" in found.reason
    assert found.remedy.startswith("use a smaller flavor, give guests more of those cells ([comp")
    assert isinstance(place(request, host("h", on("a", 0), cells=cells)), Place)


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
