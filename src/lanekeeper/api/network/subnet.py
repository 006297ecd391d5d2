"""``/v2.0/subnets``."""

from __future__ import annotations

from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

from msgspec import UNSET

from lanekeeper.api.network.field import (
    Flag,
    Maybe,
    Names,
    Text,
    Whole,
    check_uuid,
    flag,
    given,
    one_or_many,
    or_else,
    revision_wanted,
    tags_of,
    whole,
)
from lanekeeper.api.network.listing import Collected, View, answer, only, wanted_columns
from lanekeeper.api.network.moment import moment
from lanekeeper.api.row import MEMBER, READER, Call, Policy, Row, Strict
from lanekeeper.control.network.subnet import (
    SubnetChange,
    create_subnets,
    delete_subnet,
    list_subnets,
    show_subnet,
    update_subnet,
)
from lanekeeper.domain.errors import Invalid, NotOffered
from lanekeeper.domain.network.subnet import SubnetRecord, SubnetWanted


class PoolBody(Strict, frozen=True):
    start: Text
    end: Text


class RouteBody(Strict, frozen=True):
    destination: Text
    nexthop: Text


class SubnetFields(Strict, frozen=True):
    """A new subnet."""

    network_id: Text
    ip_version: Whole | Maybe = UNSET
    cidr: Text | Maybe | None = UNSET
    name: Text = ""
    description: Text = ""
    gateway_ip: Text | Maybe | None = UNSET
    enable_dhcp: Flag = True
    allocation_pools: list[PoolBody] | Maybe | None = UNSET
    dns_nameservers: Names | None = None
    host_routes: list[RouteBody] | None = None
    ipv6_ra_mode: Text | None = None
    ipv6_address_mode: Text | None = None
    project_id: Text | Maybe | None = UNSET
    tenant_id: Text | Maybe | None = UNSET
    subnetpool_id: Text | None = None
    use_default_subnetpool: Flag = False
    segment_id: Text | None = None
    service_types: Names = ()
    tags: Names = ()


class SubnetChanges(Strict, frozen=True):
    """What may change of a subnet."""

    name: Text | Maybe = UNSET
    description: Text | Maybe = UNSET
    gateway_ip: Text | Maybe | None = UNSET
    enable_dhcp: Flag | Maybe = UNSET
    allocation_pools: list[PoolBody] | Maybe = UNSET
    dns_nameservers: Names | Maybe | None = UNSET
    host_routes: list[RouteBody] | Maybe | None = UNSET


class CreateSubnet(Strict, frozen=True):
    subnet: SubnetFields | Maybe = UNSET
    subnets: list[SubnetFields] | Maybe = UNSET


class UpdateSubnet(Strict, frozen=True):
    subnet: SubnetChanges


KIND = Collected(
    path="subnets",
    plural="subnets",
    attributes=frozenset(
        {"id", "name", "description", "network_id", "project_id", "tenant_id", "ip_version"}
        | {"cidr", "gateway_ip", "allocation_pools", "enable_dhcp", "dns_nameservers", "tags"}
        | {"host_routes", "ipv6_ra_mode", "ipv6_address_mode", "subnetpool_id", "segment_id"}
        | {"service_types", "router:external", "shared"}
        | {"created_at", "updated_at", "revision_number"}
    ),
    columns=frozenset({"id", "name", "project_id", "network_id", "cidr"}),
    sort_keys=frozenset(
        {"id", "name", "project_id", "tenant_id", "network_id", "ip_version", "cidr", "gateway_ip"}
        | {"enable_dhcp", "ipv6_ra_mode", "ipv6_address_mode", "subnetpool_id", "segment_id"}
    ),
    unfiltered=frozenset(
        {"created_at", "updated_at", "allocation_pools", "dns_nameservers", "host_routes"}
    ),
)


def view(subnet: SubnetRecord) -> View:
    """A subnet in the API's shape."""
    return {
        "id": subnet.id,
        "name": subnet.name,
        "description": subnet.description,
        "network_id": subnet.network_id,
        "project_id": subnet.project_id,
        "tenant_id": subnet.project_id,
        "ip_version": subnet.ip_version,
        "cidr": subnet.cidr,
        "gateway_ip": subnet.gateway_ip,
        "allocation_pools": [{"start": pool.start, "end": pool.end} for pool in subnet.pools],
        "enable_dhcp": subnet.enable_dhcp,
        "dns_nameservers": list(subnet.dns_nameservers),
        "host_routes": [dict(route) for route in subnet.host_routes],
        "ipv6_ra_mode": subnet.ipv6_ra_mode,
        "ipv6_address_mode": subnet.ipv6_address_mode,
        "subnetpool_id": None,
        "segment_id": None,
        "service_types": [],
        "router:external": subnet.external,
        "shared": subnet.shared,
        "tags": list(subnet.tags),
        "created_at": moment(subnet.created_at),
        "updated_at": moment(subnet.updated_at),
        "revision_number": subnet.revision,
    }


def list_(call: Call[None]) -> View:
    """List subnets."""
    found = list_subnets(call.site, call.caller, wanted_columns(call, KIND))
    return answer(call, KIND, [view(subnet) for subnet in found])


def show(call: Call[None]) -> View:
    """Show a subnet."""
    shown = view(show_subnet(call.site, call.caller, call.path["id"]))
    return {"subnet": only(shown, call.asked_all("fields"))}


def create(call: Call[CreateSubnet]) -> View:
    """Create a subnet, or several at once."""
    body = call.body
    fields, many = one_or_many(body.subnet, body.subnets, ("subnet", "subnets"))
    made = create_subnets(call.site, call.caller, [_wanted(one) for one in fields])
    shown = [view(subnet) for subnet in made]
    return {"subnets": shown} if many else {"subnet": shown[0]}


def update(call: Call[UpdateSubnet]) -> View:
    """Update a subnet."""
    body = call.body.subnet
    values = given(body, "name", "description")
    if body.enable_dhcp is not UNSET:
        values["enable_dhcp"] = flag(body.enable_dhcp, "enable_dhcp")
    change = SubnetChange(
        values=values,
        gateway_ip=None if body.gateway_ip is UNSET else (body.gateway_ip,),
        pools=None if body.allocation_pools is UNSET else _pools(body.allocation_pools),
        dns_nameservers=_listed(body.dns_nameservers),
        host_routes=None if body.host_routes is UNSET else _routes(body.host_routes or ()),
        revision=revision_wanted(call.headers),
    )
    return {"subnet": view(update_subnet(call.site, call.caller, call.path["id"], change))}


def delete(call: Call[None]) -> None:
    """Delete a subnet."""
    delete_subnet(call.site, call.caller, call.path["id"], revision_wanted(call.headers))


def _wanted(body: SubnetFields) -> SubnetWanted:
    _check_not_offered(body)
    if body.ip_version is UNSET:
        raise Invalid("ip_version is missing; it is 4 or 6")
    if body.cidr is UNSET or body.cidr is None:
        raise Invalid("cidr is missing; a network such as 192.0.2.0/24 would be right")
    pools = body.allocation_pools
    return SubnetWanted(
        network_id=check_uuid(body.network_id, "network_id"),
        cidr=body.cidr,
        ip_version=whole(body.ip_version, "ip_version"),
        project_id=or_else(body.project_id, or_else(body.tenant_id, None)),
        name=body.name,
        description=body.description,
        gateway_ip=_gateway(body.gateway_ip),
        enable_dhcp=flag(body.enable_dhcp, "enable_dhcp"),
        pools=_pools(pools) if pools else None,
        dns_nameservers=tuple(body.dns_nameservers or ()),
        host_routes=_routes(body.host_routes or ()),
        ipv6_ra_mode=body.ipv6_ra_mode,
        ipv6_address_mode=body.ipv6_address_mode,
        tags=tags_of(body.tags),
    )


def _check_not_offered(body: SubnetFields) -> None:
    for name, asked in (
        ("subnetpool_id", body.subnetpool_id is not None),
        ("use_default_subnetpool", flag(body.use_default_subnetpool, "use_default_subnetpool")),
        ("segment_id", body.segment_id is not None),
        ("service_types", bool(body.service_types)),
    ):
        if asked:
            raise NotOffered(f"{name} of a subnet is not offered; give its cidr and leave it out")


def _gateway(value: str | Maybe | None) -> str | None:
    if value == "":
        raise Invalid("gateway_ip '' is not an IP address; null would mean no gateway")
    return "" if isinstance(value, Maybe) else value


def _pools(pools: Sequence[PoolBody]) -> tuple[tuple[str, str], ...]:
    return tuple((pool.start, pool.end) for pool in pools)


def _routes(routes: Sequence[RouteBody]) -> tuple[tuple[str, str], ...]:
    return tuple((route.destination, route.nexthop) for route in routes)


def _listed(value: tuple[str, ...] | Maybe | None) -> tuple[str, ...] | None:
    return None if isinstance(value, Maybe) else tuple(value or ())


_READ = Policy("get_subnet", READER)
ROWS: tuple[Row[Any], ...] = (
    Row(method="GET", path="/v2.0/subnets", handler=list_, policy=_READ),
    Row(method="GET", path="/v2.0/subnets/{id}", handler=show, policy=_READ),
    Row(
        method="POST",
        path="/v2.0/subnets",
        handler=create,
        accepts=CreateSubnet,
        policy=Policy("create_subnet", MEMBER),
        status=HTTPStatus.CREATED,
    ),
    Row(
        method="PUT",
        path="/v2.0/subnets/{id}",
        handler=update,
        accepts=UpdateSubnet,
        policy=Policy("update_subnet", MEMBER),
    ),
    Row(
        method="DELETE",
        path="/v2.0/subnets/{id}",
        handler=delete,
        policy=Policy("delete_subnet", MEMBER),
        status=HTTPStatus.NO_CONTENT,
    ),
)
