"""Processor time of API requests, whole process, against the same JSON from a bare Starlette."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import httpx

from bench.figure import Figure
from bench.program import (
    Program,
    client,
    controller,
    login_body,
    make_image_and_flavor,
    pick_port,
    program,
    server_body,
    up,
)

HOSTS = 100
SERVERS = 50
_LISTS = {
    f"GET servers/detail, {SERVERS} servers": "/compute/v2.1/servers/detail",
    f"GET resource_providers, {HOSTS} hosts": "/placement/resource_providers",
    "GET one server": "/compute/v2.1/servers/{server}",
}
_REQUESTS_A_RUN = 300
_TOKENS_A_RUN = 10


def measure(home: Path, runs: int) -> Iterator[Figure]:
    """A controller with hosts whose agents are away, so that only requests use its time."""
    with program(up(home, HOSTS), home / "log") as whole:
        whole.line("ready ")
    port = pick_port()
    with ExitStack() as stack:
        measured = stack.enter_context(program(controller(home, port), home / "log"))
        url = measured.line("ready ")
        http = client(home, url)
        stack.callback(http.close)
        yield from _servers(measured, http, runs)
        yield _tokens(measured, http, login_body(home), runs)
        server = http.get("/compute/v2.1/servers").json()["servers"][0]["id"]
        for what, path in _LISTS.items():
            get = partial(http.get, path.format(server=server))
            get().raise_for_status()
            yield from beside_bare(measured, get, what, home=home, runs=runs)
        yield Figure("controller's memory after all this", "MiB", [measured.resident_mib])


def _servers(measured: Program, http: httpx.Client, runs: int) -> Iterator[Figure]:
    image, flavor = make_image_and_flavor(http)
    made: list[str] = []

    def create() -> None:
        body = server_body(image, flavor, f"bench-{len(made)}")
        answer = http.post("/compute/v2.1/servers", json=body).raise_for_status()
        made.append(answer.json()["server"]["id"])

    cpu, wall = samples(measured, create, runs, max(1, (SERVERS - 1) // runs))
    yield Figure(f"POST server with a device, {HOSTS} hosts", "ms CPU", cpu)
    yield Figure("  from the client's side", "ms", wall)
    while len(made) < SERVERS:
        create()


def _tokens(measured: Program, http: httpx.Client, body: dict[str, object], runs: int) -> Figure:
    def issue() -> None:
        http.post("/identity/v3/auth/tokens", json=body).raise_for_status()

    cpu, _ = samples(measured, issue, runs, _TOKENS_A_RUN)
    return Figure("POST token by password (the hash is slow on purpose)", "ms CPU", cpu)


def beside_bare(
    measured: Program,
    get: Callable[[], httpx.Response],
    what: str,
    *,
    home: Path,
    runs: int,
    times: int = _REQUESTS_A_RUN,
) -> Iterator[Figure]:
    """Measure *get* and, in turn, a bare Starlette that answers the same; *times* in a run."""
    document = home / "document.json"
    document.write_bytes(get().content)
    port = pick_port()
    arguments = [sys.executable, "-m", "bench.bare", str(port), str(document)]
    ours: list[tuple[float, float]] = []
    bares: list[tuple[float, float]] = []
    with program(arguments, home / "log") as bare, httpx.Client(trust_env=False) as plain:
        bare.line("ready")
        get_bare = partial(plain.get, f"http://127.0.0.1:{port}/")
        _await_answer(get_bare)
        for _ in range(runs):  # in turn, so that both meet the same weather
            ours.append(_batch(measured, get, times))
            bares.append(_batch(bare, get_bare, times))
    cpu, least = [cpu for cpu, _ in ours], [cpu for cpu, _ in bares]
    yield Figure(f"{what} ({document.stat().st_size:,} bytes)", "ms CPU", cpu)
    yield Figure("  from the client's side", "ms", [wall for _, wall in ours])
    yield Figure("  the same JSON by a bare Starlette", "ms CPU", least)
    ratios = [mine / theirs for mine, theirs in zip(cpu, least, strict=True) if theirs]
    yield Figure("  ratio to that", "times", ratios)


def _await_answer(get: Callable[[], httpx.Response]) -> None:
    for _ in range(100):
        try:
            get().raise_for_status()
        except httpx.ConnectError:
            time.sleep(0.05)
        else:
            return
    raise RuntimeError("the bare Starlette does not answer")


def samples(
    measured: Program, act: Callable[[], object], runs: int, times: int
) -> tuple[list[float], list[float]]:
    """Return for each run the milliseconds of processor time, and those waited, of one request."""
    act()
    pairs = [_batch(measured, act, times) for _ in range(runs)]
    return [cpu for cpu, _ in pairs], [wall for _, wall in pairs]


def _batch(measured: Program, act: Callable[[], object], times: int) -> tuple[float, float]:
    cpu, wall = measured.cpu_s, time.perf_counter()
    for _ in range(times):
        act()
    waited = time.perf_counter() - wall
    return 1000 * (measured.cpu_s - cpu) / times, 1000 * waited / times
