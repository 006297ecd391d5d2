"""``/v2.0/segments``: the wires that a network is on; the first is made with it."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from msgspec import UNSET

from lanekeeper.api.network.field import Maybe, Text, Whole, check_uuid, given, whole
from lanekeeper.api.network.listing import Collected, View, answer, only, wanted_columns
from lanekeeper.api.row import ADMIN, Call, Policy, Row, Strict
from lanekeeper.control.network.segment import (
    create_segment,
    delete_segment,
    list_segments,
    show_segment,
    update_segment,
)
from lanekeeper.domain.network.network import NetworkRecord
from lanekeeper.domain.network.segment import Segment, SegmentWanted
from lanekeeper.domain.network.vlan import VLAN_MAX, VLAN_MIN

KIND = Collected(
    path="segments",
    plural="segments",
    attributes=frozenset(
        {"id", "name", "description", "network_id", "network_type", "physical_network"}
        | {"segmentation_id"}
    ),
    sort_keys=frozenset(
        {"id", "name", "network_id", "network_type", "physical_network", "segmentation_id"}
    ),
)


class SegmentFields(Strict, frozen=True):
    """A new segment of a network that is there."""

    network_id: Text
    network_type: Text
    physical_network: Text | None = None
    segmentation_id: Whole | None = None
    name: Text | None = None
    description: Text | None = None


class SegmentChanges(Strict, frozen=True):
    """What may change of a segment."""

    name: Text | Maybe | None = UNSET
    description: Text | Maybe | None = UNSET


class CreateSegment(Strict, frozen=True):
    segment: SegmentFields


class UpdateSegment(Strict, frozen=True):
    segment: SegmentChanges


def view(network: NetworkRecord, segment: Segment) -> View:
    """A segment in the API's shape."""
    return {
        "id": segment.id,
        "name": segment.name,
        "description": segment.description,
        "network_id": network.id,
        "network_type": str(segment.network_type),
        "physical_network": segment.physical_network,
        "segmentation_id": segment.segmentation_id,
    }


def list_(call: Call[None]) -> View:
    """List the segments of all networks."""
    wanted_columns(call, KIND)
    return answer(call, KIND, [view(*one) for one in list_segments(call.site, call.caller)])


def show(call: Call[None]) -> View:
    """Show a segment."""
    found = show_segment(call.site, call.caller, call.path["id"])
    return {"segment": only(view(*found), call.asked_all("fields"))}


def create(call: Call[CreateSegment]) -> View:
    """Create a segment of a network."""
    body = call.body.segment
    number = body.segmentation_id
    wanted = SegmentWanted(
        network_type=body.network_type,
        physical_network=body.physical_network,
        segmentation_id=(
            None if number is None else whole(number, "segmentation_id", f"{VLAN_MIN}..{VLAN_MAX}")
        ),
        name=body.name,
        description=body.description,
    )
    network_id = check_uuid(body.network_id, "network_id")
    return {"segment": view(*create_segment(call.site, call.caller, network_id, wanted))}


def update(call: Call[UpdateSegment]) -> View:
    """Update a segment's name or description."""
    values = given(call.body.segment, "name", "description")
    return {"segment": view(*update_segment(call.site, call.caller, call.path["id"], values))}


def delete(call: Call[None]) -> None:
    """Delete a segment."""
    delete_segment(call.site, call.caller, call.path["id"])


_READ = Policy("get_segment", ADMIN)
ROWS: tuple[Row[Any], ...] = (
    Row(method="GET", path="/v2.0/segments", handler=list_, policy=_READ),
    Row(method="GET", path="/v2.0/segments/{id}", handler=show, policy=_READ),
    Row(
        method="POST",
        path="/v2.0/segments",
        handler=create,
        accepts=CreateSegment,
        policy=Policy("create_segment", ADMIN),
        status=HTTPStatus.CREATED,
    ),
    Row(
        method="PUT",
        path="/v2.0/segments/{id}",
        handler=update,
        accepts=UpdateSegment,
        policy=Policy("update_segment", ADMIN),
    ),
    Row(
        method="DELETE",
        path="/v2.0/segments/{id}",
        handler=delete,
        policy=Policy("delete_segment", ADMIN),
        status=HTTPStatus.NO_CONTENT,
    ),
)
