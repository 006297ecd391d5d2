"""What Neutron has and Lanekeeper does not: empty lists where clients look, faults that say so.

Routers and floating IPs are not Lanekeeper's trade: the physical fabric routes. Each list is
empty, each single thing is not found, and each attempt to make one is refused by name.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from lanekeeper.api.network.listing import View
from lanekeeper.api.row import MEMBER, READER, Call, Policy, Row
from lanekeeper.control.network.scope import missing
from lanekeeper.domain.errors import NotOffered


@dataclass(frozen=True, slots=True)
class Absent:
    """One collection that is not there.

    Attributes:
        kind: name of the thing in faults, ``Router``.
        what: the thing in a sentence.
        hint: what to do instead.
    """

    path: str
    plural: str
    kind: str
    what: str
    hint: str


_FABRIC = "the physical network routes; give the subnet that router's address as its gateway"
_OWN = "give the subnet its cidr"
_ABSENT = (
    Absent("floatingips", "floatingips", "FloatingIP", "floating IPs are", _FABRIC),
    Absent("routers", "routers", "Router", "routers are", _FABRIC),
    Absent("subnetpools", "subnetpools", "SubnetPool", "subnet pools are", _OWN),
    Absent("address-scopes", "address_scopes", "AddressScope", "address scopes are", _OWN),
    Absent(
        "address-groups",
        "address_groups",
        "AddressGroup",
        "address groups are",
        "name each prefix in a rule of its own",
    ),
    Absent("flavors", "flavors", "Flavor", "network flavors are", "flavors are Compute's"),
    Absent(
        "metering/metering-labels",
        "metering_labels",
        "MeteringLabel",
        "metering labels are",
        "/metrics has what Lanekeeper measures",
    ),
    Absent("trunks", "trunks", "Trunk", "trunks are", "create a port for each network"),
)

Handler = Callable[[Call[Any]], View]


def _rows(absent: Absent) -> tuple[Row[Any], ...]:
    rule = absent.plural.rstrip("s")
    read, write = Policy(f"get_{rule}", READER), Policy(f"create_{rule}", MEMBER)
    path = f"/v2.0/{absent.path}"
    return (
        Row(method="GET", path=path, handler=_none(absent), policy=read),
        Row(method="POST", path=path, handler=_refuse(absent), policy=write),
        Row(method="GET", path=f"{path}/{{id}}", handler=_unknown(absent), policy=read),
        Row(method="PUT", path=f"{path}/{{id}}", handler=_unknown(absent), policy=write),
        Row(method="DELETE", path=f"{path}/{{id}}", handler=_unknown(absent), policy=write),
    )


def _none(absent: Absent) -> Handler:
    def handler(call: Call[None]) -> View:
        return {absent.plural: []}

    return handler


def _refuse(absent: Absent) -> Handler:
    def handler(call: Call[None]) -> View:
        raise NotOffered(f"{absent.what} not offered", hint=absent.hint)

    return handler


def _unknown(absent: Absent) -> Handler:
    def handler(call: Call[None]) -> View:
        raise missing(absent.kind, call.path["id"])

    return handler


def _no_topology(call: Call[None]) -> View:
    """Refuse to make a project a network, a subnet and a router out of nothing."""
    raise NotOffered(
        "an auto-allocated topology is not offered: it would need a router", hint=_FABRIC
    )


_TOPOLOGY = "/v2.0/auto-allocated-topology/{project}"
_READ_TOPOLOGY = Policy("get_auto_allocated_topology", READER)
_DELETE_TOPOLOGY = Policy("delete_auto_allocated_topology", MEMBER)
ROWS: tuple[Row[Any], ...] = (
    *(row for absent in _ABSENT for row in _rows(absent)),
    Row(method="GET", path=_TOPOLOGY, handler=_no_topology, policy=_READ_TOPOLOGY),
    Row(method="DELETE", path=_TOPOLOGY, handler=_no_topology, policy=_DELETE_TOPOLOGY),
)
