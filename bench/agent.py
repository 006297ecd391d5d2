"""An agent at rest: the share of a core and the memory that it takes when nothing happens."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx

from bench.figure import Figure
from bench.program import (
    Program,
    agent,
    client,
    controller,
    make_image_and_flavor,
    pick_port,
    program,
    server_body,
    up,
)

GUESTS = 7
_WINDOW_S = 20.0
_SETTLE_S = 12.0
"""Longer than the agent waits between two looks at its host."""
_ACTIVE_WITHIN_S = 60


def measure(home: Path, runs: int) -> Iterator[Figure]:
    """``lanekeeper agent run --simulate``, its poll parked; then the same with guests."""
    with program(up(home, 1), home / "log") as whole:
        whole.line("ready ")
    port = pick_port()
    with ExitStack() as stack:
        above = stack.enter_context(program(controller(home, port), home / "log"))
        url = above.line("ready ")
        measured = stack.enter_context(program(agent(home, port), home / "log"))
        yield from _at_rest(measured, above, "no guest", runs)
        http = client(home, url)
        stack.callback(http.close)
        _fill(http)
        yield from _at_rest(measured, above, f"{GUESTS} guests", runs)


def _at_rest(measured: Program, above: Program, when: str, runs: int) -> Iterator[Figure]:
    time.sleep(_SETTLE_S)
    shares, aboves = [], []
    for _ in range(runs):
        before = measured.cpu_s, above.cpu_s
        time.sleep(_WINDOW_S)
        shares.append(100 * (measured.cpu_s - before[0]) / _WINDOW_S)
        aboves.append(100 * (above.cpu_s - before[1]) / _WINDOW_S)
    yield Figure(f"agent, {when}: processor", "% of core", shares, "< 1 %")
    yield Figure(f"agent, {when}: resident memory", "MiB", [measured.resident_mib], "< 80 MiB")
    yield Figure(f"controller above it, {when}: processor", "% of core", aboves)
    yield Figure(f"controller above it, {when}: resident memory", "MiB", [above.resident_mib])


def _fill(http: httpx.Client) -> None:
    """Start guests and wait until all of them run."""
    image, flavor = make_image_and_flavor(http)
    for number in range(GUESTS):
        body = server_body(image, flavor, f"bench-{number}")
        http.post("/compute/v2.1/servers", json=body).raise_for_status()
    for _ in range(_ACTIVE_WITHIN_S * 2):
        servers = http.get("/compute/v2.1/servers/detail").json()["servers"]
        if all(server["status"] == "ACTIVE" for server in servers):
            return
        time.sleep(0.5)
    raise RuntimeError(f"not all servers are ACTIVE within {_ACTIVE_WITHIN_S} s")
