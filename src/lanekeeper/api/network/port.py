"""``/v2.0/ports``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any, Literal

import msgspec
from msgspec import UNSET, field

from lanekeeper.api.network.field import (
    Flag,
    Maybe,
    Names,
    Text,
    check_uuid,
    flag,
    flags_given,
    given,
    one_or_many,
    or_else,
    revision_wanted,
    tags_of,
    uuid_or_none,
)
from lanekeeper.api.network.listing import Collected, View, answer, only, wanted_columns
from lanekeeper.api.network.port_view import (
    ATTRIBUTES,
    FILTERS,
    HOST,
    PROFILE,
    VIF_DETAILS,
    view,
)
from lanekeeper.api.row import ADMIN, MEMBER, READER, Call, Policy, Row, Strict
from lanekeeper.control.network.port import (
    create_ports,
    delete_port,
    list_ports,
    show_port,
    update_port,
)
from lanekeeper.control.network.port_rules import PortChange
from lanekeeper.domain.errors import Invalid
from lanekeeper.domain.network.address import parse_cidr, parse_ip, parse_mac
from lanekeeper.domain.network.extra_dhcp import check_options, new_options
from lanekeeper.domain.network.fixed_ip import FixedIpAsked
from lanekeeper.domain.network.port import FixedIpWanted, PortRecord, PortWanted, VnicType
from lanekeeper.domain.network.profile import LENGTH_MAX

_SEE_BINDING = Policy("get_port:binding:host_id", ADMIN)
_SEE_TRUSTED = Policy("get_port:trusted", ADMIN)
_SEE_REQUEST = Policy("get_port:resource_request", ADMIN)
_SAY_HOST = Policy("create_port:binding:host_id", ADMIN)
_SAY_PROFILE = Policy("create_port:binding:profile", ADMIN)
_SAY_TRUSTED = Policy("create_port:trusted", ADMIN)
_CHANGE_HOST = Policy("update_port:binding:host_id", ADMIN)
_CHANGE_PROFILE = Policy("update_port:binding:profile", ADMIN)
_CHANGE_TRUSTED = Policy("update_port:trusted", ADMIN)
_CHANGE_DATA_PLANE = Policy(
    "update_port:data_plane_status", f"{ADMIN} or role:data_plane_integrator"
)
_CHANGE_MAC = Policy("update_port:mac_address", ADMIN)

_NUMA_POLICIES = ("required", "preferred", "socket", "legacy")


class FixedIpBody(Strict, frozen=True):
    subnet_id: Text | None = None
    ip_address: Text | None = None


class PairBody(Strict, frozen=True):
    """One allowed address pair."""

    ip_address: Text
    mac_address: Text | None = None


class PortFields(Strict, frozen=True):
    """A new port."""

    network_id: Text
    name: Text = ""
    description: Text = ""
    admin_state_up: Flag = True
    mac_address: Text | Maybe | None = UNSET
    fixed_ips: list[FixedIpBody] | Maybe | None = UNSET
    device_id: Text = ""
    device_owner: Text = ""
    project_id: Text | Maybe | None = UNSET
    tenant_id: Text | Maybe | None = UNSET
    vnic_type: Text = field(name="binding:vnic_type", default=VnicType.NORMAL)
    host_id: Text | None = field(name="binding:host_id", default="")
    profile: dict[str, Any] | None = field(name="binding:profile", default=None)
    port_security_enabled: Flag | Maybe = UNSET
    propagate_uplink_status: Flag = True
    trusted: Flag | None = None
    numa_affinity_policy: Text | None = None
    allowed_address_pairs: tuple[PairBody, ...] | None = None
    security_groups: Names | Maybe | None = UNSET
    extra_dhcp_opts: list[dict[str, Any]] | None = None
    qos_policy_id: Text | None = None
    tags: Names = ()


class PortChanges(Strict, frozen=True):
    """What may change of a port."""

    name: Text | Maybe = UNSET
    description: Text | Maybe = UNSET
    admin_state_up: Flag | Maybe = UNSET
    mac_address: Text | Maybe = UNSET
    fixed_ips: list[FixedIpBody] | Maybe = UNSET
    device_id: Text | Maybe = UNSET
    device_owner: Text | Maybe = UNSET
    vnic_type: Text | Maybe = field(name="binding:vnic_type", default=UNSET)
    host_id: Text | Maybe | None = field(name="binding:host_id", default=UNSET)
    profile: dict[str, Any] | Maybe | None = field(name="binding:profile", default=UNSET)
    port_security_enabled: Flag | Maybe = UNSET
    propagate_uplink_status: Flag | Maybe = UNSET
    trusted: Flag | Maybe | None = UNSET
    numa_affinity_policy: Text | Maybe | None = UNSET
    data_plane_status: Literal["ACTIVE", "DOWN"] | Maybe | None = UNSET
    allowed_address_pairs: list[PairBody] | Maybe | None = UNSET
    security_groups: Names | Maybe | None = UNSET
    extra_dhcp_opts: list[dict[str, Any]] | Maybe | None = UNSET
    qos_policy_id: Text | Maybe | None = UNSET


class CreatePort(Strict, frozen=True):
    port: PortFields | Maybe = UNSET
    ports: list[PortFields] | Maybe = UNSET


class UpdatePort(Strict, frozen=True):
    port: PortChanges


KIND = Collected(
    path="ports",
    plural="ports",
    attributes=ATTRIBUTES,
    columns=frozenset({"id", "name", "project_id", "network_id", "device_id", "device_owner"}),
    sort_keys=frozenset(
        {"id", "name", "project_id", "tenant_id", "network_id", "mac_address", "admin_state_up"}
        | {"status", "device_id", "device_owner", "ip_allocation"}
    ),
    unfiltered=frozenset(
        {"created_at", "updated_at", "allowed_address_pairs", "extra_dhcp_opts", PROFILE}
        | {VIF_DETAILS, "resource_request", "data_plane_status"}
    ),
    special=FILTERS,
)
_FLAGS = {
    name: name for name in ("admin_state_up", "port_security_enabled", "propagate_uplink_status")
}


def list_(call: Call[None]) -> View:
    """List ports."""
    asked = [FixedIpAsked.parse(value) for value in call.asked_all("fixed_ips")]
    found = list_ports(call.site, call.caller, _narrowed(call), asked)
    return answer(call, KIND, _views(call, found))


def _narrowed(call: Call[None]) -> dict[str, tuple[str, ...]]:
    """What of the query the store can narrow by; who may not see a port's host learns none of it.

    Raises:
        Invalid: a filter that ports do not have, or a MAC that is none.
    """
    wanted = wanted_columns(call, KIND)
    if macs := call.asked_all("mac_address"):
        wanted["mac_address"] = tuple(map(parse_mac, macs))
    hosts = call.asked_all(HOST)
    if hosts and call.may(_SEE_BINDING):
        wanted["binding_host"] = hosts
    return wanted


def show(call: Call[None]) -> View:
    """Show a port."""
    (shown,) = _views(call, [show_port(call.site, call.caller, call.path["id"])])
    return {"port": only(shown, call.asked_all("fields"))}


def create(call: Call[CreatePort]) -> View:
    """Create a port, or several at once."""
    body = call.body
    fields, many = one_or_many(body.port, body.ports, ("port", "ports"))
    made = create_ports(call.site, call.caller, [_wanted(call, one) for one in fields])
    shown = _views(call, made)
    return {"ports": shown} if many else {"port": shown[0]}


def update(call: Call[UpdatePort]) -> View:
    """Update a port."""
    body = call.body.port
    mac = None
    if body.mac_address is not UNSET:
        call.demand(_CHANGE_MAC)
        mac = parse_mac(body.mac_address)
    change = PortChange(
        values=_changed(call, body),
        mac=mac,
        fixed_ips=None if body.fixed_ips is UNSET else _fixed_ips(body.fixed_ips),
        revision=revision_wanted(call.headers),
    )
    (shown,) = _views(call, [update_port(call.site, call.caller, call.path["id"], change)])
    return {"port": shown}


def delete(call: Call[None]) -> None:
    """Delete a port."""
    delete_port(call.site, call.caller, call.path["id"], revision_wanted(call.headers))


def _wanted(call: Call[Any], body: PortFields) -> PortWanted:
    for asked, rule in (
        (body.host_id, _SAY_HOST),
        (body.profile, _SAY_PROFILE),
        (body.trusted is not None, _SAY_TRUSTED),
    ):
        if asked:
            call.demand(rule)
    secured = body.port_security_enabled
    groups = or_else(body.security_groups, None)
    ips = body.fixed_ips
    return PortWanted(
        network_id=check_uuid(body.network_id, "network_id"),
        project_id=or_else(body.project_id, or_else(body.tenant_id, None)),
        name=body.name,
        description=body.description,
        mac=parse_mac(body.mac_address) if isinstance(body.mac_address, str) else None,
        admin_state_up=flag(body.admin_state_up, "admin_state_up"),
        vnic_type=vnic_type_of(body.vnic_type),
        fixed_ips=None if ips is UNSET or ips is None else _fixed_ips(ips),
        device_id=body.device_id,
        device_owner=body.device_owner,
        host_name=body.host_id or "",
        profile=profile_of(body.profile),
        port_security_enabled=(
            None if secured is UNSET else flag(secured, "port_security_enabled")
        ),
        propagate_uplink_status=flag(body.propagate_uplink_status, "propagate_uplink_status"),
        trusted=None if body.trusted is None else flag(body.trusted, "trusted"),
        numa_affinity_policy=_numa_policy(body.numa_affinity_policy),
        qos_policy_id=uuid_or_none(body.qos_policy_id, "qos_policy_id"),
        allowed_address_pairs=_pairs(body.allowed_address_pairs),
        security_groups=None if groups is None else tuple(dict.fromkeys(groups)),
        extra_dhcp_opts=new_options(_dhcp_options(body.extra_dhcp_opts)),
        tags=tags_of(body.tags),
    )


def _changed(call: Call[Any], body: PortChanges) -> dict[str, Any]:
    """The columns that a PUT writes, beside MAC and addresses."""
    values: dict[str, Any] = {
        **given(body, "name", "description", "device_id", "device_owner"),
        **flags_given(body, _FLAGS),
    }
    for name, rule in (
        ("host_id", _CHANGE_HOST),
        ("profile", _CHANGE_PROFILE),
        ("trusted", _CHANGE_TRUSTED),
        ("data_plane_status", _CHANGE_DATA_PLANE),
    ):
        if getattr(body, name) is not UNSET:
            call.demand(rule)
    if body.vnic_type is not UNSET:
        values["vnic_type"] = vnic_type_of(body.vnic_type)
    if body.host_id is not UNSET:
        values["binding_host"] = body.host_id or ""
    if body.profile is not UNSET:
        values["binding_profile"] = profile_of(body.profile)
    if body.trusted is not UNSET:
        values["trusted"] = None if body.trusted is None else flag(body.trusted, "trusted")
    if body.numa_affinity_policy is not UNSET:
        values["numa_affinity_policy"] = _numa_policy(body.numa_affinity_policy)
    if body.allowed_address_pairs is not UNSET:
        values["allowed_address_pairs"] = list(_pairs(body.allowed_address_pairs))
    if body.security_groups is not UNSET:
        values["security_groups"] = list(dict.fromkeys(body.security_groups or ()))
    if body.extra_dhcp_opts is not UNSET:
        values["extra_dhcp_opts"] = _dhcp_options(body.extra_dhcp_opts)
    if body.qos_policy_id is not UNSET:
        values["qos_policy_id"] = uuid_or_none(body.qos_policy_id, "qos_policy_id")
    return values | given(body, "data_plane_status")


def _fixed_ips(entries: Sequence[FixedIpBody]) -> tuple[FixedIpWanted, ...]:
    for entry in entries:
        if entry.subnet_id is not None:
            check_uuid(entry.subnet_id, "fixed_ips: subnet_id")
        if entry.ip_address is not None:
            parse_ip(entry.ip_address, "fixed_ips: ip_address")
    return tuple(FixedIpWanted(subnet_id=one.subnet_id, ip=one.ip_address) for one in entries)


def vnic_type_of(value: str, field: str = "binding:vnic_type") -> VnicType:
    """Read a vnic type.

    Raises:
        Invalid: there is none of that name; the message names *field*.
    """
    if value not in list(VnicType):
        raise Invalid(f"{field} {value!r} is not one of {', '.join(VnicType)}")
    return VnicType(value)


def profile_of(value: Mapping[str, Any] | None, field: str = "binding:profile") -> dict[str, Any]:
    """Read a binding profile; null is an empty one.

    Raises:
        Invalid: it is too long; the message names *field*.
    """
    profile = dict(value or {})
    length = len(msgspec.json.encode(profile))
    if length > LENGTH_MAX:
        raise Invalid(
            f"{field} has {length} characters as JSON, at most {LENGTH_MAX}", code="InvalidInput"
        )
    return profile


def _numa_policy(value: str | None) -> str | None:
    if value is not None and value not in _NUMA_POLICIES:
        raise Invalid(
            f"numa_affinity_policy {value!r} is not one of {', '.join(_NUMA_POLICIES)} or null"
        )
    return value


def _dhcp_options(options: Sequence[Mapping[str, Any]] | None) -> list[dict[str, Any]]:
    check_options(options or ())
    return [dict(option) for option in options or ()]


def _pairs(pairs: Sequence[PairBody] | None) -> tuple[dict[str, str], ...]:
    found = []
    for pair in pairs or ():
        text = pair.ip_address
        ip = (
            parse_cidr(text, "allowed_address_pairs: ip_address")
            if "/" in text
            else parse_ip(text, "allowed_address_pairs: ip_address")
        )
        mac = {"mac_address": parse_mac(pair.mac_address)} if pair.mac_address else {}
        found.append({"ip_address": str(ip), **mac})
    return tuple(found)


def _views(call: Call[Any], ports: Sequence[PortRecord]) -> list[View]:
    binding = call.may(_SEE_BINDING)
    hidden = set() if call.may(_SEE_TRUSTED) else {"trusted"}
    request = call.may(_SEE_REQUEST)
    shown = (view(port, binding=binding, request=request) for port in ports)
    return [{name: one[name] for name in one if name not in hidden} for one in shown]


_READ = Policy("get_port", READER)
ROWS: tuple[Row[Any], ...] = (
    Row(
        method="GET",
        path="/v2.0/ports",
        handler=list_,
        policy=_READ,
        asks=(_SEE_BINDING, _SEE_REQUEST, _SEE_TRUSTED),
    ),
    Row(
        method="GET",
        path="/v2.0/ports/{id}",
        handler=show,
        policy=_READ,
        asks=(_SEE_BINDING, _SEE_REQUEST, _SEE_TRUSTED),
    ),
    Row(
        method="POST",
        path="/v2.0/ports",
        handler=create,
        accepts=CreatePort,
        policy=Policy("create_port", MEMBER),
        asks=(_SEE_BINDING, _SEE_REQUEST, _SEE_TRUSTED, _SAY_HOST, _SAY_PROFILE, _SAY_TRUSTED),
        status=HTTPStatus.CREATED,
    ),
    Row(
        method="PUT",
        path="/v2.0/ports/{id}",
        handler=update,
        accepts=UpdatePort,
        policy=Policy("update_port", MEMBER),
        asks=(
            _SEE_BINDING,
            _SEE_REQUEST,
            _SEE_TRUSTED,
            _CHANGE_HOST,
            _CHANGE_PROFILE,
            _CHANGE_TRUSTED,
            _CHANGE_DATA_PLANE,
            _CHANGE_MAC,
        ),
    ),
    Row(
        method="DELETE",
        path="/v2.0/ports/{id}",
        handler=delete,
        policy=Policy("delete_port", MEMBER),
        status=HTTPStatus.NO_CONTENT,
    ),
)
