"""Requests against a host's devices: does it fit, what is taken, and how things stand then.

Of equal devices (of one parent, type, kind and node) any will do, so answers count them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

from lanekeeper.domain.scheduling.fit import fit_devices
from lanekeeper.domain.scheduling.shortfall import Shortfall
from vectors.adapters.host import host_devices, locality, needs
from vectors.adapters.rows import Rows, counted
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
    if "statuses" in expect:
        taken = [] if isinstance(given, Shortfall) else [one.device.address for one in given]
        yield Answer(_after(data, taken), told(data, expect["statuses"]), "statuses")


def _after(data: Data, taken: list[str]) -> dict[str, int]:
    """How the devices stand once *taken* are claimed."""
    host = Rows(data)
    host.claim(taken, "vm1")
    return counted(host.standings(), host.holders(), kinds_of(data))


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
