"""PostgreSQL that is silent, killed and started again below a controller that is being asked.

Whatever a client is told is true: what was acknowledged is there, what was refused is not, and
what nobody can know is said to be unknown.
"""

from __future__ import annotations

import contextlib
import threading
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest
import sqlalchemy as sa

from lanekeeper.store.tables import resource_provider
from postgres import Own
from running import Instance, running, until

pytestmark = pytest.mark.service

_CLIENTS = 6
_BOUND_S = 60
"""Longer than the controller waits for a connection and an answer together, twice."""


@dataclass(slots=True)
class Asked:
    """What clients were answered, by the id of the provider that each request would make."""

    answers: dict[str, httpx.Response] = field(default_factory=dict)

    def count(self, status: int) -> int:
        return sum(answer.status_code == status for answer in self.answers.copy().values())

    def more(self, status: int, what: str) -> None:
        """Wait for some more answers of *status*."""
        before = self.count(status)
        until(lambda: self.count(status) >= before + _CLIENTS, f"{status} {what}", _BOUND_S)


@contextlib.contextmanager
def asking(instance: Instance) -> Iterator[Asked]:
    """Have clients make providers, one request after the other, for as long as the block lasts."""
    stop, made = threading.Event(), Asked()
    headers = {
        "X-Auth-Token": str(instance.sdk.auth_token),
        "OpenStack-API-Version": "placement 1.39",
    }

    def client() -> None:
        with httpx.Client(base_url=instance.url, headers=headers, timeout=_BOUND_S) as http:
            while not stop.is_set():
                new = str(uuid.uuid4())
                body = {"uuid": new, "name": new}
                made.answers[new] = http.post("/placement/resource_providers", json=body)

    with ThreadPoolExecutor(_CLIENTS) as pool:
        clients = [pool.submit(client) for _ in range(_CLIENTS)]
        try:
            yield made
        finally:
            stop.set()
    for ended in clients:
        ended.result()


def test_what_clients_are_told_is_true(own_postgresql: Own, tmp_path: Path) -> None:
    url = own_postgresql.cluster.url(own_postgresql.cluster.create())
    state = tmp_path / "state"
    with running(state, database_url=url) as instance, asking(instance) as told:
        told.more(200, "while all is well")
        own_postgresql.cluster.pause()
        told.more(503, "while the database is silent")
        assert httpx.get(f"{instance.url}/healthz").status_code == 200
        own_postgresql.cluster.resume()
        told.more(200, "once it answers again")
        own_postgresql.cluster.kill()
        told.more(503, "while it is dead")
        assert httpx.get(f"{instance.url}/readyz", timeout=_BOUND_S).status_code == 503
        own_postgresql.again()
        told.more(200, "once it runs again")
    engine = sa.create_engine(url)
    with engine.connect() as connection:
        there = set(connection.scalars(sa.select(resource_provider.c.id)))
    engine.dispose()
    odd = [one.text for one in told.answers.values() if one.status_code not in (200, 503)]
    assert not odd
    for new, answer in told.answers.items():
        if answer.status_code == 200:
            assert new in there
            continue
        assert answer.headers["Retry-After"]
        (error,) = answer.json()["errors"]
        if "what was asked for is stored" in error["detail"]:
            assert new in there, answer.text
        elif "may have been made or not" not in error["detail"]:
            assert new not in there, answer.text


def test_a_controller_ends_in_order_while_its_database_is_away(
    own_postgresql: Own, tmp_path: Path
) -> None:
    url = own_postgresql.cluster.url(own_postgresql.cluster.create())
    with running(tmp_path / "state", database_url=url) as instance:  # its end must be 0
        own_postgresql.cluster.kill()
        process = instance.process
    assert process.logged("heartbeats.lost"), process.errors[-2000:]
    assert "Traceback" not in process.errors
