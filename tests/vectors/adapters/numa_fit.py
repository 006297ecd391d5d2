"""A guest's NUMA cells and devices, placed together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from lanekeeper.domain.scheduling.fit import Shortfall, fit_devices
from lanekeeper.domain.topology.affinity import Locality
from lanekeeper.domain.topology.placing import GuestCell, HostCell, in_order, place_cells
from vectors.adapters.host import host_devices, needs
from vectors.case import Answer, Data


def numa_fit(data: Data) -> Iterator[Answer]:
    guest = [
        GuestCell(
            vcpus=one["vcpus"],
            memory_mib=one["memory_mb"],
            is_dedicated=one["cpu_policy"] == "dedicated",
        )
        for one in data["guest_cells"]
    ]
    devices, wanted = host_devices(data), needs(data["requests"] or ())
    cells = [host_cell(one) for one in data["host_numa"]]
    free = Counter(one.numa_node for one in devices if one.numa_node is not None)
    order = in_order(cells, guest, free, wants_devices=bool(wanted), pack=data["pack"])
    sockets = {cell.id: cell.socket for cell in cells}

    def suits(nodes: frozenset[int]) -> bool:
        return not isinstance(fit_devices(wanted, devices, Locality(nodes, sockets)), Shortfall)

    placed = place_cells(guest, order, suits)
    said = {"fits": placed is not None, "host_cells": list(placed) if placed else None}
    yield Answer(said, data["expect"])


def host_cell(one: Mapping[str, Any]) -> HostCell:
    return HostCell(
        id=one["id"],
        socket=one["socket"],
        shared_cpus=frozenset(one["cpus"]),
        free_cpus=frozenset(one["pcpus"]) - frozenset(one["pinned"]),
        memory_mib=one["memory_mb"],
        memory_free_mib=one["memory_mb"],
    )
