"""The processes of a simulated fleet: started, killed by chance, started again, ended."""

from __future__ import annotations

import multiprocessing
import random
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from typing import Self

from lanekeeper.agent.fleet import READY, Kind, Mishap, Part, serve
from lanekeeper.cli import logs
from lanekeeper.domain.errors import Unavailable

_LOOK_S = 0.2
_READY_WITHIN_S = 3600.0
_ENDED_WITHIN_S = 15.0


def say(what: str) -> None:
    """Tell whoever watches, with the time."""
    print(f"{datetime.now().astimezone():%H:%M:%S} {what}", flush=True)


@dataclass(frozen=True, slots=True)
class Troubles:
    """What befalls a fleet: each kind's mean interval and each one's duration, in seconds."""

    every_s: Mapping[Kind, float]
    lasts_s: float
    seed: int

    def moments(self, names: Sequence[str]) -> Iterator[tuple[float, Mishap]]:
        """Yield what happens when, in seconds from the beginning, without an end."""
        chance = random.Random(self.seed)  # noqa: S311  # no secret; a seed repeats it
        due = {kind: chance.expovariate(1 / mean) for kind, mean in self.every_s.items()}
        while due:
            kind = min(due, key=lambda one: due[one])
            yield due[kind], Mishap(kind, chance.choice(names), self.lasts_s, chance.random())
            due[kind] += chance.expovariate(1 / self.every_s[kind])


def _serve(part: Part, pipe: Connection, log_level: str) -> None:
    logs.set_up(log_level)
    serve(part, pipe)


class _Process:
    """One part's process, which may be away."""

    def __init__(self, part: Part, log_level: str) -> None:
        self.part = part
        self._log_level = log_level
        self.is_ready = False
        self.back_at: float | None = None
        self._start()

    def _start(self) -> None:
        self.pipe, theirs = multiprocessing.Pipe()
        # Not forked: this process has threads, and what they hold would stay held.
        context = multiprocessing.get_context("spawn")
        self.child: SpawnProcess = context.Process(
            target=_serve, args=(self.part, theirs, self._log_level)
        )
        self.child.start()
        theirs.close()

    def heard(self) -> None:
        """Pass on what it says. Raises Unavailable: it has ended, and nobody had it killed."""
        try:
            while self.pipe.poll():
                said = self.pipe.recv()
                if said == READY:
                    self.is_ready = True
                else:
                    say(said)
        except (EOFError, OSError):
            if self.back_at is None:
                self.child.join(_ENDED_WITHIN_S)
                why = f"a process of the fleet has ended, exit code {self.child.exitcode}"
                raise Unavailable(why, hint="the lines above say why") from None

    def suffer(self, mishap: Mishap) -> None:
        if self.back_at is not None:
            return  # nobody is there to suffer
        if mishap.kind is not Kind.KILL:
            with suppress(OSError):
                self.pipe.send(mishap)
            return
        self.child.kill()
        self.child.join(_ENDED_WITHIN_S)
        self.pipe.close()
        self.back_at = time.monotonic() + mishap.lasts_s
        count = len(self.part.patterns)
        say(f"{count} agents, {mishap.host}'s among them, are killed for {mishap.lasts_s:g} s")

    def revive(self, now: float) -> None:
        if self.back_at is not None and self.back_at <= now:
            self.back_at = None
            self._start()
            say(f"{len(self.part.patterns)} agents are started again")

    def close(self) -> None:
        self.pipe.close()

    def join(self) -> None:
        self.child.join(_ENDED_WITHIN_S)
        if self.child.is_alive():
            self.child.kill()
            self.child.join(_ENDED_WITHIN_S)


class Fleet:
    """All processes; as a context it waits for them, at first and at the end."""

    def __init__(self, parts: Sequence[Part], log_level: str, told: threading.Event) -> None:
        """*told* ends the waiting."""
        self._told = told
        self._of_host: dict[str, _Process] = {}
        self._processes: list[_Process] = []
        for part in parts:
            process = _Process(part, log_level)
            self._processes.append(process)
            self._of_host |= dict.fromkeys(part.patterns, process)

    def __enter__(self) -> Self:
        try:
            self._await_ready()
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._end()

    def suffer(self, troubles: Troubles, told: threading.Event, for_s: float | None) -> None:
        """Have *troubles* come over the hosts until *told*, or for *for_s* seconds."""
        began = time.monotonic()
        moments = troubles.moments(list(self._of_host))
        following = next(moments, None)
        while not told.is_set():
            now = time.monotonic()
            if for_s is not None and now - began >= for_s:
                return
            while following is not None and following[0] <= now - began:
                self._of_host[following[1].host].suffer(following[1])
                following = next(moments, None)
            self._listen(now)

    def _listen(self, now: float) -> None:
        pipes: list[Connection] = []
        for process in self._processes:
            process.revive(now)
            if process.back_at is None:
                pipes.append(process.pipe)
        if pipes:
            wait(pipes, _LOOK_S)
        else:
            self._told.wait(_LOOK_S)
        for process in self._processes:
            if process.back_at is None:
                process.heard()

    def _await_ready(self) -> None:
        deadline = time.monotonic() + _READY_WITHIN_S
        while not all(process.is_ready for process in self._processes):
            now = time.monotonic()
            if now > deadline:
                raise Unavailable(f"the agents did not start within {_READY_WITHIN_S:g} s")
            if self._told.is_set():
                return
            self._listen(now)

    def _end(self) -> None:
        for process in self._processes:
            process.close()
        for process in self._processes:
            process.join()
