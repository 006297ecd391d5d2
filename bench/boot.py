"""Boot to ready: from the command to the line that says where it answers."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from pathlib import Path

from bench.figure import Figure
from bench.program import LANEKEEPER, program, up


def measure(home: Path, runs: int) -> Iterator[Figure]:
    """``lanekeeper up --simulate 1``: with an empty directory, and on what it left."""
    first: list[float] = []
    again: list[float] = []
    cpu: list[float] = []
    for _ in range(runs):
        shutil.rmtree(home / "state", ignore_errors=True)
        for samples in (first, again):
            with program(up(home, 1), home / "log") as running:
                running.line("ready ")
                samples.append(time.perf_counter() - running.started)
                if samples is again:
                    cpu.append(running.cpu_s)
    yield Figure("up --simulate 1, first start", "s", first)
    yield Figure("up --simulate 1, later starts", "s", again)
    yield Figure("  processor time of that", "s", cpu)
    yield Figure("lanekeeper --version", "s", [_version(home) for _ in range(runs)])


def _version(home: Path) -> float:
    with program([LANEKEEPER, "--version"], home / "log") as running:
        running.line("lanekeeper")
        return time.perf_counter() - running.started
