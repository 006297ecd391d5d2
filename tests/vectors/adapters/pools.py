"""Devices and entries: what is listed, with which tags, and how many of each kind there are.

Pools are Nova's own; here a device stands for itself, and only what it offers and totals count.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

from lanekeeper.domain.pci.device import PciDevice
from vectors.adapters.host import listed_devices
from vectors.case import Answer, Data


def pools(data: Data) -> Iterator[Answer]:
    expect, listed = data["expect"], listed_devices(data)
    yield Answer([str(one.device.address) for one in listed], expect["tracked"], "tracked")
    yield Answer(
        dict(Counter(kind(one.device) for one in listed)),
        dict(sum((Counter({told(pool): pool["free"]}) for pool in expect["pools"]), Counter())),
        "totals",
    )
    yield Answer(
        {str(one.device.address): dict(one.tags) for one in listed},
        {address: tags(pool) for pool in expect["pools"] for address in pool["devices"]},
        "tags",
    )


def kind(device: PciDevice) -> str:
    place = device.parent or device.address
    ids = f"{device.vendor_id:04x}:{device.product_id:04x}"
    return f"{ids} {device.dev_type} {device.numa_node} {place}"


def told(pool: dict[str, Any]) -> str:
    ids = f"{pool['vendor_id']}:{pool['product_id']}"
    return f"{ids} {pool['dev_type']} {pool['numa_node']} {pool['pool_address']}"


def tags(pool: dict[str, Any]) -> dict[str, str]:
    """Those of the entry: Nova adds remote_managed where the entry does not say."""
    return {
        key: "" if value is None else value
        for key, value in pool["tags"].items()
        if (key, value) != ("remote_managed", "false")
    }
