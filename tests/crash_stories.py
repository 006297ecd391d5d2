"""What a controller and its agents go through in the crash tests."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Callable
from contextlib import suppress

import httpx

from crash import HOST, Stage
from crash_books import Rows, assert_runs_once, await_given_back, await_obeyed, read_rows
from crash_relay import Relay
from running import until

_STATE = b"/state "
_ON_THE_WAY_UP = frozenset({"define", "start", "report"})


def agent_dies(on: Stage, host: str, point: str) -> None:
    """The agent of *host* ends at *point* and is started again; the controller stays.

    The server and its port are there before the agent comes, so that its second report is the
    first one with news.
    """
    port = on.create_port()
    server = on.create_server(host, port)
    dies_on_the_way_up = point.split(".")[1] in _ON_THE_WAY_UP
    first = on.start_agent(host, point)
    if not dies_on_the_way_up:
        on.await_active(server)
        assert_runs_once(on, server, host)
        on.delete_server(server)
    first.died_at_its_point()
    second = on.start_agent(host)
    if dies_on_the_way_up:
        on.await_active(server)
        assert_runs_once(on, server, host)
        on.delete_server(server)
    await_given_back(on, host, port)
    assert second.stop() == 0


def controller_dies(on: Stage, upwards: str, downwards: str) -> None:
    """The controller ends at one point while a server is made and at one while it is deleted.

    A client whose POST got no answer lists, and asks again only if there is nothing.
    """
    first = on.start_controller(upwards)
    if "claim" in upwards:
        agent = on.start_agent()
        with suppress(httpx.TransportError):
            on.create_server()
    else:
        on.create_server()
        agent = on.start_agent()  # so the second report is the first one with news
    first.died_at_its_point()
    assert _LEFT[upwards](read_rows(on.database_url)), upwards
    second = on.start_controller(downwards)
    there = [server["id"] for server in on.servers()]
    assert len(there) <= 1
    server = there[0] if there else on.create_server()
    on.await_active(server)
    assert_runs_once(on, server)
    with suppress(httpx.TransportError):  # the agent may be as fast as the answer
        on.delete_server(server)
    second.died_at_its_point()
    assert _LEFT[downwards](read_rows(on.database_url)), downwards
    third = on.start_controller()
    await_given_back(on)
    assert not on.servers()
    assert agent.stop() == 0
    assert third.stop() == 0


def _nothing(rows: Rows) -> bool:
    return not rows.servers and not rows.claims and not rows.ports


def _server(vm_state: str) -> Callable[[Rows], bool]:
    def is_left(rows: Rows) -> bool:
        states = [row["vm_state"] for row in rows.servers.values()]
        return states == [vm_state] and len(rows.claims) == 2

    return is_left


def _cleaning(at_most: int) -> Callable[[Rows], bool]:
    def is_left(rows: Rows) -> bool:
        states = Counter(row["state"] for row in rows.devices.values())
        return not rows.servers and not rows.claims and states["cleaning"] <= at_most

    return is_left


_LEFT: dict[str, Callable[[Rows], bool]] = {
    "controller.claim.before": _nothing,
    "controller.claim.written": _nothing,
    "controller.claim.after": _server("building"),
    "controller.report.before:2": _server("building"),
    "controller.report.after:2": _server("active"),
    "controller.release.before": _server("active"),
    "controller.release.after": _server("active"),
    "controller.report.changed:1": _cleaning(2),
    "controller.clean": _cleaning(2),
    "controller.report.changed:2": _cleaning(1),
}
"""What the database holds right after a death: all of a transaction, or nothing of it."""


def both_die(on: Stage) -> None:
    """The agent is killed while the controller is down; alone, it touches nothing."""
    first = on.start_controller()
    agent = on.start_agent()
    server = on.create_server()
    on.await_active(server)
    await_obeyed(on)
    first.kill()
    agent.kill()
    before = on.guests()
    second = on.start_agent()
    until(lambda: "orders poll" in second.errors, "the agent misses its controller")
    assert on.guests() == before
    on.start_controller()
    on.await_active(server)
    assert_runs_once(on, server)
    on.delete_server(server)
    await_given_back(on)
    assert second.stop() == 0


def controller_restarts(on: Stage) -> None:
    """Agents are parked when the controller goes, first politely, then not; they come back."""
    first = on.start_controller()
    agent = on.start_agent()
    await_obeyed(on)
    assert first.stop() == 0
    second = on.start_controller()
    server = on.create_server()
    on.await_active(server)
    await_obeyed(on)
    second.kill()
    on.start_controller()
    on.delete_server(server)
    await_given_back(on)
    assert agent.stop() == 0


def database_goes_back(on: Stage) -> None:
    """An older copy of the database is put back by hand: the host is frozen until it is adopted.

    The copy wants a server that was deleted since, and does not know one that was made since.
    Frozen, the agent neither makes the one nor ends the other; adopted, the one is an ERROR without
    a device, and the other a server that has what its guest has.
    """
    first = on.start_controller()
    agent = on.start_agent()
    older = on.create_server()
    on.await_active(older)
    await_obeyed(on)
    assert first.stop() == 0
    database = on.state_dir / "lanekeeper.db"
    shutil.copy(database, on.home / "older.db")
    second = on.start_controller()
    younger = on.create_server()
    on.await_active(younger)
    on.delete_server(older)
    until(lambda: [one["id"] for one in on.servers()] == [younger], "the older server is gone", 60)
    await_obeyed(on)
    assert second.stop() == 0
    shutil.copy(on.home / "older.db", database)
    before = on.guests()
    assert before.keys() == {younger}

    on.start_controller()
    until(lambda: _frozen(on), "the host is frozen", 60)
    known = {server["id"]: server["status"] for server in on.servers()}
    assert known == {older: "ACTIVE"}
    until(lambda: agent.errors.count("is frozen") >= 1, "the agent says so", 60)
    assert on.guests() == before

    until(lambda: _has_told(on), "the frozen host has told what it has", 60)
    assert "1 made, 1 lost" in on.lanekeeper("db", "adopt")
    await_obeyed(on)
    assert {one["id"]: one["status"] for one in on.servers()} == {older: "ERROR", younger: "ACTIVE"}
    assert on.guests().keys() == {younger}
    assert on.guests()[younger]["starts"] == 1
    on.delete_server(older)
    on.delete_server(younger)
    until(lambda: not on.servers(), "both are gone", 60)
    assert not _frozen(on)
    assert agent.stop() == 0


def _frozen(on: Stage) -> str:
    return str(read_rows(on.database_url).hosts[HOST]["frozen_reason"])


def _has_told(on: Stage) -> bool:
    """Whether a dry run of the adoption has all that it needs."""
    answer = on.send("POST", f"/lanekeeper/v1/hosts/{host_id(on)}/adopt", {"dry_run": True})
    return answer.is_success


def host_id(on: Stage, host: str = HOST) -> str:
    return str(read_rows(on.database_url).hosts[host]["id"])


def answer_is_lost(on: Stage) -> None:
    """The controller takes a report, the agent never hears so and repeats it: nothing changes."""
    on.start_controller()
    with Relay(on.port) as relay:
        agent = on.start_agent(by_port=relay.port)
        relay.losing = _STATE
        server = on.create_server()
        on.await_active(server)
        told = read_rows(on.database_url)
        lost = relay.lost
        until(lambda: relay.lost > lost, "the same report again, in vain again", 60)
        again = read_rows(on.database_url)
        assert (again.servers, again.claims) == (told.servers, told.claims)
        assert_runs_once(on, server)
        on.delete_server(server)
        until(lambda: not on.servers(), "the server is gone", 60)
        relay.losing = b""
        await_given_back(on)
        assert agent.stop() == 0
