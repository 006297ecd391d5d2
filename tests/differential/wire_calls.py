"""Calls of networks and segments."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from differential.call import Call
from differential.world import Field, Thing, World

Made = tuple[Call, Sequence[Thing]]
TYPE, PHYSICAL, ID = (
    "provider:network_type",
    "provider:physical_network",
    "provider:segmentation_id",
)
LONG = "x" * 256
FLAGS = Field([True, False, "true", "False", 1, 0], ["maybe", 2, [], None])
NEW_NETWORK = {
    "description": Field(["", "a wire"], [LONG, 5, None]),
    "admin_state_up": FLAGS,
    "shared": Field([True, False], ["maybe", None], 0.1),
    "router:external": Field([True, False], ["maybe", None], 0.1),
    "port_security_enabled": FLAGS,
    "mtu": Field([1500, "1400", 1280, 576, 0], [67, -1, 1501, 9001, "x", None, 1.5, True], 0.2),
    "availability_zone_hints": Field([[]], ["nova", [1]], 0.05),
    "project_id": Field(["{project-2}"], [5], 0.1),
    "name": Field([], [LONG, 5, None, ["a"], {}]),
    "id": Field([], ["00000000-0000-4000-8000-000000000009"]),
    "status": Field([], ["ACTIVE"]),
    "unknown_field": Field([], [1]),
    "subnets": Field([], [["x"]]),
    "qos_policy_id": Field([None], ["00000000-0000-4000-8000-000000000000", "junk", 5], 0.05),
    "is_default": Field([], [True, False]),
    "vlan_transparent": Field([], [True]),
    "dns_domain": Field([], ["example.org."]),
}
CHANGED_NETWORK = {
    "name": Field(["{fresh}"], [LONG, 5, None], 0.3),
    "description": Field(["other", ""], [LONG, None]),
    "admin_state_up": FLAGS,
    "shared": Field([True, False], ["maybe", None], 0.1),
    "router:external": Field([False, True], ["maybe"], 0.05),
    "port_security_enabled": FLAGS,
    "mtu": Field([1500, 1400, 1280], [67, -1, 1501, "x", None]),
    "qos_policy_id": Field([None], ["00000000-0000-4000-8000-000000000000"], 0.05),
    "project_id": Field([], ["{project-2}"]),
    "id": Field([], ["00000000-0000-4000-8000-000000000009"]),
    "subnets": Field([], [[]]),
    "availability_zone_hints": Field([], [[]]),
    "revision_number": Field([], [7]),
    "unknown_field": Field([], [1]),
    TYPE: Field([], ["vlan", "flat", None]),
    PHYSICAL: Field([], ["physnet1", "physnet2"]),
    ID: Field([], [0, 4095, "x", None]),
}
_ODD_SEGMENTS: Sequence[dict[str, Any]] = (
    {TYPE: "vlan", PHYSICAL: "physnet1", ID: 0},
    {TYPE: "vlan", PHYSICAL: "physnet1", ID: 4095},
    {TYPE: "vlan", PHYSICAL: "physnet1", ID: -1},
    {TYPE: "vlan", PHYSICAL: "physnet1", ID: "x"},
    {TYPE: "vlan", PHYSICAL: "physnet9", ID: 7},
    {TYPE: "vlan", PHYSICAL: "physnet9"},
    {TYPE: "vlan", ID: 7},
    {TYPE: "flat"},
    {TYPE: "flat", PHYSICAL: "physnet1", ID: 7},
    {TYPE: "vxlan", ID: 7},
    {TYPE: "local"},
    {TYPE: "bogus", PHYSICAL: "physnet1"},
    {TYPE: ""},
    {TYPE: 5},
    {PHYSICAL: "physnet1"},
    {ID: 7},
    {PHYSICAL: "physnet1", ID: 1900},
    {TYPE: "vlan", PHYSICAL: "physnet1", ID: None},
    {TYPE: None, PHYSICAL: None, ID: None},
    {TYPE: "vlan", PHYSICAL: "", ID: 7},
)


def a_segment(world: World) -> dict[str, Any]:
    """Provider attributes of one segment that can be made, as a rule."""
    if world.oddly(0.3):
        if world.happens(0.4):  # one that may be in use
            in_use = f"{{{world.some('network')}.{ID}}}"
            return {TYPE: "vlan", PHYSICAL: "physnet1", ID: in_use}
        return dict(world.pick(_ODD_SEGMENTS))
    return world.pick(
        [
            {TYPE: "vlan", PHYSICAL: world.pick(["physnet1", "physnet2"]), ID: _vlan(world)},
            {TYPE: "vlan", PHYSICAL: world.pick(["physnet1", "physnet1", "physnet2"])},
            {TYPE: "vlan"},
            {TYPE: "flat", PHYSICAL: f"plain{world.chance.randrange(6)}"},
        ]
    )


def _vlan(world: World) -> int | str:
    """An id beyond those that are drawn, so that it collides only where both servers have it."""
    number = world.chance.randrange(2000, 4095)
    return str(number) if world.happens(0.3) else number


def create_network(world: World) -> Made:
    """A network; by chance with provider attributes or several segments."""
    name = world.fresh("network")
    body: dict[str, Any] = {"name": name, **world.fields(NEW_NETWORK)}
    turn = world.chance.random()
    if turn < 0.55:
        body |= a_segment(world)
    elif turn < 0.63:
        body["segments"] = [a_segment(world) for _ in range(world.pick([0, 1, 2, 2, 3]))]
        if world.oddly(0.1):
            body[TYPE] = "vlan"
    return _made(world, name, body)


def _made(world: World, name: str, body: dict[str, Any]) -> Made:
    who = world.who(0.08)
    call = Call(method="POST", path="/networks", body={"network": body}, makes=(name,), who=who)
    return call, [Thing(name, "network")]


def create_networks(world: World) -> Made:
    """Several at once: all are made, or none."""
    names = [world.fresh("network") for _ in range(2)]
    bodies = [{"name": name, **world.fields(NEW_NETWORK, odd=False)} for name in names]
    if world.happens(0.4):
        bodies[1] |= a_segment(world)
    call = Call(method="POST", path="/networks", body={"networks": bodies}, makes=tuple(names))
    return call, [Thing(name, "network") for name in names]


def update_network(world: World) -> Made:
    """Changes of a network; seldom another VLAN id."""
    body = world.fields(CHANGED_NETWORK)
    name = world.some("network")
    if world.oddly(0.15):
        body[ID] = world.pick([_vlan(world), f"{{{world.some('network')}.{ID}}}"])
    headers = _if_match(world, name)
    return _of(world, "PUT", "networks", name, {"network": body}, headers), ()


def _if_match(world: World, name: str) -> dict[str, str]:
    if not world.oddly(0.06):
        return {}
    right = f"revision_number={{{name}.revision_number}}"
    return {"If-Match": world.pick([right, right, "revision_number=9999", "junk"])}


def _of(
    world: World,
    method: str,
    plural: str,
    name: str,
    body: Any = None,
    headers: dict[str, str] | None = None,
) -> Call:
    who = world.who(0.08)
    path = f"/{plural}/{{{name}}}"
    return Call(method=method, path=path, body=body, headers=headers or {}, who=who)


def delete_network(world: World) -> Made:
    """Delete a network, one that is in use by chance."""
    name = world.some("network")
    return _of(world, "DELETE", "networks", name, None, _if_match(world, name)), ()


_SEGMENT = {
    "name": Field(["seg", None], [LONG, 5]),
    "description": Field(["a segment", None], [LONG]),
    "segmentation_id": Field([2345, "2346", 2347], [0, 4095, "x"], 0.6),
    "unknown_field": Field([], [1]),
}


_ODD_ADDED: Sequence[dict[str, Any]] = (
    {"network_type": "flat", "physical_network": "plain9"},
    {"network_type": "flat", "physical_network": "plain9", "segmentation_id": 7},
    {"network_type": "vxlan"},
    {"network_type": "bogus"},
    {"physical_network": "physnet9"},
    {"physical_network": None},
)


def create_segment(world: World) -> Made:
    """One more segment of a network."""
    name = world.fresh("segment")
    body = {
        "network_id": world.one_of("network"),
        "network_type": "vlan",
        "physical_network": world.pick(["physnet1", "physnet2", "physnet2"]),
        **world.fields(_SEGMENT),
    }
    if world.oddly(0.3):
        body |= world.pick(_ODD_ADDED)
    call = Call(method="POST", path="/segments", body={"segment": body}, makes=(name,))
    return call, [Thing(name, "segment")]


def update_segment(world: World) -> Made:
    """Another name of a segment."""
    body = world.fields({name: _SEGMENT[name] for name in ("name", "description", "unknown_field")})
    return _of(world, "PUT", "segments", world.some("segment"), {"segment": body}), ()


def delete_segment(world: World) -> Made:
    """Delete a segment."""
    return _of(world, "DELETE", "segments", world.some("segment")), ()


TURNS = (
    (8, create_network),
    (1, create_networks),
    (6, update_network),
    (2, delete_network),
    (2, create_segment),
    (1, update_segment),
    (1, delete_segment),
)
