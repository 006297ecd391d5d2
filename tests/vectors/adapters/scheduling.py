"""The scheduler's PCI filter and weigher, and whose NUMA policy counts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from lanekeeper.domain.compute.extra_spec import numa_policy
from lanekeeper.domain.errors import Error
from lanekeeper.domain.pci.alias import Alias
from lanekeeper.domain.pci.request import flavor_requests
from lanekeeper.domain.scheduling.fit import fit_devices
from lanekeeper.domain.scheduling.host import DeviceNeed
from lanekeeper.domain.scheduling.shortfall import Shortfall
from lanekeeper.domain.scheduling.weight import devices_weight
from vectors.adapters.host import host_devices, needs
from vectors.case import Answer, Data


def filter_weigher(data: Data) -> Iterator[Answer]:
    if data["kind"] == "weight":
        yield Answer(int(devices_weight(np.array([data["free_devices"] or 0]))[0]), data["expect"])
        return
    kept = [index for index, one in enumerate(data["candidates"]) if _fits(data, one)]
    yield Answer({"passes": bool(kept), "kept_candidates": kept}, data["expect"])


def numa_policy_resolution(data: Data) -> Iterator[Answer]:
    said: dict[str, Any]
    entry = {"name": "a", "vendor_id": "8086", "product_id": "10ca"}
    if data["alias_policy"]:
        entry["numa_policy"] = data["alias_policy"]
    try:
        policy = numa_policy(
            _only("hw:pci_numa_affinity_policy", data["flavor_policy"]),
            _only("hw_pci_numa_affinity_policy", data["image_policy"]),
        )
        (request,) = flavor_requests([Alias.parse(entry)], "a:1", policy)
        said = {"result": "ok", "server_policy": policy, "effective": request.numa_policy}
    except Error:
        said = {"result": "error"}
    yield Answer(said, {key: one for key, one in data["expect"].items() if key != "error"})


def _fits(data: Data, candidate: Mapping[str, Sequence[str]]) -> bool:
    wanted = [_pinned(need, candidate) for need in needs(data["requests"] or ())]
    return not isinstance(fit_devices(wanted, host_devices(data)), Shortfall)


def _pinned(need: DeviceNeed, candidate: Mapping[str, Sequence[str]]) -> DeviceNeed:
    """With the providers that a candidate names for each unit: ``{"0-1": ["rpA"]}``."""
    units = [f"{need.id}-{index}" for index in range(need.request.count)]
    return replace(need, providers=tuple(candidate[unit][0] for unit in units if unit in candidate))


def _only(name: str, value: str | None) -> dict[str, str]:
    return {} if value is None else {name: value}
