"""A run against servers that are made of a few lines."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest

from differential.call import Answer, Book, Call
from differential.network_calls import next_call
from differential.run import Run
from differential.world import Thing, World

PORT = Call(method="POST", path="/ports", body={"port": {"mtu": 5}}, makes=("port-1",))
DELETE = Call(method="DELETE", path="/ports/{port-1}")


class Made:
    """A server that answers as *answer* says, and remembers what it was asked."""

    def __init__(self, answer: Callable[[Call], Answer]) -> None:
        self.book = Book()
        self.asked: list[str] = []
        self._answer = answer

    def ask(self, call: Call) -> Answer:
        self.asked.append(f"{call.method} {self.book.fill(call.path)}")
        return self._answer(call)


def port(thing_id: str, mtu: int = 5) -> Callable[[Call], Answer]:
    def answer(call: Call) -> Answer:
        if call.method == "DELETE":
            return Answer(204)
        return Answer(201, {"port": {"id": thing_id, "mtu": mtu}})

    return answer


def refusing(_: Call) -> Answer:
    return Answer(400, {"NeutronError": {"type": "Unlike"}})


def run(theirs: Made, ours: Made, *calls: Call) -> tuple[list[str], World]:
    world, left = World(1), list(calls)

    def one(_: World) -> tuple[Call, Sequence[Thing]]:
        call = left.pop(0)
        return call, [Thing(name, "port") for name in call.makes]

    running = Run(theirs, ours, world, one)
    found = [one for one in running.calls(len(calls)) if one.meant is None]
    return [str(one.difference) for one in found], world


def test_things_are_followed_by_each_servers_own_ids() -> None:
    theirs, ours = Made(port("a" * 32)), Made(port("b" * 32))
    found, world = run(theirs, ours, PORT, DELETE)
    assert (found, world.things) == ([], [])
    assert theirs.asked[1] == f"DELETE /ports/{'a' * 32}"
    assert ours.asked[1] == f"DELETE /ports/{'b' * 32}"


def test_a_field_that_differs_is_told_and_the_thing_stays() -> None:
    found, world = run(Made(port("a" * 32)), Made(port("b" * 32, mtu=6)), PORT)
    assert found == ["port.mtu: 5 there, 6 here"]
    assert [one.name for one in world.things] == ["port-1"]


def test_what_only_one_server_made_is_taken_away_again() -> None:
    theirs, ours = Made(port("a" * 32)), Made(refusing)
    found, world = run(theirs, ours, PORT)
    assert found == ["answer: 201 there, 400 Unlike here"]
    assert (theirs.asked[-1], world.things) == (f"DELETE /ports/{'a' * 32}", [])
    assert len(ours.asked) == 1


def test_what_only_one_server_changed_is_gone_from_both() -> None:
    change = Call(method="PUT", path="/ports/{port-1}", body={"port": {"mtu": 6}})

    def unless_changed(call: Call) -> Answer:
        return refusing(call) if call.method == "PUT" else port("b" * 32)(call)

    theirs, ours = Made(port("a" * 32)), Made(unless_changed)
    found, world = run(theirs, ours, PORT, change)
    assert (len(found), world.things) == (1, [])
    assert theirs.asked[-1] == f"DELETE /ports/{'a' * 32}"
    assert ours.asked[-1] == f"DELETE /ports/{'b' * 32}"


def _sequence(seed: int, number: int) -> list[str]:
    world, told = World(seed), []
    for _ in range(number):
        call, things = next_call(world)
        world.learn(call, things, done=world.happens(0.7))
        told.append(str(call))
    return told


def test_the_seed_determines_the_sequence() -> None:
    assert _sequence(7, 300) == _sequence(7, 300)
    assert _sequence(7, 300) != _sequence(8, 300)


@pytest.mark.parametrize("seed", range(5))
def test_a_sequence_has_calls_of_every_kind(seed: int) -> None:
    told = _sequence(seed, 1500)
    starts = {" ".join(one.replace("{", " ").replace("?", " ").split()[:2]) for one in told}
    for plural in ("networks", "subnets", "ports", "security-groups"):
        assert {
            f"POST /{plural}",
            f"GET /{plural}",
            f"PUT /{plural}/",
            f"DELETE /{plural}/",
        } <= starts
    assert {"POST /segments", "POST /security-group-rules"} <= starts


def test_a_forgotten_thing_takes_along_what_belongs_to_it() -> None:
    world = World(1)
    world.things = [
        Thing("network-1", "network"),
        Thing("port-1", "port", {"network": "network-1"}),
    ]
    world.forget("network-1")
    assert world.things == []


@pytest.mark.parametrize("seed", range(3))
def test_a_call_is_odd_once_at_most(seed: int) -> None:
    world = World(seed)
    for _ in range(50):
        world.begin()
        odd = [world.oddly(0.5) for _ in range(6)] + [world.who(0.5) == "member"]
        assert sum(odd) <= 1
