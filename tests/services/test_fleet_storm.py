"""Servers made by many at once on a simulated fleet, while agents and controllers are killed.

``LANEKEEPER_STORM=HOSTS,CREATES`` sets the size, 8,24 where it is unset; from 100 creates on they
come 32 at a time. ``./dev bench storm`` is 1000,1000. Every wait ends: what takes too long fails,
with the stacks of the controller's threads and who waits for whom in the database.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from random import Random, SystemRandom
from typing import Any

import httpx
import pytest
import yaml

from lanekeeper.store.database import Database
from running import LANEKEEPER, Process, lanekeeper, pick_port, until

pytestmark = pytest.mark.service

_SIZE = os.environ.get("LANEKEEPER_STORM", "8,24")
HOSTS, CREATES = (int(number) for number in _SIZE.split(","))
_PER_HOST = 3  # servers with two of the seven VFs that alias a1 has on the lab's host
assert CREATES <= HOSTS * _PER_HOST, "LANEKEEPER_STORM: all of them have to fit"
_AT_ONCE = 32 if CREATES >= 100 else 4
_LIVES_ANSWERS = (20, 100) if CREATES >= 100 else (0, 4)
_LIVES_S = 60.0 if CREATES >= 100 else 4.0
"""A controller is killed after so many answers, however long a machine takes to give them, or after
so long: with each kill all those are lost that are under way."""
_STORMY = ("--fail", "kill:3", "--fail-lasts", "1")
_WITHIN_S = 60 + HOSTS * 2.0
_STORM_WITHIN_S = 300 + CREATES * 3.0
_RESTART_WITHIN_S = 120.0
_DUMPED_WITHIN_S = 5.0


@dataclass(slots=True)
class Controller:
    """One that is killed and started again at the same address."""

    home: Path
    database_url: str | None
    port: int = field(default_factory=pick_port)
    process: Process | None = None
    kills: int = 0
    answered: int = 0
    failure: BaseException | None = None
    """Why it was not started again; nobody waits for an answer then."""

    def start(self) -> None:
        words = [LANEKEEPER, "controller", "--state-dir", str(self.home / "state")]
        words += ["--listen", f"127.0.0.1:{self.port}", "--log-level", "warning"]
        if self.database_url:
            words += ["--database-url", self.database_url]
        self.process = Process(words, self.home / "log")
        self.process.line("ready ")

    def havoc(self, random: Random, over: threading.Event) -> None:
        """Kill it again and again until it is over."""
        try:
            while self._lives(random.randint(*_LIVES_ANSWERS), over):
                assert self.process is not None
                os.kill(self.process.pid, signal.SIGKILL)
                self.process.wait()
                self.kills += 1
                self.start()
        except BaseException as error:
            self.failure = error
            raise

    def _lives(self, answers: int, over: threading.Event) -> bool:
        """Let it live until it has given so many answers; whether it is to be killed then."""
        until, deadline = self.answered + answers, time.monotonic() + _LIVES_S
        while self.answered < until and time.monotonic() < deadline:
            if over.wait(0.02):
                return False
        return not over.is_set()

    def stacks(self) -> str:
        """What each of its threads is doing, as far as it says so in time."""
        if self.process is None or not self.process.is_running:
            return f"the controller does not run: {self.failure!r}"
        before = len(self.process.errors)
        os.kill(self.process.pid, signal.SIGUSR2)
        time.sleep(_DUMPED_WITHIN_S)
        return self.process.errors[before:]

    @property
    def environment(self) -> dict[str, str]:
        clouds = {"OS_CLIENT_CONFIG_FILE": str(self.home / "state/clouds.yaml")}
        return {**os.environ, **clouds, "OS_CLOUD": "lanekeeper"}


class Client:
    """Asks again where nobody answers; for what may be asked twice."""

    def __init__(self, controller: Controller) -> None:
        self._controller, self._deadline = controller, time.monotonic() + _STORM_WITHIN_S
        text = (controller.home / "state/clouds.yaml").read_text()
        auth = yaml.safe_load(text)["clouds"]["lanekeeper"]["auth"]
        self.http = httpx.Client(base_url=f"http://127.0.0.1:{controller.port}", timeout=60)
        user = {"name": auth["username"], "password": auth["password"], "domain": {"id": "default"}}
        scope = {"project": {"name": auth["project_name"], "domain": {"id": "default"}}}
        asked = {"identity": {"methods": ["password"], "password": {"user": user}}, "scope": scope}
        answer = self.http.post("/identity/v3/auth/tokens", json={"auth": asked})
        self.http.headers["X-Auth-Token"] = answer.headers["X-Subject-Token"]
        self.http.headers["OpenStack-API-Version"] = "compute 2.90"

    def once(self, method: str, path: str, body: object = None) -> httpx.Response | None:
        """None where the answer was lost, or the controller could not say what became of it.

        Where nobody listened nothing was asked, so it is asked again.
        """
        for _ in range(600):
            assert self._controller.failure is None, "the controller was not started again"
            assert time.monotonic() < self._deadline, f"{method} {path}: all that takes too long"
            try:
                answer = self.http.request(method, path, json=body)
                break
            except httpx.ConnectError:
                time.sleep(0.1)
            except httpx.TransportError:
                return None
        else:
            raise AssertionError("nobody listened for a minute")
        self._controller.answered += 1  # by many threads; it need not be exact
        return None if answer.status_code == 503 else answer

    def ask(self, method: str, path: str, body: object = None) -> Any:
        answer: httpx.Response = until(
            partial(self._patiently, method, path, body), f"an answer to {path}", 120
        )
        assert answer.is_success, answer.text
        return answer.json() if answer.content else None

    def _patiently(self, method: str, path: str, body: object) -> httpx.Response | None:
        answer = self.once(method, path, body)
        if answer is None:
            time.sleep(0.1)
        return answer

    def all(self, path: str, plural: str) -> list[dict[str, Any]]:
        """Every page of a list."""
        found: list[dict[str, Any]] = []
        while True:
            marker = f"&marker={found[-1]['id']}" if found else ""
            page = self.ask("GET", f"{path}?limit=1000{marker}")[plural]
            found += page
            if len(page) < 1000:
                return found


@contextmanager
def fleet(controller: Controller, home: Path, *failures: str) -> Iterator[Process]:
    words = [LANEKEEPER, "simulate", "--hosts", str(HOSTS), "--state-dir", str(home / "fleet")]
    words += ["--processes", str(max(2, HOSTS // 250)), "--log-level", "error", *failures]
    process = Process(words, home / "fleet-log", controller.environment)
    try:
        process.line("ready ", _WITHIN_S * 3)
        yield process
    finally:
        process.kill()


def prepare(client: Client) -> dict[str, Any]:
    """A flavor with two VFs and an image; returns the body of a creation."""
    made = client.ask(
        "POST",
        "/compute/v2.1/flavors",
        {"flavor": {"name": "nics", "ram": 64, "vcpus": 1, "disk": 1}},
    )["flavor"]
    specs = {"extra_specs": {"pci_passthrough:alias": "a1:2"}}
    client.ask("POST", f"/compute/v2.1/flavors/{made['id']}/os-extra_specs", specs)
    asked = {"name": "i", "disk_format": "raw", "container_format": "bare"}
    image = client.ask("POST", "/image/v2/images", asked)["id"]
    kind = {"Content-Type": "application/octet-stream"}
    client.http.put(f"/image/v2/images/{image}/file", content=b"x" * 512, headers=kind)
    return {"flavorRef": made["id"], "imageRef": image, "networks": "none"}


def create(client: Client, body: dict[str, Any], number: int) -> str | None:
    """The id that was answered; None where no answer came, so that nobody knows."""
    answer = client.once(
        "POST", "/compute/v2.1/servers", {"server": {**body, "name": f"s{number}"}}
    )
    if answer is None:
        return None
    assert answer.status_code == 202, answer.text
    return str(answer.json()["server"]["id"])


def at_rest(client: Client, seed: int) -> dict[str, dict[str, Any]]:
    """Servers by id, once none is on its way; else says which are."""
    deadline = time.monotonic() + _WITHIN_S
    while True:
        servers = client.all("/compute/v2.1/servers/detail", "servers")
        busy = [one for one in servers if one["status"] == "BUILD"]
        if not busy:
            return {one["id"]: one for one in servers}
        told = [(one["id"], one["OS-EXT-SRV-ATTR:host"], one["updated"]) for one in busy]
        hosts = client.ask("GET", "/lanekeeper/v1/hosts")["hosts"]
        state = [(one["name"], one["alive"], one["wanted"], one["obeyed"]) for one in hosts]
        assert time.monotonic() < deadline, f"seed {seed}: not at rest: {told}, {state}"
        time.sleep(0.5)


def held(client: Client) -> Counter[str]:
    """Server id to how many devices it holds."""
    devices = client.all("/lanekeeper/v1/devices", "devices")
    return Counter(one["holder"] for one in devices if one["holder"])


def empty(client: Client) -> bool:
    """Whether all is given back, and clean."""
    if client.all("/compute/v2.1/servers", "servers"):
        time.sleep(0.5)
        return False
    states = {one["state"] for one in client.all("/lanekeeper/v1/devices", "devices")}
    if states != {"available"}:
        time.sleep(0.5)
    return states == {"available"}


def test_nothing_is_doubled_lost_or_leaked(database_url: str, tmp_path: Path) -> None:
    seed = SystemRandom().getrandbits(32)
    random, over = Random(seed), threading.Event()
    url = None if database_url.startswith("sqlite") else database_url
    controller = Controller(tmp_path / "controller", url)
    controller.start()
    try:
        with fleet(controller, tmp_path, *_STORMY, "--seed", str(seed)) as suffering:
            client = Client(controller)
            body = prepare(client)
            began = time.monotonic()
            with ThreadPoolExecutor(1) as weather:
                havoc = weather.submit(controller.havoc, random, over)
                try:
                    with ThreadPoolExecutor(_AT_ONCE) as pool:
                        answers = list(pool.map(partial(create, client, body), range(CREATES)))
                finally:
                    over.set()
                havoc.result(_RESTART_WITHIN_S)
            took_s = time.monotonic() - began
            killed = suffering.output.count("are killed for")
        with fleet(controller, tmp_path):  # the weather is calm: all must come to rest
            client = Client(controller)
            servers = at_rest(client, seed)
            made = {one for one in answers if one is not None}
            assert made <= servers.keys(), f"seed {seed}: lost {made - servers.keys()}"
            faults = [one.get("fault") for one in servers.values() if one["status"] != "ACTIVE"]
            assert not faults, f"seed {seed}: {faults}"
            assert held(client) == Counter(dict.fromkeys(servers, 2)), f"seed {seed}"
            for one in servers:
                client.once("DELETE", f"/compute/v2.1/servers/{one}")
            until(partial(empty, client), f"all to be given back, seed {seed}", _WITHIN_S)
        assert controller.process is not None
        assert controller.process.stop() == 0
        verified(controller, tmp_path, seed)
    except BaseException as error:
        error.add_note(f"seed {seed}\n{controller.stacks()}\n{waits(url)}")
        raise
    finally:
        if controller.process is not None:
            controller.process.kill()
    at_rest_s = time.monotonic() - began
    print(
        f"seed {seed}: {HOSTS} hosts, {CREATES} creates at {_AT_ONCE} in {took_s:.1f} s, all gone "
        f"after {at_rest_s:.0f} s, "
        f"{len(servers)} servers, {answers.count(None)} answers lost, controller killed "
        f"{controller.kills} times, agents' processes {killed} times"
    )


def waits(url: str | None) -> str:
    """Who does what in the database, and who waits for whom."""
    if url is None:
        return ""
    with Database(url) as database, database.read() as connection:
        rows = connection.exec_driver_sql(
            "SELECT pid, state, now() - xact_start, wait_event_type, wait_event, "
            "pg_blocking_pids(pid), left(query, 120) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        return "\n".join(map(str, rows))


def verified(controller: Controller, home: Path, seed: int) -> None:
    """Have ``lanekeeper verify`` look at the rows."""
    url = controller.database_url or f"sqlite:///{controller.home / 'state/lanekeeper.db'}"
    file = home / "url"
    file.write_text(url)
    ended = lanekeeper("verify", "--database-url-file", str(file), within_s=300)
    assert ended.returncode == 0, f"seed {seed}: {ended.stdout}{ended.stderr}"
