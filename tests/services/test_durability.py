"""What was acknowledged survives a loss of power: nothing is answered before it is on disk.

strace tells in which order the controller wrote, synced and answered. From the same log the
database's files are rebuilt as a power loss at the moment of each answer would leave them.
"""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import uuid
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
import yaml

import system_calls
from running import LANEKEEPER, Process
from system_calls import Call, Disk

pytestmark = pytest.mark.service

_CLIENTS = 6
_ROUNDS = 4


@dataclass(frozen=True, slots=True)
class Trace:
    """What was acknowledged, and every call; *markers* stand in request and rows alike."""

    markers: Sequence[str]
    calls: Sequence[Call]
    database: Path


@pytest.fixture(scope="module")
def trace(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trace]:
    """Let clients write by the Placement API, at once and in turn, and take the log of it."""
    if not system_calls.can_trace():
        pytest.skip("strace is not installed (Debian's package strace), or not allowed here")
    home = tmp_path_factory.mktemp("durability")
    state, log = home / "state", home / "calls"
    program = [LANEKEEPER, "controller", "--state-dir", str(state), "--listen", "127.0.0.1:0"]
    process = Process([*system_calls.command(log), *program], home / "log")
    try:
        url = process.line("ready ")
        with ThreadPoolExecutor(_CLIENTS) as pool:
            done = [pool.submit(client, url, token(url, state)) for _ in range(_CLIENTS)]
        markers = [marker for one in done for marker in one.result()]
        (child,) = _children(process.pid)
        os.kill(child, signal.SIGKILL)  # it writes nothing more on its way out
        process.wait()
        yield Trace(markers, system_calls.read(log), state / "lanekeeper.db")
    finally:
        process.kill()


def _children(pid: int) -> list[int]:
    return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def token(url: str, state: Path) -> str:
    auth = yaml.safe_load((state / "clouds.yaml").read_text())["clouds"]["lanekeeper"]["auth"]
    domain = {"name": "Default"}
    user = {"name": auth["username"], "password": auth["password"], "domain": domain}
    body = {
        "identity": {"methods": ["password"], "password": {"user": user}},
        "scope": {"project": {"name": auth["project_name"], "domain": domain}},
    }
    answer = httpx.post(f"{url}/identity/v3/auth/tokens", json={"auth": body}, timeout=60)
    return answer.headers["X-Subject-Token"]


def client(url: str, token: str) -> list[str]:
    """Make providers, rename them, give them inventories, traits and allocations."""
    headers = {"X-Auth-Token": token, "OpenStack-API-Version": "placement 1.39"}
    markers = []
    with httpx.Client(base_url=f"{url}/placement", headers=headers, timeout=60) as http:

        def ask(method: str, path: str, body: object, marker: str) -> None:
            answer = http.request(method, path, json=body)
            assert answer.is_success, answer.text
            markers.append(marker)

        for _ in range(_ROUNDS):
            provider, name, consumer = (str(uuid.uuid4()) for _ in range(3))
            kind, trait = f"CUSTOM_{uuid.uuid4().hex.upper()}", f"CUSTOM_{uuid.uuid4().hex.upper()}"
            path = f"/resource_providers/{provider}"
            ask("POST", "/resource_providers", {"uuid": provider, "name": provider}, provider)
            ask("PUT", path, {"name": name}, name)
            ask("PUT", f"/resource_classes/{kind}", None, kind)
            inventory = {"inventories": {kind: {"total": 8}}, "resource_provider_generation": 0}
            assert http.put(f"{path}/inventories", json=inventory).is_success
            ask("PUT", f"/traits/{trait}", None, trait)
            allocation = {
                "allocations": {provider: {"resources": {kind: 1}}},
                "project_id": "p",
                "user_id": "u",
                "consumer_generation": None,
                "consumer_type": "INSTANCE",
            }
            ask("PUT", f"/allocations/{consumer}", allocation, consumer)
    return markers


def answered(trace: Trace, marker: str) -> Call:
    """The first word of the answer to the request that holds *marker*."""
    text = marker.encode()
    asked = next(c for c in trace.calls if c.name == "recvfrom" and text in c.data)
    return next(
        call
        for call in trace.calls
        if call.name == "sendto" and call.what == asked.what and call.began > asked.ended
    )


def test_nothing_is_answered_before_it_is_synced(trace: Trace) -> None:
    wal = f"{trace.database}-wal"
    writes = [c for c in trace.calls if c.name == "pwrite64" and c.what == wal]
    syncs = [c for c in trace.calls if c.name in ("fdatasync", "fsync") and c.what == wal]
    assert len(trace.markers) == _CLIENTS * _ROUNDS * 5
    for marker in trace.markers:
        answer = answered(trace, marker)
        written = next(c for c in writes if marker.encode() in c.data)
        synced = next((c for c in syncs if c.began > written.ended), None)
        assert synced is not None, marker
        assert written.ended < synced.began <= synced.ended < answer.began, marker


def test_what_was_answered_survives_a_loss_of_power(trace: Trace, tmp_path: Path) -> None:
    """A failure names its seed; unsynced writes are lost, kept or torn as it has it."""
    seed = random.SystemRandom().randrange(2**32)
    disk = Disk(trace.calls, random.Random(seed))
    moments = {marker: answered(trace, marker).began for marker in trace.markers}
    for number, moment in enumerate(sorted(moments.values())):
        file = tmp_path / f"{number}.db"
        file.write_bytes(disk.content(str(trace.database), moment))
        journal = disk.content(f"{trace.database}-wal", moment)
        file.with_name(f"{file.name}-wal").write_bytes(journal)
        with closing(sqlite3.connect(file)) as left:
            assert left.execute("PRAGMA integrity_check").fetchall() == [("ok",)], f"seed {seed}"
            there = "\n".join(line for line in left.iterdump() if "INSERT" in line)
        lost = [marker for marker, at in moments.items() if at <= moment and marker not in there]
        assert not lost, f"seed {seed}"


def test_an_answer_whose_end_a_kill_cut_off_is_read(tmp_path: Path) -> None:
    log = tmp_path / "calls"
    log.write_text(
        '7 sendto(5<TCP:[a]>, "first", 5, 0, NULL, 0 <unfinished ...>\n'
        "7 <... sendto resumed>) = ?\n"
        "8 fdatasync(6</wal> <unfinished ...>\n"
        '9 sendto(5<TCP:[b]>, "last", 4, 0, NULL, 0 <unfinished ...>\n'
        "9 +++ killed by SIGKILL +++\n"
    )
    assert [(c.began, c.data) for c in system_calls.read(log)] == [(0, b"first"), (3, b"last")]
