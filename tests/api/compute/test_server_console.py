"""The console over HTTP, and what is said when its host does not send it."""

import time
from collections.abc import Iterator
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from fleet import MEMBER, Fleet, fleet
from lanekeeper.api.compute.face import FACE
from lanekeeper.control.compute.server_console import ConsoleLog, read_console
from lanekeeper.control.host.console import console_store
from lanekeeper.domain.errors import Conflict
from lanekeeper.store.host.host import host_get, hosts_freeze

pytestmark = pytest.mark.service

URL = "/compute/v2.1"


class Console:
    """A server on a fleet's only host, and its console."""

    def __init__(self, world: Fleet) -> None:
        self.world = world
        self.http = world.client(FACE)
        flavor = {"flavor": {"name": "m1", "ram": 64, "vcpus": 1, "disk": 1}}
        flavor_id = self.http.post(f"{URL}/flavors", json=flavor).json()["flavor"]["id"]
        server = {
            "name": "s",
            "flavorRef": flavor_id,
            "imageRef": world.image(),
            "networks": "none",
        }
        made = self.http.post(f"{URL}/servers", json={"server": server})
        self.server_id = made.json()["server"]["id"]
        (self.host_id,) = world.hosts.values()
        world.seen()

    def send(self, text: str) -> None:
        console_store(self.world.site, self.host_id, self.server_id, text)

    def ask(self, length: int | None = None) -> Any:
        body = {"os-getConsoleOutput": {"length": length}}
        return self.http.post(f"{URL}/servers/{self.server_id}/action", json=body)

    def read(self, wait_s: float = 0.0) -> ConsoleLog:
        return read_console(self.world.site, MEMBER, self.server_id, wait_s=wait_s)

    def generation(self) -> int:
        with self.world.site.database.read() as connection:
            return host_get(connection, self.host_id).generation


@pytest.fixture
def console(tmp_path: Path) -> Iterator[Console]:
    with fleet(f"sqlite:///{tmp_path}/x.db", tmp_path, hosts=1) as world:
        yield Console(world)


def test_a_silent_host_is_not_waited_for_and_what_is_known_is_told_as_such(
    console: Console,
) -> None:
    console.world.hands.turn(312)
    started = time.monotonic()
    refused = console.ask()
    assert (refused.status_code, refused.json()["conflictingRequest"]["message"]) == (
        409,
        f"The console of instance {console.server_id} cannot be read: the host of this server has "
        "not answered for 312 s (ask again once its host answers; its operator sees in lanekeeper "
        "agent list why it does not)",
    )
    console.send("one\ntwo\nthree\n")
    since = console.world.hands.at.isoformat()
    console.world.hands.turn(100)
    for length, text in ((None, "one\ntwo\nthree\n"), (2, "two\nthree")):
        assert console.ask(length).json()["output"] == (
            "[the host of this server has not answered for 412 s; what was known last, "
            f"{since}, follows]\n{text}"
        )
    assert time.monotonic() - started < 5
    console.world.seen()
    console.send("one\ntwo\nthree\nfour\n")
    assert console.ask(1).json() == {"output": "four"}


def test_a_frozen_host_tells_no_consoles(console: Console) -> None:
    console.world.site.database.write(lambda c: hosts_freeze(c, "restored"))
    refused = console.ask()
    assert refused.status_code == 409
    assert "the host of this server is frozen" in refused.text


def test_a_host_that_is_heard_and_does_not_send_is_no_empty_console(console: Console) -> None:
    with pytest.raises(Conflict, match=r"has not sent its console within 0\.1 s"):
        console.read(0.1)
    console.send("an hour ago")
    console.world.hands.turn(3600)
    console.world.seen()
    log = console.read(0.1)
    assert (log.text, log.note.partition(";")[0]) == (
        "an hour ago",
        "the host of this server has not sent its console within 0.1 s",
    )


def test_a_guest_that_has_printed_nothing_has_an_empty_console(console: Console) -> None:
    console.send("")
    assert console.read(0.1) == ConsoleLog("")


def test_what_comes_while_it_is_waited_for_is_told_at_once(console: Console) -> None:
    before = console.generation()
    found: list[ConsoleLog] = []
    reader = Thread(target=lambda: found.append(console.read(60)))
    reader.start()
    until_s = time.monotonic() + 30
    while console.generation() == before and time.monotonic() < until_s:
        time.sleep(0.01)
    console.send("GUEST-READY")
    reader.join(30)
    assert found == [ConsoleLog("GUEST-READY")]


def test_the_host_is_asked_anew_only_once_its_answer_is_old(console: Console) -> None:
    console.send("text")
    first = console.generation()
    assert console.read().text == "text"
    assert console.generation() == first + 1
    console.world.hands.turn(30)
    assert console.read() == ConsoleLog("text")
    assert console.generation() == first + 1
    console.world.hands.turn(31)
    console.world.seen()
    assert console.read().note  # asked anew: what is here is too old to be an answer
    assert console.generation() == first + 2
