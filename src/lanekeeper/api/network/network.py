"""``/v2.0/networks``."""

from __future__ import annotations

from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

from msgspec import UNSET, field

from lanekeeper.api.network.field import (
    Flag,
    Maybe,
    Names,
    Text,
    Whole,
    flag,
    flags_given,
    given,
    one_or_many,
    or_else,
    revision_wanted,
    tags_of,
    uuid_or_none,
    whole,
)
from lanekeeper.api.network.listing import Collected, View, answer, only, wanted_columns
from lanekeeper.api.network.moment import moment
from lanekeeper.api.row import ADMIN, MEMBER, READER, Call, Policy, Row, Strict
from lanekeeper.control.network.network import (
    NetworkChange,
    create_networks,
    delete_network,
    list_networks,
    show_network,
    update_network,
)
from lanekeeper.domain.errors import Invalid
from lanekeeper.domain.network.network import DEFAULT_POLICY, NetworkRecord, NetworkWanted
from lanekeeper.domain.network.segment import Segment, SegmentWanted, check_segments
from lanekeeper.domain.network.vlan import VLAN_MAX, VLAN_MIN

TYPE, PHYSICAL, ID = (
    "provider:network_type",
    "provider:physical_network",
    "provider:segmentation_id",
)
_VLANS = f"{VLAN_MIN}..{VLAN_MAX}"
_SEE_PROVIDER = Policy("get_network:provider:network_type", ADMIN)
_SAY_PROVIDER = Policy("create_network:provider:network_type", ADMIN)
_CHANGE_PROVIDER = Policy("update_network:provider:segmentation_id", ADMIN)
_SHARE = Policy("create_network:shared", ADMIN)
_RESHARE = Policy("update_network:shared", ADMIN)
_EXTERNAL = Policy("create_network:router:external", ADMIN)
_REEXTERNAL = Policy("update_network:router:external", ADMIN)


class SegmentBody(Strict, frozen=True):
    """One element of ``segments``."""

    network_type: Text | None = field(name=TYPE, default=None)
    physical_network: Text | None = field(name=PHYSICAL, default=None)
    segmentation_id: Whole | None = field(name=ID, default=None)


class NetworkFields(Strict, frozen=True):
    """A new network."""

    name: Text = ""
    description: Text = ""
    admin_state_up: Flag = True
    shared: Flag = False
    external: Flag = field(name="router:external", default=False)
    port_security_enabled: Flag = True
    mtu: Whole | Maybe = UNSET
    project_id: Text | Maybe | None = UNSET
    tenant_id: Text | Maybe | None = UNSET
    qos_policy_id: Text | Maybe | None = UNSET
    availability_zone_hints: Names = ()
    tags: Names = ()
    network_type: Text | None = field(name=TYPE, default=None)
    physical_network: Text | None = field(name=PHYSICAL, default=None)
    segmentation_id: Whole | None = field(name=ID, default=None)
    segments: list[SegmentBody] | Maybe = UNSET


class NetworkChanges(Strict, frozen=True):
    """What may change of a network."""

    name: Text | Maybe = UNSET
    description: Text | Maybe = UNSET
    admin_state_up: Flag | Maybe = UNSET
    shared: Flag | Maybe = UNSET
    external: Flag | Maybe = field(name="router:external", default=UNSET)
    port_security_enabled: Flag | Maybe = UNSET
    mtu: Whole | Maybe = UNSET
    qos_policy_id: Text | Maybe | None = UNSET
    segmentation_id: Whole | Maybe = field(name=ID, default=UNSET)


class CreateNetwork(Strict, frozen=True):
    network: NetworkFields | Maybe = UNSET
    networks: list[NetworkFields] | Maybe = UNSET


class UpdateNetwork(Strict, frozen=True):
    network: NetworkChanges


_FLAGS = {
    "admin_state_up": "admin_state_up",
    "shared": "shared",
    "external": "router:external",
    "port_security_enabled": "port_security_enabled",
}
_PROVIDER = frozenset({TYPE, PHYSICAL, ID})
KIND = Collected(
    path="networks",
    plural="networks",
    attributes=_PROVIDER
    | {"id", "name", "description", "project_id", "tenant_id", "admin_state_up", "status", "mtu"}
    | {"shared", "router:external", "subnets", "port_security_enabled", "qos_policy_id", "tags"}
    | {"availability_zone_hints", "availability_zones", "ipv4_address_scope", "revision_number"}
    | {"ipv6_address_scope", "l2_adjacency", "created_at", "updated_at"},
    columns=frozenset({"id", "name", "project_id"}),
    sort_keys=frozenset(
        {"id", "name", "project_id", "tenant_id", "admin_state_up", "status", "mtu"}
        | {"availability_zone_hints"}
    ),
    unfiltered=frozenset({"created_at", "updated_at", "subnets", "l2_adjacency"}),
)


def view(network: NetworkRecord, *, shared: bool, provider: bool) -> View:
    """A network in the API's shape; with its segments for those who may see them."""
    shown: View = {
        "id": network.id,
        "name": network.name,
        "description": network.description,
        "project_id": network.project_id,
        "tenant_id": network.project_id,
        "admin_state_up": network.admin_state_up,
        "status": "ACTIVE",
        "mtu": network.mtu,
        "shared": shared,
        "router:external": network.external,
        "subnets": list(network.subnets),
        "port_security_enabled": network.port_security_enabled,
        "qos_policy_id": network.qos_policy_id,
        "availability_zone_hints": [],
        "availability_zones": ["nova"],
        "ipv4_address_scope": None,
        "ipv6_address_scope": None,
        "l2_adjacency": True,
        "tags": list(network.tags),
        "created_at": moment(network.created_at),
        "updated_at": moment(network.updated_at),
        "revision_number": network.revision,
    }
    return shown | (_provider(network.segments) if provider else {})


def list_(call: Call[None]) -> View:
    """List networks."""
    found = list_networks(call.site, call.caller, wanted_columns(call, KIND))
    return answer(call, KIND, _views(call, found))


def show(call: Call[None]) -> View:
    """Show a network."""
    (shown,) = _views(call, [show_network(call.site, call.caller, call.path["id"])])
    return {"network": only(shown, call.asked_all("fields"))}


def create(call: Call[CreateNetwork]) -> View:
    """Create a network, or several at once."""
    body = call.body
    fields, many = one_or_many(body.network, body.networks, ("network", "networks"))
    made = create_networks(call.site, call.caller, [_wanted(call, one) for one in fields])
    shown = _views(call, made)
    return {"networks": shown} if many else {"network": shown[0]}


def update(call: Call[UpdateNetwork]) -> View:
    """Update a network."""
    body = call.body.network
    values: dict[str, Any] = {
        **given(body, "name", "description"),
        **flags_given(body, _FLAGS),
    }
    if body.qos_policy_id is not UNSET:
        values["qos_policy_id"] = uuid_or_none(body.qos_policy_id, "qos_policy_id")
    if "shared" in values:
        call.demand(_RESHARE)
    if "external" in values:
        call.demand(_REEXTERNAL)
    if body.mtu is not UNSET:
        values["mtu"] = whole(body.mtu, "mtu")
    vlan = None
    if body.segmentation_id is not UNSET:
        call.demand(_CHANGE_PROVIDER)
        vlan = whole(body.segmentation_id, ID, _VLANS)
    change = NetworkChange(values=values, vlan=vlan, revision=revision_wanted(call.headers))
    (shown,) = _views(call, [update_network(call.site, call.caller, call.path["id"], change)])
    return {"network": shown}


def delete(call: Call[None]) -> None:
    """Delete a network."""
    delete_network(call.site, call.caller, call.path["id"], revision_wanted(call.headers))


def _wanted(call: Call[Any], body: NetworkFields) -> NetworkWanted:
    segments = _segments(body)
    shared, external = flag(body.shared, "shared"), flag(body.external, "router:external")
    for asked, rule in (
        (any(not one.is_blank for one in segments), _SAY_PROVIDER),
        (shared, _SHARE),
        (external, _EXTERNAL),
    ):
        if asked:
            call.demand(rule)
    return NetworkWanted(
        name=body.name,
        description=body.description,
        admin_state_up=flag(body.admin_state_up, "admin_state_up"),
        shared=shared,
        external=external,
        port_security_enabled=flag(body.port_security_enabled, "port_security_enabled"),
        mtu=None if body.mtu is UNSET else whole(body.mtu, "mtu") or None,
        project_id=or_else(body.project_id, or_else(body.tenant_id, None)),
        segments=segments,
        qos_policy_id=(
            DEFAULT_POLICY
            if body.qos_policy_id is UNSET
            else uuid_or_none(body.qos_policy_id, "qos_policy_id")
        ),
        tags=tags_of(body.tags),
    )


def _segments(body: NetworkFields) -> tuple[SegmentWanted, ...]:
    named = _segment_wanted(body)
    if body.segments is UNSET:
        return (named,)
    if not named.is_blank:
        raise Invalid(
            "segments and provider attributes cannot both be given",
            code="SegmentsSetInConjunctionWithProviders",
        )
    check_segments(wanted := tuple(map(_segment_wanted, body.segments)))
    return wanted


def _segment_wanted(body: NetworkFields | SegmentBody) -> SegmentWanted:
    number = body.segmentation_id
    return SegmentWanted(
        network_type=body.network_type,
        physical_network=body.physical_network,
        segmentation_id=None if number is None else whole(number, ID, _VLANS),
    )


def _views(call: Call[Any], networks: Sequence[NetworkRecord]) -> list[View]:
    provider = call.may(_SEE_PROVIDER)
    mine = call.caller.project_id
    return [
        view(network, shared=network.is_shared_with(mine), provider=provider)
        for network in networks
    ]


def _provider(segments: Sequence[Segment]) -> View:
    """One segment as provider attributes; several as ``segments``, in their place."""
    shown: list[View] = [
        {
            TYPE: str(segment.network_type),
            PHYSICAL: segment.physical_network,
            ID: segment.segmentation_id,
        }
        for segment in segments
    ]
    if len(shown) == 1:
        return shown[0]
    return {"segments": shown}


_READ = Policy("get_network", READER)
_CREATE = Policy("create_network", MEMBER)
_UPDATE = Policy("update_network", MEMBER)
ROWS: tuple[Row[Any], ...] = (
    Row(method="GET", path="/v2.0/networks", handler=list_, policy=_READ, asks=(_SEE_PROVIDER,)),
    Row(
        method="GET", path="/v2.0/networks/{id}", handler=show, policy=_READ, asks=(_SEE_PROVIDER,)
    ),
    Row(
        method="POST",
        path="/v2.0/networks",
        handler=create,
        accepts=CreateNetwork,
        policy=_CREATE,
        asks=(_SEE_PROVIDER, _SAY_PROVIDER, _SHARE, _EXTERNAL),
        status=HTTPStatus.CREATED,
    ),
    Row(
        method="PUT",
        path="/v2.0/networks/{id}",
        handler=update,
        accepts=UpdateNetwork,
        policy=_UPDATE,
        asks=(_SEE_PROVIDER, _CHANGE_PROVIDER, _RESHARE, _REEXTERNAL),
    ),
    Row(
        method="DELETE",
        path="/v2.0/networks/{id}",
        handler=delete,
        policy=Policy("delete_network", MEMBER),
        status=HTTPStatus.NO_CONTENT,
    ),
)
