"""Runs the test rings in order and says what passed, failed and was skipped, and why.

Usage: rings.py [--long] [unit|service|client|lab]… [-- ARGS of pytest]

Each ring is one pytest process. The counts are read from the report that pytest writes, and the
last line is their total, ``N passed, N failed, N skipped``. Exit code 0 when nothing failed.

Tests that failed because their lab's emulator ended itself (a race in QEMU, docs/reference/lab.md)
are run once more, on a fresh lab, and their second result counts. No other failure is tried again.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from argparse import ArgumentParser
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from xml.etree import ElementTree

MARKS = ("service", "client", "lab")
# A ring that takes this many times its budget hangs; it is stopped and counts as failed.
PATIENCE = 4
STOPPED = -1
# Names the file in which pytest notes such tests, one node id in a line; see tests/lab_host.py.
AGAIN = "LANEKEEPER_LAB_AGAIN"


@dataclass(frozen=True, slots=True)
class Ring:
    """One ring: its name, what it means, its budget on two cores, and pytest's ``-m``."""

    name: str
    meaning: str
    budget_min: int
    marks: str


RINGS = (
    Ring("unit", "units and properties", 3, " and ".join(f"not {mark}" for mark in MARKS)),
    Ring("service", "services on SQLite and PostgreSQL", 8, "service"),
    Ring("client", "stock clients against a running server", 6, "client"),
    Ring("lab", "an emulated SR-IOV host", 10, "lab"),
)


@dataclass(slots=True)
class Outcome:
    """What one ring, or all of them, came to."""

    passed: int = 0
    failed: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)
    again: int = 0

    def __str__(self) -> str:
        return f"{self.passed} passed, {self.failed} failed, {self.reasons.total()} skipped"

    def add(self, other: Outcome) -> None:
        self.passed += other.passed
        self.failed += other.failed
        self.reasons += other.reasons
        self.failures += other.failures
        self.again += other.again

    def drop(self, node_ids: Sequence[str]) -> None:
        """Forget how these tests failed; they have another result."""
        names = {case_name(node_id) for node_id in node_ids}
        kept = [failure for failure in self.failures if failure not in names]
        self.failed -= len(self.failures) - len(kept)
        self.failures = kept
        self.again += len(names)


def main(arguments: Sequence[str]) -> int:
    parser = ArgumentParser(prog="./dev test", description="Runs the test rings.")
    parser.add_argument("--long", action="store_true", help="the longer campaigns too")
    parser.add_argument("rings", nargs="*", metavar="RING", help="unit, service, client, lab")
    own, _, passed_on = _split(arguments)
    options = parser.parse_args(own)
    names = [ring.name for ring in RINGS]
    if unknown := set(options.rings) - set(names):
        parser.error(f"no ring {', '.join(sorted(unknown))}; there are {', '.join(names)}")
    chosen = [ring for ring in RINGS if not options.rings or ring.name in options.rings]
    total = Outcome()
    lines = []
    for ring in chosen:
        print(f"== {ring.name}: {ring.meaning}", flush=True)
        begun = time.monotonic()
        outcome = run_ring(ring, long=options.long, passed_on=passed_on)
        lines.append(ring_line(ring, outcome, time.monotonic() - begun, long=options.long))
        total.add(outcome)
    print("\n".join(["", *lines, *closing_lines(total, long=options.long)]), flush=True)
    return 1 if total.failed else 0


def _split(arguments: Sequence[str]) -> tuple[list[str], str, list[str]]:
    before = list(arguments)
    if "--" not in before:
        return before, "", []
    cut = before.index("--")
    return before[:cut], "--", before[cut + 1 :]


def run_ring(ring: Ring, *, long: bool, passed_on: Sequence[str] = ()) -> Outcome:
    """Run one ring; what the emulator took with it, once more."""
    outcome, again = run_once(ring, long=long, passed_on=passed_on)
    if not again:
        return outcome
    print(f"== {ring.name}: the emulator ended itself (a known race in QEMU's TCG):", flush=True)
    print(f"== {ring.name}: {len(again)} tests are run once more, on a fresh lab", flush=True)
    options = [word for word in passed_on if not Path(word.partition("::")[0]).exists()]
    second, _ = run_once(ring, long=long, passed_on=[*options, *again])
    outcome.drop(again)
    outcome.add(second)
    return outcome


def run_once(ring: Ring, *, long: bool, passed_on: Sequence[str] = ()) -> tuple[Outcome, list[str]]:
    """Run pytest; one that dies or never ends is a failure, not a silence.

    Gives also the tests (node ids) that failed because the emulator ended itself.
    """
    marks = f"({ring.marks})" + ("" if long else " and not long")
    with tempfile.TemporaryDirectory() as directory:
        report, again = Path(directory, "report.xml"), Path(directory, "again")
        command = [sys.executable, "-m", "pytest", "-m", marks, f"--junitxml={report}", *passed_on]
        process = subprocess.Popen(command, env={**os.environ, AGAIN: str(again)})
        code = _wait(process, None if long else ring.budget_min * 60 * PATIENCE)
        outcome = read_report(report) if report.exists() else Outcome()
        node_ids = again.read_text().splitlines() if again.exists() else []
    # 5 says that the ring is empty; a failure that the report has is not counted twice.
    if code == STOPPED or (code not in (0, 5) and not outcome.failed):
        outcome.failed += 1
        why = "was stopped" if code == STOPPED else f"ended with {code}"
        outcome.failures.append(f"{ring.name}: pytest {why}")
    return outcome, node_ids


def case_name(node_id: str) -> str:
    """Name a test as the report does: ``tests/test_a.py::test_b`` is ``tests.test_a::test_b``."""
    path, _, rest = node_id.partition("::")
    inner, bracket, parameters = rest.partition("[")
    *classes, name = inner.split("::")
    module = path.removesuffix(".py").replace("/", ".")
    return ".".join([module, *classes]) + "::" + name + bracket + parameters


def _wait(process: subprocess.Popen[bytes], patience_s: float | None) -> int:
    """Wait for pytest; interrupt it, so that it still cleans up, when it takes too long."""
    try:
        return process.wait(patience_s)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGINT)
    except KeyboardInterrupt:
        pass  # the terminal has told pytest too
    try:
        process.wait(60)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    return STOPPED


def read_report(report: Path) -> Outcome:
    """Count the test cases of a JUnit report."""
    outcome = Outcome()
    for case in ElementTree.parse(report).iter("testcase"):
        skipped = case.find("skipped")
        if case.find("failure") is not None or case.find("error") is not None:
            outcome.failed += 1
            outcome.failures.append(f"{case.get('classname')}::{case.get('name')}")
        elif skipped is not None:
            outcome.reasons[skipped.get("message") or "no reason given"] += 1
        else:
            outcome.passed += 1
    return outcome


def ring_line(ring: Ring, outcome: Outcome, took_s: float, *, long: bool) -> str:
    over = "" if long or took_s <= ring.budget_min * 60 else f", over its {ring.budget_min} min"
    over += f", {outcome.again} run again: the emulator ended itself" if outcome.again else ""
    none = outcome.passed + outcome.failed + outcome.reasons.total() == 0
    return f"{ring.name:8} {took_s:6.1f} s{over}  {'no tests' if none else outcome}"


def closing_lines(total: Outcome, *, long: bool) -> list[str]:
    lines = [f"skipped  {count} x {reason}" for reason, count in sorted(total.reasons.items())]
    if not long:
        lines.append("not run  the longer campaigns; ./dev test --long runs them")
    lines.append("not run  other releases; ./dev fresh trixie (Debian 13), noble (Ubuntu 24.04)")
    lines += [f"FAILED   {name}" for name in total.failures]
    return [*lines, str(total)]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
