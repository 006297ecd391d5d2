"""What Nova's own code answered to NUMA questions (tests/vectors/nova/numa*.json)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from lanekeeper.domain.compute.extra_spec import numa_policy
from lanekeeper.domain.errors import Error
from lanekeeper.domain.pci.alias import Alias, NumaPolicy
from lanekeeper.domain.pci.device import DeviceType
from lanekeeper.domain.pci.request import Alternative, DeviceRequest, Offered, flavor_requests
from lanekeeper.domain.scheduling.fit import fit_devices
from lanekeeper.domain.scheduling.host import DeviceNeed, HostDevice, HostView, ServerRequest
from lanekeeper.domain.scheduling.place import place
from lanekeeper.domain.scheduling.shortfall import Shortfall
from lanekeeper.domain.topology.affinity import Locality
from lanekeeper.domain.topology.cell import MEMORY, VCPUS, Amount, HostCell
from lanekeeper.domain.topology.guest import CpuPolicy, GuestCell, GuestTopology

CASES = Path(__file__).parents[2] / "vectors" / "nova"
Data = Mapping[str, Any]
BETTER = {
    "numa-094-two-requests-share-local-reversed": "all requests are matched together",
}
"""Cases in which Nova finds no devices, and there are some."""


def cases(name: str) -> list[Any]:
    document = json.loads((CASES / f"{name}.json").read_text())
    return [pytest.param(one, id=one["id"]) for one in document["vectors"]]


def devices(data: Data) -> tuple[HostDevice, ...]:
    return tuple(
        HostDevice(
            id=one["address"],
            address=one["address"],
            offered=Offered.from_text(one["vendor_id"], one["product_id"], one["dev_type"], {}),
            pf_id=one["parent_addr"],
            numa_node=one["numa_node"],
        )
        for one in data["devices"]
    )


def needs(data: Data) -> tuple[DeviceNeed, ...]:
    return tuple(
        DeviceNeed(
            id=str(index),
            name=f"request {index}",
            request=DeviceRequest(
                alias_name=str(index),
                count=one["count"],
                alternatives=tuple(
                    Alternative(
                        vendor_id=int(spec["vendor_id"], 16),
                        product_id=int(spec["product_id"], 16),
                        dev_type=DeviceType(spec["dev_type"]) if "dev_type" in spec else None,
                    )
                    for spec in one["spec"]
                ),
                numa_policy=NumaPolicy(one.get("numa_policy") or "legacy"),
            ),
        )
        for index, one in enumerate(data["requests"] or ())
    )


@pytest.mark.parametrize("data", cases("numa"))
def test_near_enough(data: Data) -> None:
    nodes = data["instance_numa_cells"]
    guest = Locality(
        None if nodes is None else frozenset(nodes),
        {one["id"]: one["socket"] for one in data["host_numa"]},
    )
    given = fit_devices(needs(data), devices(data), guest)
    better = data["id"] in BETTER
    assert (not isinstance(given, Shortfall)) is (data["expect"]["filter_says"] or better)


def host_cell(one: Data) -> HostCell:
    shared, memory = len(one["cpus"]), one["memory_mb"]
    return HostCell(
        id=one["id"],
        socket=one["socket"],
        dedicated=frozenset(one["pcpus"]),
        pinned=frozenset(one["pinned"]),
        amounts={VCPUS: Amount(shared, shared), MEMORY: Amount(memory, memory)},
    )


def topology(data: Data) -> GuestTopology:
    cells, first = [], 0
    for one in data["guest_cells"]:
        mine = frozenset(range(first, first + one["vcpus"]))
        cells.append(GuestCell(frozenset(), mine, one["memory_mb"]))
        first += one["vcpus"]
    return GuestTopology(cells=tuple(cells), cpu_policy=CpuPolicy.DEDICATED)


@pytest.mark.parametrize("data", cases("numa_fit"))
def test_cells_together_with_devices(data: Data) -> None:
    guest = topology(data)
    request = ServerRequest(
        vcpus=guest.pcpus, ram_mib=1024, disk_gib=1, needs=needs(data), topology=guest
    )
    host = HostView(
        id="h", name="h", devices=devices(data), cells=tuple(map(host_cell, data["host_numa"]))
    )
    found = place(request, host)
    expect = data["expect"]
    assert (not isinstance(found, Shortfall)) is expect["fits"]
    if not isinstance(found, Shortfall):
        assert sorted(seat.host_cell for seat in found.seats) == expect["host_cells"]


@pytest.mark.parametrize("data", cases("numa_policy_resolution"))
def test_whose_policy_counts(data: Data) -> None:
    entry = {"name": "a", "vendor_id": "8086", "product_id": "10ca"}
    if data["alias_policy"]:
        entry["numa_policy"] = data["alias_policy"]
    flavor, image = data["flavor_policy"], data["image_policy"]
    said: dict[str, Any]
    try:
        policy = numa_policy(
            {"hw:pci_numa_affinity_policy": flavor} if flavor else {},
            {"hw_pci_numa_affinity_policy": image} if image else {},
        )
        (request,) = flavor_requests([Alias.parse(entry)], "a:1", policy)
        said = {"result": "ok", "server_policy": policy, "effective": request.numa_policy}
    except Error:
        said = {"result": "error"}
    assert said == {key: value for key, value in data["expect"].items() if key != "error"}


@pytest.mark.parametrize(
    ("nodes", "fits"),
    [((0, 1), True), ((0, 2), True), ((0, 3), True), ((1, 2), True), ((1, 3), True),
     ((2, 3), False)],
)  # fmt: skip
def test_the_guides_two_sockets_with_four_nodes(nodes: tuple[int, int], fits: bool) -> None:
    """A device on node 0, policy socket, a guest of two nodes that can go to *nodes* only."""
    data = next(
        one
        for one in json.loads((CASES / "numa_fit.json").read_text())["vectors"]
        if one["id"] == "fit-socket-node1-free"
    )
    asked = {**data, "devices": [{**data["devices"][0], "numa_node": 0}]}
    guest = topology({"guest_cells": data["guest_cells"] * 2})
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
    host = HostView(id="h", name="h", devices=devices(asked), cells=cells)
    request = ServerRequest(vcpus=4, ram_mib=1024, disk_gib=1, needs=needs(asked), topology=guest)
    found = place(request, host)
    if fits:
        assert not isinstance(found, Shortfall)
        assert {seat.host_cell for seat in found.seats} == set(nodes)
    else:
        assert isinstance(found, Shortfall)
        assert "NUMA policy socket" in found.reason
        assert "the guest is on node 2, 3, the others on node 0" in found.reason
