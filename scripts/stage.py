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
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

BIN = Path(sys.executable).parent
_WIDTH = 100
_LINES_SHOWN = 24


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

    def step(self, text: str) -> None:
        print(f"\n── {text}  [{self.elapsed():.0f} s]", flush=True)

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
        within_s: float = 180,
        stdin: str | None = None,
    ) -> str:
        """Run a command, print it and what it says, and return its standard output.

        Raises:
            Failed: its exit code is none of *codes*, or it takes longer than *within_s*.
        """
        print(f"   $ {shlex.join(words)}", flush=True)
        try:
            done = subprocess.run(
                [_program(words[0]), *words[1:]],
                env=self.environment,
                input=stdin,
                stdin=subprocess.DEVNULL if stdin is None else None,
                capture_output=True,
                text=True,
                timeout=within_s,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise Failed(f"{shlex.join(words)}: no end within {within_s:.0f} s") from error
        if show:
            self._show(done.stdout)
        if done.returncode not in codes:
            self._show(done.stderr)
            raise Failed(f"{shlex.join(words)}: exit {done.returncode}, not {list(codes)}")
        if show and done.returncode:
            self._show(done.stderr)
        return done.stdout

    def _show(self, text: str) -> None:
        lines = text.rstrip().splitlines()
        for line in lines[:_LINES_SHOWN]:
            print(f"   │ {line[: _WIDTH * 2]}")
        if len(lines) > _LINES_SHOWN:
            print(f"   │ … {len(lines) - _LINES_SHOWN} more lines")
        sys.stdout.flush()

    def openstack(self, *words: str, **options: Any) -> Any:
        """Run the stock client, show its table, and return the same as data."""
        listing = self.run("openstack", *words, *_json_wanted(words), show=False, **options)
        data = json.loads(listing) if listing.strip().startswith(("{", "[")) else listing
        self._show(_brief(data))
        return data

    def until(self, what: str, found: Callable[[], Any], within_s: float) -> Any:
        """Ask again until *found* gives something.

        Raises:
            Failed: not within *within_s* seconds.
        """
        deadline = time.monotonic() + within_s
        while not (result := found()):
            if time.monotonic() > deadline:
                raise Failed(f"not within {within_s:.0f} s: {what}")
            time.sleep(0.5)
        return result

    def summary(self) -> bool:
        """Print what was proved; whether all of it holds."""
        print(f"\n══ Summary after {self.elapsed():.0f} s")
        for proof in self.proofs:
            print(f"   {'✔' if proof.holds else '✘'} {self.mark}{proof.claim}: {proof.evidence}")
        failed = sum(not proof.holds for proof in self.proofs)
        print(f"   {len(self.proofs) - failed} of {len(self.proofs)} hold", flush=True)
        return not failed


def _program(word: str) -> str:
    own = BIN / word
    return str(own) if own.exists() else word


def _json_wanted(words: Sequence[str]) -> tuple[str, ...]:
    silent = {"delete", "set", "unset"}
    return () if silent & set(words[:4]) else ("-f", "json")


_DULL = re.compile(r"links|created|updated|owner_specified|tenant|project|user_id|os_hash|hints")


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
