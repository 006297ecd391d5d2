"""Clients that claim, move and free while controllers are killed and connections are cut.

Every client keeps account of what each of its consumers may hold: one state when it was answered,
several when an answer was lost. At the end the database must hold one of them for each.
"""

from __future__ import annotations

import http.client
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import psycopg

from placement_servers import Line, Server
from postgres import PostgreSQL
from running import LANEKEEPER, Process, pick_port, until

Shares = Mapping[str, int]
"""Provider to units of the one class."""
CLASS = "SRIOV_NET_VF"
TOKEN = {"X-Auth-Token": "admin", "X-Roles": "admin,service", "Accept": "application/json"}
_AWAY = (OSError, http.client.HTTPException)
_PAUSE_S = 0.05
COMMIT_ENDS_S = 0.4
"""PostgreSQL finishes a COMMIT that it has begun, also for a controller that was killed."""


@dataclass(slots=True)
class Controllers:
    """Some ``lanekeeper placement`` on one database; any of them may be killed at any time."""

    home: Path
    database_url: str
    ports: list[int]
    processes: dict[int, Process] = field(default_factory=dict)

    def start(self, port: int) -> None:
        home = self.home / str(port)
        home.mkdir(parents=True, exist_ok=True)
        config = home / "placement.conf"
        config.write_text("[api]\nauth_strategy = noauth2\n")
        arguments = [LANEKEEPER, "placement", "--state-dir", str(home / "state")]
        arguments += ["--listen", f"127.0.0.1:{port}", "--config-file", str(config)]
        arguments += ["--database-url", self.database_url, "--log-level", "warning"]
        self.processes[port] = Process(arguments, home / "log")
        self.processes[port].line("ready ")

    def kill(self, port: int) -> None:
        os.kill(self.processes[port].pid, signal.SIGKILL)
        self.processes[port].wait()

    def server(self, port: int) -> Server:
        return Server("Lanekeeper", f"http://127.0.0.1:{port}", TOKEN)


@contextmanager
def controllers(home: Path, database_url: str, count: int) -> Iterator[Controllers]:
    """Run so many of them; those that run at the end are asked to stop."""
    every = Controllers(home, database_url, [pick_port() for _ in range(count)])
    try:
        for port in every.ports:
            every.start(port)
        yield every
        for process in every.processes.values():
            assert process.stop() == 0, process.errors[-4000:]
    finally:
        for process in every.processes.values():
            process.kill()


@dataclass(slots=True)
class Account:
    """What one consumer may hold now, and how often an answer came, and how often none."""

    consumer: str
    may_hold: list[Shares] = field(default_factory=lambda: [{}])
    answered: int = 0
    refused: int = 0
    lost: int = 0


class Asking:
    """One that asks any of the controllers, again and again if need be."""

    def __init__(self, random: Random, controllers: Controllers) -> None:
        self._random, self._controllers = random, controllers
        self._lines: dict[int, Line] = {}

    def ask(self, method: str, path: str) -> Any:
        """Read until somebody answers."""

        def answered() -> Any:
            status, body = self.once(method, path)
            assert status in (0, 200, 503), (method, path, status, body)
            if status != 200:
                time.sleep(_PAUSE_S)
            return (body,) if status == 200 else None

        return until(answered, f"an answer to {method} {path}", 60)[0]

    def once(self, method: str, path: str, body: object = None) -> tuple[int, Any]:
        """Ask any controller; status 0 where the connection broke."""
        port = self._random.choice(self._controllers.ports)
        line = self._lines.pop(port, None) or Line(self._controllers.server(port))
        try:
            answer = line.ask(method, path, body)
        except _AWAY:
            line.close()
            return 0, None
        self._lines[port] = line
        return answer.status, answer.body

    def close(self) -> None:
        for line in self._lines.values():
            line.close()


class Client(Asking):
    """One that works through *steps* changes of its own consumers, at any controller."""

    def __init__(
        self, random: Random, controllers: Controllers, providers: list[str], consumers: list[str]
    ) -> None:
        super().__init__(random, controllers)
        self._providers = providers
        self.accounts = [Account(consumer) for consumer in consumers]

    def run(self, steps: int) -> None:
        for _ in range(steps):
            if self._random.random() < 0.3:
                self._move(*self._random.sample(self.accounts, 2))
            else:
                self._claim(self._random.choice(self.accounts))

    def _claim(self, account: Account) -> None:
        """Claim something else than what is held, or free it."""
        some = self._random.sample(self._providers, self._random.randint(0, 2))
        self._put({account.consumer: account}, {account.consumer: dict.fromkeys(some, 1)})

    def _move(self, source: Account, target: Account) -> None:
        """Hand over what one holds to the other, in one transaction."""
        (held, *unsure), (there, *more) = source.may_hold, target.may_hold
        if unsure or more or not held:
            self._claim(source)
            return
        del there
        both = {source.consumer: source, target.consumer: target}
        self._put(both, {source.consumer: {}, target.consumer: held})

    def _put(self, accounts: Mapping[str, Account], wanted: Mapping[str, Shares]) -> None:
        for account in accounts.values():
            self._settle(account)
        body = {}
        for consumer, shares in wanted.items():
            generation = self.ask("GET", f"/allocations/{consumer}").get("consumer_generation")
            body[consumer] = {
                "allocations": {p: {"resources": {CLASS: n}} for p, n in shares.items()},
                "project_id": "p",
                "user_id": "u",
                "consumer_type": "INSTANCE",
                "consumer_generation": generation,
            }
        status = self.once("POST", "/allocations", body)[0]
        for consumer, account in accounts.items():
            if status == 204:
                account.answered += 1
                account.may_hold = [wanted[consumer]]
            elif status == 409:
                account.refused += 1
            else:
                account.lost += 1
                account.may_hold.append(wanted[consumer])

    def _settle(self, account: Account) -> None:
        """Find out what became of a change whose answer was lost; it must be one of the two."""
        if len(account.may_hold) > 1:
            time.sleep(COMMIT_ENDS_S)
            held = shares_of(self.ask("GET", f"/allocations/{account.consumer}"))
            assert held in account.may_hold, (account, held)
            account.may_hold = [held]


def shares_of(told: Any) -> Shares:
    return {provider: part["resources"][CLASS] for provider, part in told["allocations"].items()}


def havoc(
    random: Random, controllers: Controllers, cluster: PostgreSQL, database: str,
    over: threading.Event,
) -> Counts:  # fmt: skip
    """Kill controllers and cut connections, again and again, until it is over; then mend all."""
    counts = Counts()
    while not over.wait(random.uniform(0.2, 1.0)):
        if random.random() < 0.5:
            port = random.choice(controllers.ports)
            controllers.kill(port)
            counts.killed += 1
            over.wait(random.uniform(0, 0.5))
            controllers.start(port)
        else:
            counts.cut += _cut(cluster, database)
    return counts


@dataclass(slots=True)
class Counts:
    killed: int = 0
    cut: int = 0


def _cut(cluster: PostgreSQL, database: str) -> int:
    """End every connection that controllers have, whatever they are in the middle of."""
    with psycopg.connect(
        dbname="postgres", user="lanekeeper", host=str(cluster.directory), autocommit=True
    ) as connection:
        ended = connection.execute(
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = %s",
            [database],
        ).fetchone()
    assert ended is not None
    return int(ended[0])


def in_threads(works: list[Callable[[], None]]) -> None:
    """Run all of them at once; the first failure comes out when all have ended."""
    failures: list[BaseException] = []

    def guarded(work: Callable[[], None]) -> None:
        try:
            work()
        except BaseException as error:  # a thread's failure is the test's
            failures.append(error)

    threads = [threading.Thread(target=guarded, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]
