"""``/v2.0/network-ip-availabilities``: how many addresses are taken of how many."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from lanekeeper.api.network.field import whole
from lanekeeper.api.network.listing import Collected, View, answer, wanted_columns
from lanekeeper.api.row import ADMIN, Call, Policy, Row
from lanekeeper.control.network.network import list_networks
from lanekeeper.control.network.subnet import count_addresses
from lanekeeper.domain.network.network import NetworkRecord
from lanekeeper.domain.network.subnet import SubnetRecord

_VERSION = "ip_version"
KIND = Collected(
    path="network-ip-availabilities",
    plural="network_ip_availabilities",
    attributes=frozenset(
        {"network_id", "network_name", "project_id", "tenant_id", "total_ips", "used_ips"}
        | {_VERSION}
    ),
    key="network_id",
)


def view(network: NetworkRecord, used: Sequence[tuple[SubnetRecord, int]]) -> View:
    """A network's addresses in the API's shape; in an IPv6 subnet the numbers are huge."""
    totals = [sum(pool.count for pool in subnet.pools) for subnet, _ in used]
    return {
        "network_id": network.id,
        "network_name": network.name,
        "project_id": network.project_id,
        "tenant_id": network.project_id,
        "subnet_ip_availability": [
            {
                "subnet_id": subnet.id,
                "subnet_name": subnet.name,
                "cidr": subnet.cidr,
                "ip_version": subnet.ip_version,
                "used_ips": taken,
                "total_ips": _shown(total),
            }
            for (subnet, taken), total in zip(used, totals, strict=True)
        ],
        "used_ips": sum(taken for _, taken in used),
        "total_ips": _shown(sum(totals)),
    }


def list_(call: Call[None]) -> View:
    """List how many addresses are taken on each network."""
    wanted_columns(call, KIND)
    found = list_networks(call.site, call.caller, {})
    views = [_one(call, network.id) for network in found]
    rest = tuple(pair for pair in call.query if pair[0] != _VERSION)
    return answer(replace(call, query=rest), KIND, views)


def show(call: Call[None]) -> View:
    """Show how many addresses are taken on a network."""
    return {"network_ip_availability": _one(call, call.path["id"])}


def _one(call: Call[None], network_id: str) -> View:
    network, used = count_addresses(call.site, call.caller, network_id)
    version = call.asked(_VERSION)
    wanted = None if version is None else whole(version, _VERSION)
    kept = [one for one in used if wanted in (None, one[0].ip_version)]
    return view(network, kept)


def _shown(number: int) -> int | float:
    """A number that JSON's readers can hold: beyond 64 bits it is rounded, as Neutron's is."""
    return number if number < 2**63 else float(number)


_READ = Policy("get_network_ip_availability", ADMIN)
ROWS: tuple[Row[Any], ...] = (
    Row(method="GET", path="/v2.0/network-ip-availabilities", handler=list_, policy=_READ),
    Row(method="GET", path="/v2.0/network-ip-availabilities/{id}", handler=show, policy=_READ),
)
