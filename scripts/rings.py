"""Runs the test rings in order and says what passed, failed and was skipped, and why.

Usage: rings.py [--long] [unit|service|client|lab]… [-- ARGS of pytest]

Rings run one after the other. Most give each processor a pytest worker (pytest-xdist), which takes
whole files, so that what a file's tests share is made once; a ring to which arguments are passed is
one process, which can print, stop and be debugged. The counts are read from the report that pytest
writes. At the end stands a table of what each ring took, and a warning where that was more than its
budget; the last line is the total, ``N passed, N failed, N skipped``. Exit code 0 when nothing
failed, however long it took.

Tests that failed while their lab fell, though nobody ended it (docs/reference/lab.md), are run
once more, on a fresh lab, and their second result counts. No other failure is tried again.
"""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
from argparse import ArgumentParser
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from xml.etree import ElementTree

MARKS = ("service", "client", "lab")
# More workers than this wait for each other's disk, whatever number of processors there is.
MANY_WORKERS = 8
# A ring that takes this many times its budget hangs; it is stopped and counts as failed.
PATIENCE = 4
STOPPED = -1
# Names the file in which pytest notes such tests, one node id in a line; see tests/lab_host.py.
AGAIN = "LANEKEEPER_LAB_AGAIN"
# Has what tries many things try more of them; see tests/campaign.py.
LONG = "LANEKEEPER_LONG"


@dataclass(frozen=True, slots=True)
class Ring:
    """One ring: its name, what it means, its budget on two cores, and pytest's ``-m``.

    Attributes:
        divides: whether workers may share it; those of the lab would boot a lab each.
    """

    name: str
    meaning: str
    budget_min: int
    marks: str
    divides: bool = True


RINGS = (
    Ring("unit", "units and properties", 3, " and ".join(f"not {mark}" for mark in MARKS)),
    Ring("service", "services on SQLite and PostgreSQL", 8, "service"),
    Ring("client", "stock clients against a running server", 6, "client"),
    Ring("lab", "an emulated SR-IOV host", 10, "lab", divides=False),
)


@dataclass(slots=True)
class Outcome:
    """What one ring, or all of them, came to.

    Attributes:
        reasons: why tests were skipped, and how many for each reason.
        again: tests that were run once more.
        wall_s: time on the clock.
        cpu_s: processor time of the programs that pytest waited for. The lab's emulator is none.
    """

    passed: int = 0
    failed: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)
    again: int = 0
    wall_s: float = 0
    cpu_s: float = 0

    def __str__(self) -> str:
        return f"{self.passed} passed, {self.failed} failed, {self.reasons.total()} skipped"

    def add(self, other: Outcome) -> None:
        self.passed += other.passed
        self.failed += other.failed
        self.reasons += other.reasons
        self.failures += other.failures
        self.again += other.again
        self.wall_s += other.wall_s
        self.cpu_s += other.cpu_s

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
    outcomes: dict[Ring, Outcome] = {}
    for ring in chosen:
        print(f"== {ring.name}: {ring.meaning}", flush=True)
        outcomes[ring] = run_ring(ring, long=options.long, passed_on=passed_on)
    print("\n".join(["", *closing_lines(outcomes, long=options.long)]), flush=True)
    return 1 if any(outcome.failed for outcome in outcomes.values()) else 0


def _split(arguments: Sequence[str]) -> tuple[list[str], str, list[str]]:
    before = list(arguments)
    if "--" not in before:
        return before, "", []
    cut = before.index("--")
    return before[:cut], "--", before[cut + 1 :]


def run_ring(ring: Ring, *, long: bool, passed_on: Sequence[str] = ()) -> Outcome:
    """Run one ring; what a lab took with it when it fell, once more."""
    outcome, again = run_once(ring, long=long, passed_on=passed_on)
    if not again:
        return outcome
    print(f"== {ring.name}: a lab fell (docs/decisions/0117-labs-that-fall.md):", flush=True)
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
        command = [sys.executable, "-m", "pytest", "-m", marks, f"--junitxml={report}"]
        command += passed_on or workers(ring, len(os.sched_getaffinity(0)))
        begun_s, used_s = time.monotonic(), _cpu_s()
        environment = {**os.environ, AGAIN: str(again), **({LONG: "1"} if long else {})}
        process = subprocess.Popen(command, env=environment)
        code = _wait(process, None if long else ring.budget_min * 60 * PATIENCE)
        outcome = read_report(report) if report.exists() else Outcome()
        outcome.wall_s, outcome.cpu_s = time.monotonic() - begun_s, _cpu_s() - used_s
        node_ids = again.read_text().splitlines() if again.exists() else []
    # 5 says that the ring is empty; a failure that the report has is not counted twice.
    if code == STOPPED or (code not in (0, 5) and not outcome.failed):
        outcome.failed += 1
        why = "was stopped" if code == STOPPED else f"ended with {code}"
        outcome.failures.append(f"{ring.name}: pytest {why}")
    return outcome, node_ids


def workers(ring: Ring, processors: int) -> list[str]:
    """Return what has pytest divide a ring among so many processors."""
    number = min(processors, MANY_WORKERS)
    return ["-n", str(number), "--dist", "loadfile"] if ring.divides and number > 1 else []


def _cpu_s() -> float:
    """Processor time of all programs that were started here and have ended."""
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    return ended.ru_utime + ended.ru_stime


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


def closing_lines(outcomes: Mapping[Ring, Outcome], *, long: bool) -> list[str]:
    """What stands at the end: the table, what it does not show, the failures, the total."""
    total = Outcome()
    for outcome in outcomes.values():
        total.add(outcome)
    lines = [*_table({ring.name: one for ring, one in outcomes.items()} | {"all": total}), ""]
    for ring, outcome in outcomes.items():
        lines += _remarks(ring, outcome, long=long)
    if not long:
        lines.append("not run  the longer campaigns; ./dev test --long runs them")
    lines.append("not run  other releases; ./dev fresh trixie (Debian 13), noble (Ubuntu 24.04)")
    lines += [f"FAILED   {name}" for name in total.failures]
    return [*lines, str(total)]


def _table(outcomes: Mapping[str, Outcome]) -> list[str]:
    rows = [
        f"{name:8} {one.wall_s:8.1f} {one.cpu_s:8.1f} {one.passed:8} {one.failed:7}"
        f" {one.reasons.total():8}"
        for name, one in outcomes.items()
    ]
    return [
        f"{'ring':8} {'wall, s':>8} {'CPU, s':>8} {'passed':>8} {'failed':>7} {'skipped':>8}",
        *rows,
    ]


def _remarks(ring: Ring, outcome: Outcome, *, long: bool) -> list[str]:
    lines = []
    if not long and outcome.wall_s > ring.budget_min * 60:
        took = f"{outcome.wall_s / 60:.1f} min, its budget on two cores is {ring.budget_min}"
        lines.append(f"WARNING  {ring.name} took {took}")
    if not outcome.passed + outcome.failed + outcome.reasons.total():
        lines.append(f"WARNING  {ring.name} has no tests")
    if outcome.again:
        lines.append(f"again    {ring.name}: {outcome.again} run again: their lab fell")
    reasons = sorted(outcome.reasons.items())
    return [*lines, *(f"skipped  {ring.name}: {count} x {reason}" for reason, count in reasons)]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
