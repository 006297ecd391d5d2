"""``/v2.0/segments``: read only; each network has one, made with it."""

from __future__ import annotations

from typing import Any

from lanekeeper.api.network.listing import Collected, View, answer, only, wanted_columns
from lanekeeper.api.row import ADMIN, Call, Policy, Row
from lanekeeper.control.network.network import list_networks
from lanekeeper.control.network.scope import missing
from lanekeeper.domain.errors import NotOffered

KIND = Collected(
    path="segments",
    plural="segments",
    attributes=frozenset(
        {"id", "name", "description", "network_id", "network_type", "physical_network"}
        | {"segmentation_id"}
    ),
)


def list_(call: Call[None]) -> View:
    """List the segments of all networks."""
    wanted_columns(call, KIND)
    return answer(call, KIND, _views(call))


def show(call: Call[None]) -> View:
    """Show a segment."""
    for view in _views(call):
        if view["id"] == call.path["id"]:
            return {"segment": only(view, call.asked_all("fields"))}
    raise missing("Segment", call.path["id"])


def refuse(call: Call[None]) -> None:
    """Refuse a segment of its own."""
    raise NotOffered(
        "segments cannot be made or deleted one by one",
        hint="a network's provider attributes are its segment",
    )


def _views(call: Call[None]) -> list[View]:
    return [
        {
            "id": segment.id,
            "name": None,
            "description": None,
            "network_id": network.id,
            "network_type": str(segment.network_type),
            "physical_network": segment.physical_network,
            "segmentation_id": segment.segmentation_id,
        }
        for network in list_networks(call.site, call.caller, {})
        for segment in network.segments
    ]


_READ = Policy("get_segment", ADMIN)
_WRITE = Policy("create_segment", ADMIN)
ROWS: tuple[Row[Any], ...] = (
    Row(method="GET", path="/v2.0/segments", handler=list_, policy=_READ),
    Row(method="GET", path="/v2.0/segments/{id}", handler=show, policy=_READ),
    Row(method="POST", path="/v2.0/segments", handler=refuse, policy=_WRITE),
    Row(method="PUT", path="/v2.0/segments/{id}", handler=refuse, policy=_WRITE),
    Row(method="DELETE", path="/v2.0/segments/{id}", handler=refuse, policy=_WRITE),
)
