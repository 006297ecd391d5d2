"""Calls that only look: lists with filters, sorting, paging and ``fields``, and single things."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from differential.call import Call
from differential.wire_calls import ID, PHYSICAL, TYPE
from differential.world import Thing, World

Made = tuple[Call, Sequence[Thing]]
_KINDS = (
    ("networks", "network"),
    ("subnets", "subnet"),
    ("ports", "port"),
    ("ports", "port"),
    ("security-groups", "security_group"),
    ("security-group-rules", "security_group_rule"),
    ("segments", "segment"),
)
_NOTHING = "00000000-0000-4000-8000-000000000000"
_COMMON = {"name": ["renamed-1", "network-1", "port-2", ""], "description": ["", "other", "a port"]}
_TAGGED = {
    "tags": ["red", "red,blue"],
    "tags-any": ["red,blue"],
    "not-tags": ["red", "red,blue"],
    "not-tags-any": ["red,blue"],
}
_OWNED = {"project_id": ["{project-1}", "{project-2}"], "tenant_id": ["{project-1}", "x"]}
_FILTERS: Mapping[str, Mapping[str, Sequence[str]]] = {
    "network": {
        **_COMMON,
        **_TAGGED,
        **_OWNED,
        "id": ["{network-1}", "{network-2}", "x"],
        "admin_state_up": ["true", "False", "0", "maybe"],
        "shared": ["true", "false", "maybe"],
        "router:external": ["true", "False"],
        "status": ["ACTIVE", "DOWN"],
        "mtu": ["1500", "1400", "x"],
        TYPE: ["vlan", "flat", "bogus"],
        PHYSICAL: ["physnet1", "plain1"],
        ID: ["2001", "x"],
        "port_security_enabled": ["true"],
        "subnets": ["{subnet-1}"],
        "revision_number": ["1"],
        "availability_zones": ["nova"],
        "unknown_filter": ["1"],
        "created_at": ["2026"],
        "changed_since": ["2020-01-01T00:00:00Z", "x"],
        "is_default": ["true"],
    },
    "subnet": {
        **_COMMON,
        **_TAGGED,
        **_OWNED,
        "id": ["{subnet-1}"],
        "network_id": ["{network-1}", "{network-2}", "x"],
        "ip_version": ["4", "6", "5", "x"],
        "cidr": ["10.1.0.0/24", "x"],
        "gateway_ip": ["10.1.0.1", ""],
        "enable_dhcp": ["true", "false", "maybe"],
        "ipv6_ra_mode": ["slaac"],
        "segment_id": ["x"],
        "service_types": ["compute:nova"],
        "subnetpool_id": ["x"],
        "dns_nameservers": ["192.0.2.53"],
        "allocation_pools": ["x"],
        "host_routes": ["x"],
        "shared": ["true", "false"],
        "router:external": ["false"],
        "unknown_filter": ["1"],
    },
    "port": {
        **_COMMON,
        **_TAGGED,
        **_OWNED,
        "id": ["{port-1}"],
        "network_id": ["{network-1}", "{network-2}"],
        "mac_address": ["{port-1.mac_address}", "02:00:00:00:00:01", "x"],
        "admin_state_up": ["true", "0", "maybe"],
        "status": ["ACTIVE", "DOWN"],
        "device_id": ["", "some-device"],
        "device_owner": ["", "compute:nova"],
        "fixed_ips": [
            "ip_address={port-1.fixed_ips.0.ip_address}",
            "subnet_id={subnet-1}",
            "ip_address_substr=10.1.",
            "ip_address=x",
            "bogus=1",
            "x",
        ],
        "binding:host_id": ["sim-1", ""],
        "binding:vif_type": ["unbound", "hw_veb"],
        "binding:vnic_type": ["direct", "normal", "bogus"],
        "binding:profile": ["x"],
        "security_groups": ["{security_group-1}", "x"],
        "port_security_enabled": ["true", "false"],
        "ip_allocation": ["immediate", "none"],
        "propagate_uplink_status": ["true"],
        "trusted": ["true"],
        "qos_policy_id": ["x"],
        "numa_affinity_policy": ["required"],
        "data_plane_status": ["ACTIVE"],
        "allowed_address_pairs": ["x"],
        "extra_dhcp_opts": ["x"],
        "resource_request": ["x"],
        "unknown_filter": ["1"],
    },
    "security_group": {
        **_COMMON,
        **_TAGGED,
        **_OWNED,
        "id": ["{security_group-1}"],
        "stateful": ["true", "false"],
        "shared": ["true", "false"],
        "security_group_rules": ["x"],
        "unknown_filter": ["1"],
    },
    "security_group_rule": {
        **_OWNED,
        "id": ["{security_group_rule-1}"],
        "direction": ["ingress", "x"],
        "ethertype": ["IPv4", "ipv4"],
        "protocol": ["tcp", "6", "any"],
        "port_range_min": ["80", "x"],
        "remote_ip_prefix": ["192.0.2.0/24"],
        "remote_group_id": ["{security_group-1}"],
        "security_group_id": ["{security_group-1}"],
        "normalized_cidr": ["192.0.2.0/24"],
        "belongs_to_default_sg": ["true"],
        "unknown_filter": ["1"],
    },
    "segment": {
        "id": ["{segment-1}"],
        "name": ["seg"],
        "network_id": ["{network-1}"],
        "network_type": ["vlan"],
        "physical_network": ["physnet1"],
        "segmentation_id": ["2345", "x"],
        "unknown_filter": ["1"],
    },
}
_FIELDS = {
    kind: ["id", "name", "tenant_id", "project_id", "network_id", "status", "bogus", "tags", ""]
    for kind in _FILTERS
}
_SORTS = {
    "network": ["name", "id", "admin_state_up", "mtu", "subnets", "tags", "bogus", "shared", TYPE],
    "subnet": ["name", "id", "cidr", "gateway_ip", "ip_version", "allocation_pools", "enable_dhcp"],
    "port": ["name", "id", "mac_address", "fixed_ips", "status", "binding:host_id", "bogus"],
    "security_group": ["name", "id", "stateful", "bogus"],
    "security_group_rule": ["id", "direction", "protocol", "port_range_min", "bogus"],
    "segment": ["id", "name", "segmentation_id", "bogus"],
}
_BY_NAME = ("network", "subnet", "port", "security_group")


def some_of(world: World) -> Made:
    """A list: filters, ``fields`` and one order by chance."""
    plural, kind = world.pick(_KINDS)
    query: list[tuple[str, str]] = []
    for _ in range(world.pick([0, 1, 1, 1, 2])):
        name = world.pick(sorted(_FILTERS[kind]))
        values = _FILTERS[kind][name]
        query += [(name, world.pick(values)) for _ in range(world.pick([1, 1, 1, 2]))]
    if world.happens(0.3):
        query += [("fields", world.pick(_FIELDS[kind])) for _ in range(world.pick([1, 2, 3]))]
        query.append(("fields", "id"))  # by which what is not of the sequence is told
    who = "member" if world.happens(0.15) else "admin"
    return Call(method="GET", path=f"/{plural}", query=tuple(query), who=who), ()


def sorted_list(world: World) -> Made:
    """A list in an order that can be told, or that is none; ids come last in what is compared."""
    plural, kind = world.pick(_KINDS)
    key = world.pick(_SORTS[kind])
    query = [("sort_key", key), ("sort_dir", world.pick(["asc", "desc", "asc", "up"]))]
    if world.happens(0.1):
        query.pop(world.pick([0, 1]))
    query += [("limit", "0"), ("fields", "name")]  # which of equals comes first nobody says
    if key != "name" or kind not in _BY_NAME:
        query.append(("id", "{network-1}"))
    else:
        query += _known(world, kind)
    return Call(method="GET", path=f"/{plural}", query=tuple(query)), ()


def page(world: World) -> Made:
    """A page of a list; names are the order, since both servers have the same."""
    plural, kind = world.pick([pair for pair in _KINDS if pair[1] in _BY_NAME])
    query = [("sort_key", "name"), ("sort_dir", world.pick(["asc", "desc"]))]
    query.append(("limit", world.pick(["1", "2", "3", "100", "0", "-1", "x", ""])))
    if world.happens(0.6):
        marker = world.pick([f"{{{world.some(kind)}}}"] * 4 + ["x"])
        query.append(("marker", marker))
    if world.happens(0.3):
        query.append(("page_reverse", world.pick(["True", "true", "False", "maybe"])))
    query.append(("fields", "id"))
    query += _known(world, kind)
    return Call(method="GET", path=f"/{plural}", query=tuple(query)), ()


def _known(world: World, kind: str) -> list[tuple[str, str]]:
    """A filter of what both know: what is left over on one of them would take a place."""
    known = [("id", f"{{{one.name}}}") for one in world.of_kind(kind)[-40:]]
    return [*known, ("id", _NOTHING)]


def show(world: World) -> Made:
    """One thing, whole or some of its fields."""
    plural, kind = world.pick(_KINDS)
    query: tuple[tuple[str, str], ...] = ()
    if world.happens(0.3):
        query = (("fields", world.pick(_FIELDS[kind])), ("fields", "id"))
    who = "member" if world.happens(0.2) else "admin"
    return Call(method="GET", path=f"/{plural}/{{{world.some(kind)}}}", query=query, who=who), ()


_ODD_CALLS: Sequence[tuple[str, str, Any]] = (
    ("POST", "/networks", {}),
    ("POST", "/networks", None),
    ("POST", "/networks", []),
    ("POST", "/networks", {"network": []}),
    ("POST", "/networks", {"network": None}),
    ("POST", "/networks", {"port": {}}),
    ("POST", "/networks", {"networks": []}),
    ("POST", "/networks", {"networks": {}}),
    ("POST", "/ports", {"port": {}}),
    ("POST", "/ports", {"ports": [{}]}),
    ("POST", "/subnets", {"subnet": {}}),
    ("POST", "/security-groups", {}),
    ("POST", "/security-groups", {"security_group": {}}),
    ("POST", "/security-group-rules", {"security_group_rule": {}}),
    ("PUT", "/networks", {"network": {}}),
    ("DELETE", "/ports", None),
    ("PUT", "/ports/00000000-0000-4000-8000-000000000000", {"port": {}}),
    ("PUT", "/ports/00000000-0000-4000-8000-000000000000", {"port": {"bogus": 1}}),
    ("GET", "/bogus", None),
    ("GET", "/ports/x/y/z", None),
    ("PATCH", "/ports/x", {"port": {}}),
    ("POST", "/ports/x", {"port": {}}),
    ("GET", "/networks/not-an-id", None),
    ("DELETE", "/networks/not-an-id", None),
    ("GET", "/network-ip-availabilities/{network-1}", None),
    ("GET", "/network-ip-availabilities", None),
)


def odd(world: World) -> Made:
    """A call that is no good whatever there is."""
    method, path, body = world.pick(_ODD_CALLS)
    return Call(method=method, path=path, body=body), ()


TURNS = ((10, some_of), (2, sorted_list), (3, page), (6, show), (2, odd))
