"""Calls of subnets.

What servers draw comes from the first part of a subnet (its pools end below .100, or at
``::ffff``); the addresses that a sequence names itself are beyond.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from differential.call import Call
from differential.wire_calls import FLAGS, LONG
from differential.world import Field, Thing, World

Made = tuple[Call, Sequence[Thing]]
_ROUTE = {"destination": "198.51.100.0/24", "nexthop": "192.0.2.9"}


def four(number: int) -> str:
    """The first three numbers of a sequence's IPv4 subnet."""
    return f"10.{number % 200}.0"


def six(number: int) -> str:
    """The first part of a sequence's IPv6 subnet."""
    return f"2001:db8:{number % 200:x}::"


_BOTH = {
    "description": Field(["", "a subnet"], [LONG, 5, None], 0.1),
    "enable_dhcp": FLAGS,
    "dns_nameservers": Field(
        [[], ["192.0.2.53"], ["192.0.2.53", "192.0.2.54"], None],
        [
            ["192.0.2.53"] * 2,
            [f"192.0.2.{n}" for n in range(6)],
            ["host.example"],
            ["192.0.2.300"],
            "192.0.2.53",
            [5],
            ["2001:db8::53"],
        ],
    ),
    "host_routes": Field(
        [[], [_ROUTE], None],
        [
            [_ROUTE, _ROUTE],
            [{"destination": "198.51.100.0/24"}],
            [{"destination": "198.51.100.1", "nexthop": "192.0.2.9"}],
            [{"destination": "198.51.100.7/24", "nexthop": "192.0.2.9"}],
            [{"destination": "x", "nexthop": "192.0.2.9"}],
            [{"destination": "198.51.100.0/24", "nexthop": "2001:db8::1"}],
            [{**_ROUTE, "metric": 1}],
            "x",
        ],
    ),
    "unknown_field": Field([], [1]),
    "service_types": Field(
        [[]], [["compute:nova"], ["network:dhcp"], ["bogus"], "compute:", [1]], 0.05
    ),
}
_NEW = {
    **_BOTH,
    "name": Field([], [LONG, 5, None]),
    "project_id": Field(["{project-2}"], [5], 0.05),
    "segment_id": Field([None], ["junk", "00000000-0000-4000-8000-000000000000"], 0.05),
    "subnetpool_id": Field([None], ["junk", "00000000-0000-4000-8000-000000000000"], 0.05),
    "prefixlen": Field([], [24]),
    "use_default_subnetpool": Field([False], ["junk"], 0.05),
}
_CHANGED = {
    **_BOTH,
    "name": Field(["{fresh}"], [LONG, 5, None], 0.3),
    "cidr": Field([], ["10.9.9.0/24"]),
    "ip_version": Field([], [4]),
    "network_id": Field([], ["00000000-0000-4000-8000-000000000000"]),
    "ipv6_ra_mode": Field([], ["slaac", None]),
    "project_id": Field([], ["{project-2}"]),
    "segment_id": Field([], [None, "junk"]),
}


def create_subnet(world: World) -> Made:
    """An IPv4 or IPv6 subnet of a network; its parts by chance right or wrong."""
    name, number = world.fresh("subnet"), world.number("cidr")
    is_six = world.happens(0.25)
    network = world.one_of("network")
    body = {"network_id": network, "name": name, **world.fields(_NEW)}
    body |= _addresses6(world, number) if is_six else _addresses4(world, number)
    if world.oddly(0.03):
        body.pop(world.pick(["cidr", "ip_version", "network_id"]))
    who = world.who(0.06)
    call = Call(method="POST", path="/subnets", body={"subnet": body}, makes=(name,), who=who)
    of = {"network": network.strip("{}"), "start": six(number) if is_six else four(number)}
    return call, [Thing(name, "subnet", of)]


def _addresses4(world: World, number: int) -> dict[str, Any]:
    base = four(number)
    body: dict[str, Any] = {
        "ip_version": 6 if world.oddly(0.02) else world.pick([4, 4, 4, 4, "4"]),
        "cidr": f"{base}.0/24",
        "allocation_pools": [{"start": f"{base}.10", "end": f"{base}.99"}],
    }
    if world.oddly(0.25):
        body["cidr"] = world.pick(
            [
                f"{base}.7/24",
                f"{base}.0/29",
                f"{base}.0/30",
                f"{base}.0/31",
                f"{base}.0/32",
                f"{four(number - 1)}.0/24",
                f"{base}.0",
                f"{base}.0/33",
                f"{base}.0/",
                "0.0.0.0/0",
                "127.0.0.0/24",
                "224.0.0.0/24",
                "169.254.0.0/16",
                "10.256.0.0/24",
                "2001:db8:999::/64",
                "",
                None,
                5,
                f" {base}.0/24",
                "0.0.0.0/8",
            ]
        )
        body.pop("allocation_pools")
    body |= _gateway(world, base)
    if world.happens(0.25):
        body["allocation_pools"] = _pools(world, base)
    if world.oddly(0.04):
        body["ipv6_ra_mode"] = "slaac"
    return body


def _gateway(world: World, base: str) -> dict[str, Any]:
    if not world.happens(0.3):
        return {}
    good = [None, f"{base}.1", f"{base}.254", f"{base}.1"]
    odd = [
        f"{base}.0",
        f"{base}.255",
        "192.0.2.1",
        "2001:db8::1",
        "x",
        "",
        f"{base}.50",
        5,
        "0.0.0.0",
    ]
    return {"gateway_ip": world.pick(odd if world.oddly(0.4) else good)}


def _pools(world: World, base: str) -> Any:
    def pool(start: str, end: str) -> dict[str, str]:
        return {"start": f"{base}.{start}", "end": f"{base}.{end}"}

    if not world.oddly(0.6):
        return world.pick(
            [
                [pool("10", "20"), pool("30", "40")],
                [pool("30", "40"), pool("10", "20")],
                [pool("2", "2")],
                [pool("10", "20"), pool("21", "30")],
            ]
        )
    return world.pick(
        [
            [pool("10", "20"), pool("20", "30")],
            [pool("20", "10")],
            [pool("0", "20")],
            [pool("10", "255")],
            [pool("1", "90")],
            [{"start": "192.0.2.1", "end": "192.0.2.9"}],
            [{"start": f"{base}.10", "end": "192.0.2.9"}],
            [{"start": f"{base}.10"}],
            [{"start": "x", "end": "y"}],
            [{**pool("10", "20"), "more": "x"}],
            [{"start": "2001:db8::1", "end": "2001:db8::2"}],
            [],
            "x",
            None,
            [pool("10", "20")] * 2,
        ]
    )


def _addresses6(world: World, number: int) -> dict[str, Any]:
    base = six(number)
    body: dict[str, Any] = {"ip_version": 6, "cidr": f"{base}/64"}
    mode = world.pick(["slaac", "dhcpv6-stateful", "dhcpv6-stateless"])
    turn = world.chance.random()
    if turn < 0.3:
        body |= {"ipv6_ra_mode": mode, "ipv6_address_mode": mode}
    elif turn < 0.4:
        body["ipv6_address_mode"] = mode
    elif turn < 0.5:
        body["ipv6_ra_mode"] = mode
    elif world.oddly(0.2):
        body |= world.pick(
            [
                {"ipv6_ra_mode": "slaac", "ipv6_address_mode": "dhcpv6-stateful"},
                {"ipv6_ra_mode": "bogus"},
                {"ipv6_ra_mode": 5},
                {"ipv6_ra_mode": "slaac", "cidr": f"{base}/80"},
                {"ipv6_address_mode": "dhcpv6-stateful", "cidr": f"{base}/80"},
                {"ipv6_ra_mode": "slaac", "enable_dhcp": False},
                {"ip_version": 4},
                {"ip_version": 5},
                {"ip_version": "six"},
                {"cidr": f"{base}/128"},
                {"cidr": f"{base}/127"},
                {"cidr": "fe80::/64"},
                {"cidr": "ff00::/64"},
                {"cidr": "::/0"},
                {"cidr": "::1/128"},
                {"gateway_ip": f"{base}1"},
                {"gateway_ip": base},
                {"gateway_ip": f"{base}ffff:ffff:ffff:ffff"},
                {"gateway_ip": "fe80::1"},
                {"gateway_ip": "2001:db8:ffff::1"},
                {"gateway_ip": None},
                {"allocation_pools": [{"start": f"{base}10", "end": f"{base}ff"}]},
                {"allocation_pools": [{"start": f"{base}ff", "end": f"{base}10"}]},
                {
                    "ipv6_ra_mode": "slaac",
                    "allocation_pools": [{"start": f"{base}2", "end": f"{base}9"}],
                },
            ]
        )
    return body


def update_subnet(world: World) -> Made:
    """Changes of a subnet."""
    found = world.of_kind("subnet")
    if not found:
        return create_subnet(world)
    thing = world.pick(found)
    body = world.fields(_CHANGED)
    base = thing.of["start"]
    if ":" not in base:
        body |= _gateway(world, base) if world.happens(0.3) else {}
        if world.happens(0.2):
            body["allocation_pools"] = _pools(world, base)
    who = world.who(0.06)
    path = f"/subnets/{{{thing.name}}}"
    return Call(method="PUT", path=path, body={"subnet": body}, who=who), ()


def delete_subnet(world: World) -> Made:
    """Delete a subnet, one that ports are on by chance."""
    who = world.who(0.06)
    return Call(method="DELETE", path=f"/subnets/{{{world.some('subnet')}}}", who=who), ()


TURNS = ((8, create_subnet), (6, update_subnet), (2, delete_subnet))
