"""Calls of ports and of their bindings."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from differential.call import Call
from differential.wire_calls import FLAGS, LONG
from differential.world import Field, Thing, World

Made = tuple[Call, Sequence[Thing]]
HOST = "sim-1"
_NO_ID = "00000000-0000-4000-8000-000000000000"
_TYPES = ["normal", "direct", "direct", "macvtap", "direct-physical", "baremetal"]
_BOTH = {
    "description": Field(["", "a port"], [LONG, 5, None], 0.1),
    "admin_state_up": FLAGS,
    "device_id": Field(["", "some-device"], [LONG, 5, None], 0.1),
    "device_owner": Field(["", "compute:nova", "network:other"], [LONG, 5, None], 0.1),
    "port_security_enabled": Field([True, False, "false"], ["maybe", None], 0.15),
    "propagate_uplink_status": Field([True, False], ["maybe", None], 0.1),
    "trusted": Field([True, False, None], ["maybe", 2], 0.08),
    "numa_affinity_policy": Field(
        [None, "required", "preferred", "legacy"], ["bogus", "socket", 5, ""], 0.08
    ),
    "binding:vnic_type": Field(_TYPES, ["sideways", "", None, 5, "Direct"], 0.5),
    "binding:profile": Field(
        [{}, {"trusted": "true"}, {"capabilities": []}, {"pci_slot": "0000:21:10.0"}, None],
        ["x", {"a": "b" * 4100}, [], 5],
        0.12,
    ),
    "binding:host_id": Field(["", HOST, HOST, HOST, "elsewhere", None], [LONG, 5], 0.3),
    "allowed_address_pairs": Field(
        [
            [],
            [{"ip_address": "192.0.2.9"}],
            [{"ip_address": "192.0.2.0/24", "mac_address": "02:00:00:00:00:99"}],
            None,
        ],
        [
            [{"ip_address": "192.0.2.9"}] * 2,
            [{"mac_address": "02:00:00:00:00:99"}],
            [{"ip_address": "x"}],
            [{"ip_address": "192.0.2.9", "mac_address": "x"}],
            [{"ip_address": "192.0.2.9", "more": 1}],
            [{"ip_address": f"192.0.2.{n}"} for n in range(1, 13)],
            "x",
            [{}],
            [{"ip_address": "2001:db8::/64"}],
        ],
        0.1,
    ),
    "extra_dhcp_opts": Field(
        [[], [{"opt_name": "bootfile-name", "opt_value": "pxe.0"}], None],
        [
            [{"opt_name": "mtu"}],
            [{"opt_name": "", "opt_value": "x"}],
            [{"opt_value": "x"}],
            [{"opt_name": "mtu", "opt_value": "9", "ip_version": 7}],
            [{"opt_name": "mtu", "opt_value": "9", "ip_version": "6"}],
            [{"opt_name": "mtu", "opt_value": None}],
            "x",
        ],  # the same twice is left out: Neutron tries for minutes to write it
        0.06,
    ),
    "qos_policy_id": Field([None], [_NO_ID, "junk", 5], 0.05),
    "security_groups": Field([[]], [[_NO_ID], ["junk"], "x", None, [5]], 0.1),
    "binding:vif_type": Field([], ["ovs"]),
    "binding:vif_details": Field([], [{}]),
    "status": Field([], ["ACTIVE"]),
    "unknown_field": Field([], [1]),
    "data_plane_status": Field([], ["ACTIVE", "DOWN", "bogus", None]),
    "resource_request": Field([], [{}]),
    "ip_allocation": Field([], ["deferred"]),
    "dns_name": Field([], ["guest"]),
    "hints": Field([], [{}]),
}
_NEW = {
    **_BOTH,
    "name": Field([], [LONG, 5, None]),
    "mac_address": Field([], ["x", "", None, 5, "00:00:00:00:00:00", "ff:ff:ff:ff:ff:ff"]),
    "project_id": Field(["{project-2}"], [5], 0.05),
    "tags": Field([["a"], ["b", "a"]], ["a", [LONG], [5]], 0.05),
}
_CHANGED = {
    **_BOTH,
    "name": Field(["{fresh}"], [LONG, 5, None], 0.3),
    "network_id": Field([], [_NO_ID]),
    "project_id": Field([], ["{project-2}"]),
    "id": Field([], [_NO_ID]),
    "tags": Field([], [["a"]]),
}
_MACS = ("02:00:00:00:00:{:02x}", "02-00-00-00-01-{:02X}", "0200.0000.02{:02x}", "0200000003{:02x}")


def create_port(world: World) -> Made:
    """A port on a network; MAC, addresses and groups by chance."""
    name = world.fresh("port")
    network = world.one_of("network")
    body = {"network_id": network, "name": name, **world.fields(_NEW)}
    body |= _own(world, network.strip("{}"))
    if world.oddly(0.03):
        body.pop("network_id")
    who = world.who(0.1)
    call = Call(method="POST", path="/ports", body={"port": body}, makes=(name,), who=who)
    return call, [Thing(name, "port", {"network": network.strip("{}")})]


def create_ports(world: World) -> Made:
    """Several at once: all are made, or none."""
    names = [world.fresh("port") for _ in range(2)]
    networks = [world.one_of("network") for _ in names]
    bodies = [
        {"network_id": network, "name": name, **world.fields(_NEW, odd=False)}
        for name, network in zip(names, networks, strict=True)
    ]
    bodies[1] |= _own(world, networks[1].strip("{}"))
    call = Call(method="POST", path="/ports", body={"ports": bodies}, makes=tuple(names))
    things = [
        Thing(name, "port", {"network": network.strip("{}")})
        for name, network in zip(names, networks, strict=True)
    ]
    return call, things


def _own(world: World, network: str) -> dict[str, Any]:
    """What depends on what is there: MAC, fixed addresses, groups."""
    body: dict[str, Any] = {}
    if world.happens(0.2):
        body["mac_address"] = _mac(world, network)
    if world.happens(0.4):
        body["fixed_ips"] = _fixed_ips(world, network)
    if world.happens(0.1) and world.of_kind("security_group"):
        body["security_groups"] = [f"{{{world.some('security_group')}}}"]
    return body


def _mac(world: World, network: str) -> str:
    if world.oddly(0.3):  # one that may be in use there
        return f"{{{world.some('port', network=network)}.mac_address}}"
    return world.pick(_MACS).format(world.number("mac") % 256)


def _fixed_ips(world: World, network: str) -> Any:
    subnets = world.of_kind("subnet", network=network) or world.of_kind("subnet")
    if not subnets:
        return []
    subnet, other = world.pick(subnets), world.pick(world.of_kind("subnet"))
    start, number = subnet.of["start"], 100 + world.number("address") % 150
    ip = f"{start}{number:x}" if ":" in start else f"{start}.{number}"
    first, last = (start, f"{start}ffff") if ":" in start else (f"{start}.0", f"{start}.255")
    taken = f"{{{world.some('port', network=network)}.fixed_ips.0.ip_address}}"
    named, elsewhere = f"{{{subnet.name}}}", f"{{{other.name}}}"
    if not world.oddly(0.4):
        return world.pick(
            [
                [{"ip_address": ip}],
                [{"subnet_id": named}],
                [{"subnet_id": named, "ip_address": ip}],
                [],
            ]
        )
    return world.pick(
        [
            [{"ip_address": taken}],
            [{"ip_address": first}],
            [{"ip_address": last}],
            [{"ip_address": f"{start}.1" if "." in start else f"{start}1"}],
            [{"subnet_id": elsewhere}],
            [{"subnet_id": elsewhere, "ip_address": ip}],
            [{"ip_address": "192.0.2.200"}],
            [{"ip_address": "x"}],
            [{"ip_address": ip}, {"ip_address": ip}],
            [{"subnet_id": named}, {"subnet_id": named}],
            [{"subnet_id": _NO_ID}],
            [{"subnet_id": "junk"}],
            [{}],
            [{"ip_address": ip, "more": 1}],
            [{"ip_address": None}],
            "x",
            None,
            [{"subnet_id": named}] * 6,
            [{"ip_address": 5}],
        ]
    )


def update_port(world: World) -> Made:
    """Changes of a port."""
    found = world.of_kind("port")
    if not found:
        return create_port(world)
    port = world.pick(found)
    body = world.fields(_CHANGED)
    if world.happens(0.3):
        body |= _own(world, port.of["network"])
    headers = {}
    if world.happens(0.05):
        right = f"revision_number={{{port.name}.revision_number}}"
        headers["If-Match"] = world.pick([right, "revision_number=9999"])
    who = world.who(0.08)
    path = f"/ports/{{{port.name}}}"
    return Call(method="PUT", path=path, body={"port": body}, headers=headers, who=who), ()


def delete_port(world: World) -> Made:
    """Delete a port."""
    who = world.who(0.08)
    return Call(method="DELETE", path=f"/ports/{{{world.some('port')}}}", who=who), ()


_BINDING = {
    "vnic_type": Field(["direct", "normal", "direct"], ["sideways", None, 5], 0.5),
    "profile": Field([{}, {"trusted": "true"}, None], ["x", {"a": "b" * 4100}], 0.3),
    "unknown_field": Field([], [1]),
    "status": Field([], ["ACTIVE"]),
}


def binding(world: World) -> Made:
    """Look at, make, change, activate or delete bindings of a port."""
    path = f"/ports/{{{world.some('port')}}}/bindings"
    host = world.pick([HOST, HOST, HOST, "elsewhere"])
    who = world.who(0.08)
    turn = world.chance.random()
    if turn < 0.4:
        body = {"host": host, **world.fields(_BINDING)}
        if world.oddly(0.08):
            body["host"] = world.pick(["", None, 5, LONG])
        return Call(method="POST", path=path, body={"binding": body}, who=who), ()
    if turn < 0.55:
        return Call(method="GET", path=path, who=who), ()
    one = f"{path}/{host}"
    if turn < 0.7:
        return Call(method="GET", path=one, who=who), ()
    if turn < 0.8:
        body = {"binding": world.fields(_BINDING)}
        return Call(method="PUT", path=one, body=body, who=who), ()
    if turn < 0.9:
        return Call(method="PUT", path=f"{one}/activate", body={}, who=who), ()
    return Call(method="DELETE", path=one, who=who), ()


TURNS = (
    (12, create_port),
    (2, create_ports),
    (12, update_port),
    (2, delete_port),
    (5, binding),
)
