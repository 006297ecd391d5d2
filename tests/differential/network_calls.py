"""Sequences of calls of Network: networks, subnets, ports, their bindings, groups, and lists.

A turn is a function from the ``World`` to a call and what it makes. ``next_call`` takes one by
chance; those that make things come often at first, so that there is something to ask about.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from differential import group_calls, list_calls, port_calls, subnet_calls, wire_calls
from differential.call import Call
from differential.world import Thing, World

Turn = Callable[[World], tuple[Call, Sequence[Thing]]]
TURNS: Sequence[tuple[int, Turn]] = (
    *wire_calls.TURNS,
    *subnet_calls.TURNS,
    *port_calls.TURNS,
    *group_calls.TURNS,
    *list_calls.TURNS,
)


_FIRST: Sequence[tuple[str, Turn, int]] = (
    ("network", wire_calls.create_network, 2),
    ("subnet", subnet_calls.create_subnet, 2),
    ("port", port_calls.create_port, 3),
    ("security_group", group_calls.create_group, 1),
)
"""So many of each are made before anything else is done."""


def next_call(world: World) -> tuple[Call, Sequence[Thing]]:
    """The next call, and the things that it makes if it succeeds."""
    world.begin()
    for kind, turn, enough in _FIRST:
        if len(world.of_kind(kind)) < enough:
            return turn(world)
    weights = [weight for weight, _ in TURNS]
    _, turn = world.chance.choices(TURNS, weights)[0]
    return turn(world)
