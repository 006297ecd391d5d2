"""Calls of security groups, their rules, and tags."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from differential.call import Call
from differential.wire_calls import FLAGS, LONG
from differential.world import Field, Thing, World

Made = tuple[Call, Sequence[Thing]]
_NO_ID = "00000000-0000-4000-8000-000000000000"
_NEW_GROUP = {
    "description": Field(["", "a group"], [LONG, 5, None]),
    "stateful": FLAGS,
    "name": Field([], [LONG, "default", "", 5, None]),
    "project_id": Field(["{project-2}"], [5], 0.05),
    "unknown_field": Field([], [1]),
    "security_group_rules": Field([], [[]]),
}
_CHANGED_GROUP = {
    "name": Field(["{fresh}"], ["default", LONG, 5, None], 0.4),
    "description": Field(["other"], [LONG, None]),
    "stateful": FLAGS,
    "project_id": Field([], ["{project-2}"]),
    "unknown_field": Field([], [1]),
}
_RULE = {
    "ethertype": Field(["IPv4", "IPv6", "ipv4"], ["IPv5", 5, None, ""], 0.4),
    "protocol": Field(
        ["tcp", "udp", "icmp", None, 6, "17", "TCP", "any", "ipv6-icmp", "sctp", "gre", 0, "vrrp"],
        ["bogus", 256, -1, "", []],
        0.7,
    ),
    "remote_ip_prefix": Field(
        ["192.0.2.0/24", "192.0.2.7", "0.0.0.0/0", None],
        ["x", "192.0.2.0/33", "2001:db8::/64", "192.0.2.7/24", "", 5],
        0.3,
    ),
    "remote_group_id": Field([None], [_NO_ID, "junk", 5], 0.1),
    "description": Field(["", "a rule"], [LONG, 5], 0.1),
    "unknown_field": Field([], [1]),
}
_PORTS: Sequence[tuple[Any, Any]] = ((80, 80), ("22", "22"), (1, 65535), (8, 80))
_ODD_PORTS: Sequence[tuple[Any, Any]] = (
    (0, 0),
    (8, 0),
    (8, None),
    (None, 80),
    (80, None),
    (90, 80),
    (0, 70000),
    (-1, 5),
    ("x", 5),
    (256, 0),
    (None, 3),
)


def create_group(world: World) -> Made:
    """A group."""
    name = world.fresh("security_group")
    body = {"name": name, **world.fields(_NEW_GROUP)}
    who = world.who(0.1)
    call = Call(
        method="POST",
        path="/security-groups",
        body={"security_group": body},
        makes=(name,),
        who=who,
    )
    return call, [Thing(name, "security_group")]


def update_group(world: World) -> Made:
    """Changes of a group."""
    path = f"/security-groups/{{{world.some('security_group')}}}"
    body = {"security_group": world.fields(_CHANGED_GROUP)}
    who = world.who(0.1)
    return Call(method="PUT", path=path, body=body, who=who), ()


def delete_group(world: World) -> Made:
    """Delete a group, one that ports have by chance."""
    path = f"/security-groups/{{{world.some('security_group')}}}"
    return Call(method="DELETE", path=path), ()


def create_rule(world: World) -> Made:
    """A rule of a group."""
    name = world.fresh("security_group_rule")
    group = world.one_of("security_group")
    body = {
        "security_group_id": group,
        "direction": world.pick(["sideways", 5] if world.oddly(0.1) else ["ingress", "egress"]),
        **world.fields(_RULE),
    }
    if world.happens(0.4):
        ports = world.pick(_ODD_PORTS if world.oddly(0.5) else _PORTS)
        body["port_range_min"], body["port_range_max"] = ports
    if world.happens(0.15) and (body.get("remote_ip_prefix") is None or world.oddly(0.3)):
        body["remote_group_id"] = f"{{{world.some('security_group')}}}"
    if world.oddly(0.03):
        body.pop(world.pick(["security_group_id", "direction"]))
    call = Call(
        method="POST",
        path="/security-group-rules",
        body={"security_group_rule": body},
        makes=(name,),
    )
    return call, [Thing(name, "security_group_rule", {"group": group.strip("{}")})]


def delete_rule(world: World) -> Made:
    """Delete a rule."""
    path = f"/security-group-rules/{{{world.some('security_group_rule')}}}"
    return Call(method="DELETE", path=path), ()


_TAGGED = (("networks", "network"), ("subnets", "subnet"), ("ports", "port"))
_TAGS = ("red", "blue", "green")


def tag(world: World) -> Made:
    """Look at, set, add or take away tags."""
    plural, kind = world.pick([*_TAGGED, ("security-groups", "security_group")])
    path = f"/{plural}/{{{world.some(kind)}}}/tags"
    turn = world.chance.random()
    if turn < 0.3:
        good: list[Any] = [["red"], ["red", "blue"], [], ["blue", "green"]]
        odd: list[Any] = ["red", [LONG], [5], None, ["a,b"], [""], ["red", "red"]]
        tags = world.pick(good if world.happens(0.7) else odd)
        return Call(method="PUT", path=path, body={"tags": tags}), ()
    if turn < 0.4:
        return Call(method="GET", path=path), ()
    if turn < 0.5:
        return Call(method="DELETE", path=path), ()
    method = world.pick(["GET", "PUT", "PUT", "DELETE"])
    return Call(method=method, path=f"{path}/{world.pick([*_TAGS, LONG[:61], 'a b'])}"), ()


TURNS = (
    (3, create_group),
    (2, update_group),
    (1, delete_group),
    (6, create_rule),
    (1, delete_rule),
    (5, tag),
)
