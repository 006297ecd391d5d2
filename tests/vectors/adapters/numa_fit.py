"""A guest's NUMA cells and devices, placed together."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from lanekeeper.domain.scheduling.host import HostView, ServerRequest
from lanekeeper.domain.scheduling.place import place
from lanekeeper.domain.scheduling.shortfall import Shortfall
from lanekeeper.domain.topology.cell import MEMORY, VCPUS, Amount, HostCell
from lanekeeper.domain.topology.guest import CpuPolicy, GuestCell, GuestTopology
from vectors.adapters.host import host_devices, needs
from vectors.case import Answer, Data


def numa_fit(data: Data) -> Iterator[Answer]:
    guest = topology(data["guest_cells"])
    request = ServerRequest(
        vcpus=guest.vcpus or guest.pcpus,
        ram_mib=sum(cell.memory_mib for cell in guest.cells),
        disk_gib=0,
        needs=tuple(needs(data["requests"] or ())),
        topology=guest,
        pack_cells=data["pack"],
    )
    cells = tuple(host_cell(one) for one in data["host_numa"])
    host = HostView(id="h", name="h", devices=tuple(host_devices(data)), cells=cells)
    found = place(request, host)
    fits = not isinstance(found, Shortfall)
    # Nova tells the cells in the order of the guest's.
    nodes = None if isinstance(found, Shortfall) else [seat.host_cell for seat in found.seats]
    yield Answer({"fits": fits, "host_cells": nodes}, data["expect"])


def topology(told: Sequence[Mapping[str, Any]]) -> GuestTopology:
    policies = {CpuPolicy(one["cpu_policy"] or "shared") for one in told}
    (policy,) = policies  # Nova has one for all cells of a guest
    cells, first = [], 0
    for one in told:
        mine, nobody = frozenset(range(first, first + one["vcpus"])), frozenset[int]()
        first += one["vcpus"]
        shared, pinned = (nobody, mine) if policy is CpuPolicy.DEDICATED else (mine, nobody)
        cells.append(GuestCell(shared, pinned, one["memory_mb"]))
    return GuestTopology(cells=tuple(cells), cpu_policy=policy)


def host_cell(one: Mapping[str, Any]) -> HostCell:
    shared, memory = len(one["cpus"]), one["memory_mb"]
    return HostCell(
        id=one["id"],
        socket=one["socket"],
        dedicated=frozenset(one["pcpus"]),
        pinned=frozenset(one["pinned"]),
        amounts={VCPUS: Amount(shared, shared), MEMORY: Amount(memory, memory)},
    )
