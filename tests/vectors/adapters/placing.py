"""Requests against a host's devices: does it fit, what is taken, and how things stand then.

Of equal devices (of one parent, type, kind and node) any will do, so answers count them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

from lanekeeper.domain.scheduling.fit import Shortfall, fit_devices
from lanekeeper.domain.scheduling.host import HostDevice
from lanekeeper.domain.scheduling.occupancy import Occupancy
from vectors.adapters.host import host_devices, locality, needs
from vectors.case import Answer, Data

KINDS = {
    "available": "free",
    "claimed": "held",
    "allocated": "held",
    "unclaimable": "blocked",
    "unavailable": "blocked",
}


def requests(data: Data) -> Iterator[Answer]:
    expect = data["expect"]
    given = fit_devices(needs(data["requests"]), host_devices(data), locality(data))
    fits = not isinstance(given, Shortfall)
    yield Answer(fits, expect["filter_says"], "filter")
    yield Answer("ok" if fits else "error", expect["claim"]["result"], "claim")
    if not isinstance(given, Shortfall) and "must_hold" in expect:
        nodes = [one.device.numa_node for one in given]
        held = {
            "count": len(given),
            "per_request": dict(sorted(Counter(one.need_id for one in given).items())),
            "numa_nodes": sorted(nodes, key=lambda node: (node is None, node or 0)),
        }
        yield Answer(held, expect["must_hold"], "must_hold")
    after = Occupancy({one.id: one for one in host_devices(data)})
    if not isinstance(given, Shortfall):
        after = after.claimed([one.device.id for one in given], "vm1")
    if "statuses" in expect:
        yield Answer(standings(data, after), told(data, expect["statuses"]), "statuses")


def standings(data: Data, occupancy: Occupancy) -> dict[str, int]:
    kinds = kinds_of(data)
    return dict(
        Counter(f"{kinds[one.id]} {_word(occupancy, one)}" for one in occupancy.devices.values())
    )


def told(data: Data, statuses: dict[str, Any]) -> dict[str, int]:
    kinds = kinds_of(data)
    return dict(
        Counter(
            f"{kinds[address]} {KINDS[one['status']]} {one['owner'] or ''}".rstrip()
            for address, one in statuses.items()
        )
    )


def kinds_of(data: Data) -> dict[str, str]:
    return {
        one["address"]: "/".join(
            str(one.get(key)) for key in ("parent_addr", "dev_type", "product_id", "numa_node")
        )
        for one in data["devices"]
    }


def _word(occupancy: Occupancy, device: HostDevice) -> str:
    holder = occupancy.holders.get(device.id, "")
    standing = occupancy.standing(device.id)
    return f"{'blocked' if standing.name == 'BLOCKED' else standing.value} {holder}".rstrip()
