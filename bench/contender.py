"""Servers that answer the same questions, started, measured, and started again when they hang."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass, field
from statistics import median

from placement_servers import Answer, Line, Server, family_cpu_s

_SAMPLE_S = 0.4
"""A sample repeats its request for about so long: the kernel counts processor time in 10 ms."""
_MOST_REPEATS = 100
_TICK_MS = 1000 / os.sysconf("SC_CLK_TCK")
Start = Callable[[], AbstractContextManager[Server]]


class Contender:
    """One server, by the name that stands in the tables.

    *database* is the process of the database server that works for it, if there is one; contenders
    may share it, since only one of them works at a time.
    """

    def __init__(
        self, name: str, start: Start, bound_s: float, database: int | None = None
    ) -> None:
        self.name = name
        self._database = database
        self.bound_s = bound_s
        self._start = start
        self._running: AbstractContextManager[Server] | None = None
        self.server: Server | None = None
        self._line: Line | None = None

    def line(self) -> Line:
        """The kept connection; starts the server if it does not run."""
        if self._line is None:
            self._running = self._start()
            self.server = self._running.__enter__()
            self._line = Line(self.server, self.bound_s)
        return self._line

    def cpu_s(self) -> tuple[float, float]:
        """Processor time until now: of the server, and of its database's server."""
        assert self.server is not None
        database = 0.0 if self._database is None else family_cpu_s(self._database)
        return self.server.cpu_s, database

    def stop(self) -> None:
        """End it."""
        if self._line is not None:
            self._line.close()
        if self._running is not None:
            self._running.__exit__(None, None, None)
        self._running = self.server = self._line = None

    def give_up(self) -> None:
        """End it although it still works on an answer that nobody waits for any more."""
        assert self.server is not None
        for process in self.server.processes:
            process.kill()
        with suppress(AssertionError):  # it has not ended by itself, which is what was wanted
            self.stop()
        self._running = self.server = self._line = None


@dataclass(slots=True)
class Sample:
    """One measured batch: milliseconds of one request at the client, and of processor time."""

    wall_ms: float
    cpu_ms: float
    database_ms: float

    @property
    def work_ms(self) -> float:
        return self.cpu_ms + self.database_ms


@dataclass(slots=True)
class Compared:
    """One question: every contender's samples; empty where it gave no answer within its bound.

    Attributes:
        found: what each answered, as a number that should be the same for all.
    """

    what: str
    samples: dict[str, list[Sample]] = field(default_factory=dict)
    bounds_s: dict[str, float] = field(default_factory=dict)
    found: dict[str, int] = field(default_factory=dict)

    def __str__(self) -> str:
        lines = [f"{self.what}  ({self._found()})"]
        first = next(iter(self.samples))
        lines += [
            f"    {name:<24} {self._one(name):<60} {self._ratio(first, name)}".rstrip()
            for name in self.samples
        ]
        return "\n  ".join(lines)

    def _found(self) -> str:
        numbers = set(self.found.values())
        if len(numbers) == 1:
            return f"{numbers.pop():,} candidates"
        return ", ".join(f"{name} {number:,}" for name, number in self.found.items()) or "none"

    def median_ms(self, name: str) -> float | None:
        """Median at the client; None without an answer."""
        samples = self.samples[name]
        return median(sample.wall_ms for sample in samples) if samples else None

    def _one(self, name: str) -> str:
        samples = self.samples[name]
        if not samples:
            return f"> {self.bounds_s[name]:.0f} s: no answer"
        walls = [sample.wall_ms for sample in samples]
        cpu = _ms(median(sample.cpu_ms for sample in samples))
        database = _ms(median(sample.database_ms for sample in samples))
        spread = f"({_ms(min(walls))} to {_ms(max(walls))})"
        return f"{_ms(median(walls)):>8} ms {spread:<20} CPU {cpu:>6} + {database:>5} ms"

    def _ratio(self, first: str, name: str) -> str:
        """How many times faster than the first contender, run by run: by the clock and by work."""
        if name == first or not self.samples[name]:
            return ""
        if not self.samples[first]:
            least = 1000 * self.bounds_s[first] / (self.median_ms(name) or 1)
            return f"> {least:,.3g} times"
        pairs = list(zip(self.samples[first], self.samples[name], strict=False))
        ratios = sorted(theirs.wall_ms / ours.wall_ms for theirs, ours in pairs)
        work = median(theirs.work_ms / max(ours.work_ms, _TICK_MS / 2) for theirs, ours in pairs)
        spread = f"({ratios[0]:,.3g} to {ratios[-1]:,.3g})"
        return f"{median(ratios):,.3g} times {spread}, CPU {work:,.3g} times"


def _ms(number: float) -> str:
    return f"{number:,.0f}" if number >= 100 else f"{number:.3g}"


def compare(
    what: str, path: str, contenders: Sequence[Contender], runs: int, count: Callable[[Answer], int]
) -> Compared:
    """Ask all of them in turn, *runs* rounds, so that all meet the same weather."""
    compared = Compared(what, {c.name: [] for c in contenders})
    repeats: dict[str, int] = {}
    for _ in range(runs + 1):  # the first round warms up, and says how often to repeat
        for contender in contenders:
            if contender.name in compared.bounds_s:
                continue
            times = repeats.get(contender.name, 1)
            sample = _sample(contender, path, times, compared, count)
            if sample is None:
                continue
            if contender.name in repeats:
                compared.samples[contender.name].append(sample)
            else:
                wanted = int(1000 * _SAMPLE_S / sample.wall_ms)
                repeats[contender.name] = max(1, min(wanted, _MOST_REPEATS))
    return compared


def _sample(
    contender: Contender,
    path: str,
    times: int,
    compared: Compared,
    count: Callable[[Answer], int],
) -> Sample | None:
    line = contender.line()
    line.close()  # while others took their turn it may have been idle for too long
    line.connect()
    before, started = contender.cpu_s(), time.perf_counter()
    try:
        for _ in range(times):
            answer = line.ask("GET", path)
    except TimeoutError:
        compared.bounds_s[contender.name] = contender.bound_s
        contender.give_up()
        return None
    wall = time.perf_counter() - started
    after = contender.cpu_s()
    assert answer.status == 200, answer
    if contender.name not in compared.found:
        compared.found[contender.name] = count(answer)
    spent = (wall, after[0] - before[0], after[1] - before[1])
    return Sample(*(1000 * seconds / times for seconds in spent))


@contextmanager
def all_of(contenders: Sequence[Contender]) -> Iterator[None]:
    """Stop them at the end, whatever happened."""
    try:
        yield
    finally:
        for contender in contenders:
            contender.stop()
