"""What a demonstration is told on: commands as a user types them, steps, proofs, a summary."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

BIN = Path(sys.executable).parent
_WIDTH = 100
_LINES_SHOWN = 10
_AT_A_TIME = 4
_LOOK_S = 1.0
_PATIENCE_MAX = 4


class Failed(Exception):
    """A step did not do what it is there to show."""


@dataclass(slots=True)
class Proof:
    """One line of the summary."""

    claim: str
    evidence: str
    holds: bool


@dataclass(slots=True)
class Stage:
    """Prints what happens, keeps what was proved."""

    environment: dict[str, str]
    mark: str = ""
    started: float = field(default_factory=time.monotonic)
    proofs: list[Proof] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    broken: Callable[[], str] = str  # why waiting makes no sense any more; empty while it does

    def step(self, text: str) -> None:
        print(f"\n── {text}  [{self.elapsed():.0f} s]", flush=True)

    def start_over(self, why: str) -> None:
        """Forget what was proved so far, and say why."""
        self.notes.append(f"{why}; so all of it was done a second time")
        self.proofs.clear()
        print(f"\n══ {why}: once more, from the start", flush=True)

    def elapsed(self) -> float:
        return time.monotonic() - self.started

    def say(self, text: str) -> None:
        for line in text.rstrip().splitlines():
            print(f"   {line[: _WIDTH * 2]}", flush=True)

    def prove(self, claim: str, evidence: str, *, holds: bool) -> None:
        """Note a proof and print it; the demonstration goes on, the summary tells."""
        self.proofs.append(Proof(claim, evidence, holds))
        print(f"   {'✔' if holds else '✘'} {claim}: {evidence}", flush=True)

    def run(
        self,
        *words: str,
        codes: Sequence[int] = (0,),
        show: bool = True,
        lines: int = _LINES_SHOWN,
        within_s: float = 180,
    ) -> str:
        """Run a command, print it and what it says, and return its standard output.

        Raises:
            Failed: its exit code is none of *codes*, or it takes longer than *within_s*.
        """
        print(f"   $ {shlex.join(words)}", flush=True)
        done = self._ended(words, within_s)
        if show:
            self._show(done.stdout, lines)
        self._judge(done, codes)
        if show and done.returncode:
            self._show(done.stderr)
        return done.stdout

    def quietly(self, *words: str, within_s: float = 60) -> str:
        """Run a command that only looks, however it ends; return its standard output."""
        return self._ended(words, within_s).stdout

    def _ended(self, words: Sequence[str], within_s: float) -> subprocess.CompletedProcess[str]:
        """Wait for a command's end, but not once the stage is broken. Raises Failed."""
        began = time.monotonic()
        argv = [_program(words[0]), *words[1:]]
        with subprocess.Popen(
            argv, env=self.environment, text=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        ) as child:  # fmt: skip
            try:
                while True:
                    with suppress(subprocess.TimeoutExpired):
                        out, err = child.communicate(timeout=_LOOK_S)
                        return subprocess.CompletedProcess(argv, child.returncode, out, err)
                    self._go_on(shlex.join(words), began, within_s)
            except BaseException:
                child.kill()
                raise

    def _go_on(self, what: str, began: float, within_s: float) -> None:
        """Let somebody wait on: longer where the processors have other work, too."""
        if why := self.broken():
            raise Failed(f"{what}: {why}")
        load, processors = os.getloadavg()[0], os.cpu_count() or 1
        patience_s = within_s * min(max(load / processors, 1), _PATIENCE_MAX)
        if time.monotonic() - began > patience_s:
            raise Failed(
                f"not within {patience_s:.0f} s: {what} (load {load:.0f} on {processors} "
                "processors: where other work goes on, wait for its end and try again)"
            )

    def _judge(self, done: subprocess.CompletedProcess[str], codes: Sequence[int]) -> None:
        if done.returncode not in codes:
            self._show(done.stderr)
            words = [Path(done.args[0]).name, *done.args[1:]]
            raise Failed(f"{shlex.join(words)}: exit {done.returncode}, not {list(codes)}")

    def _show(self, text: str, shown: int = _LINES_SHOWN) -> None:
        lines = text.rstrip().splitlines()
        for line in lines[:shown]:
            print(f"   │ {line[: _WIDTH * 2]}")
        if len(lines) > shown:
            print(f"   │ … {len(lines) - shown} more lines")
        sys.stdout.flush()

    def openstack(self, *words: str, show: bool = True, **options: Any) -> Any:
        """Run the stock client, show its table, and return the same as data."""
        data = _data(self.run("openstack", *words, *_json_wanted(words), show=False, **options))
        if show:
            self._show(_brief(data))
        return data

    def together(self, *calls: Sequence[str], within_s: float = 180) -> list[Any]:
        """Run commands of the stock client side by side; one line of each, in their order."""
        argvs = [("openstack", *words, *_json_wanted(words)) for words in calls]
        for argv in argvs:
            print(f"   $ {shlex.join(argv)} &", flush=True)
        print("   $ wait", flush=True)
        with ThreadPoolExecutor(_AT_A_TIME) as pool:
            ended = list(pool.map(lambda argv: self._ended(argv, within_s), argvs))
        for done in ended:
            self._judge(done, (0,))
        found = [_data(done.stdout) for done in ended]
        self._show("\n".join(filter(None, map(_line, found))))
        return found

    def until(
        self, what: str, found: Callable[[], Any], within_s: float, *, pause_s: float = _LOOK_S
    ) -> Any:
        """Ask again, after a pause, until *found* gives something.

        Raises:
            Failed: not within *within_s* seconds, or some times as many on a busy machine.
        """
        began = time.monotonic()
        while not (result := found()):
            self._go_on(what, began, within_s)
            time.sleep(pause_s)
        return result

    def summary(self) -> bool:
        """Print what was proved; whether all of it holds."""
        print(f"\n══ Summary after {self.elapsed():.0f} s")
        for proof in self.proofs:
            print(f"   {'✔' if proof.holds else '✘'} {self.mark}{proof.claim}: {proof.evidence}")
        self.say("\n".join(self.notes))
        failed = sum(not proof.holds for proof in self.proofs)
        print(f"   {len(self.proofs) - failed} of {len(self.proofs)} hold", flush=True)
        return not failed


def _program(word: str) -> str:
    own = BIN / word
    return str(own) if own.exists() else word


def _json_wanted(words: Sequence[str]) -> tuple[str, ...]:
    silent = {"delete", "set", "unset"}
    return () if silent & set(words[:4]) else ("-f", "json")


_DULL = re.compile(
    r"links|created|updated|owner|tenant|project|user_id|os_hash|hints|_details$|security|schema"
    r"|admin_state|revision|propagate|propert|^(OS-|device_|ip_alloc|config_|flavor|image|file)"
)
_TELLING = ("name", "id", "status", "cidr", "mac_address", "provider:segmentation_id")


def _data(text: str) -> Any:
    return json.loads(text) if text.strip().startswith(("{", "[")) else text


def _line(data: Any) -> str:
    """One line of what was made."""
    if not isinstance(data, dict):
        return str(data)
    return "  ".join(str(data[key]) for key in _TELLING if data.get(key) is not None)


def _brief(data: Any) -> str:
    """Two-column text of what a person looks at first."""
    if isinstance(data, str):
        return data
    if isinstance(data, list):
        return "\n".join("  ".join(f"{v}" for v in row.values()) for row in data)
    lines = [
        f"{key:<26} {_text(value)}"
        for key, value in data.items()
        if value not in (None, "", [], {}) and not _DULL.search(key)
    ]
    return "\n".join(lines)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def environment(more: Mapping[str, str]) -> dict[str, str]:
    """The caller's, without a cloud of the caller's own, and with *more*."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("OS_")}
    return kept | {"PATH": f"{BIN}:{kept.get('PATH', '/usr/bin:/bin')}"} | dict(more)
