"""Carry out steps, and take them back, as ``host apply`` and ``host rollback`` do."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from lanekeeper.domain.hostplan.step import Step
from lanekeeper.host.apply import Executor
from lanekeeper.host.outcome import Outcome
from lanekeeper.host.proposal import Proposal
from lanekeeper.host.stage import Progress, silent
from lanekeeper.host.take_back import Doer


def apply(
    steps: Sequence[Step], doer: Doer, changes: Path, progress: Progress = silent
) -> Outcome | None:
    return Executor(doer, changes, progress).apply(lambda: Proposal(steps))


def resume(doer: Doer, changes: Path) -> Outcome | None:
    return Executor(doer, changes).resume()


def rollback(doer: Doer, changes: Path) -> Outcome | None:
    outcomes = Executor(doer, changes).rollback()
    return outcomes[-1] if outcomes else None
