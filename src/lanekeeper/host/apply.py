"""Executes a plan on a host, with a journal: whatever happens, it is finished or taken back.

A step that fails takes back all before it, in reverse. A process that dies leaves a journal that
is neither: the next apply goes on from there, forward if it was going forward, back if back.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from lanekeeper.domain.errors import Conflict, Error, Invalid, NotFound
from lanekeeper.domain.hostplan.action import Change
from lanekeeper.domain.hostplan.step import Step
from lanekeeper.host.journal import Course, Journal, StepState, begin, journals, locked


class Doer(Protocol):
    """Carries out actions, each as often as asked. ``host.actor.Actor`` is one."""

    def do(self, action: Change) -> None:
        """Raises Error."""


Progress = Callable[[str, Change], None]
"""Is told ``do`` or ``undo`` and the action, just before it happens."""


# Refusals before anything was changed: what stands there is somebody else's, and stays.
_UNTOUCHED = (Conflict, Invalid, NotFound)


def silent(_verb: str, _action: Change) -> None:
    """Tell nobody."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one change.

    Attributes:
        change: its number in the journal.
        course: ``APPLIED``, ``TAKEN_BACK``, or ``BACK`` when an undo failed as well.
        failure: why it could not be applied; empty when it was, or when going back was asked.
        left: what could not be taken back, and why.
    """

    change: int
    course: Course
    failure: str = ""
    left: tuple[str, ...] = ()


def apply(
    steps: Sequence[Step], doer: Doer, directory: Path, progress: Progress = silent
) -> Outcome | None:
    """Execute *steps*; None when there are none.

    Whoever may find an unfinished change calls ``resume`` first and plans anew.

    Raises:
        Conflict: another change is at work.
        HostFault: the journal cannot be written; nothing was done, or ``resume`` goes on.
    """
    if not steps:
        return None
    with locked(directory):
        return _forward(begin(directory, steps), doer, progress)


def resume(doer: Doer, directory: Path, progress: Progress = silent) -> Outcome | None:
    """Finish what a process that died has left; None when nothing was left. Raises as above."""
    if not directory.is_dir():
        return None
    with locked(directory):
        unfinished = [journal for journal in journals(directory) if not journal.is_finished]
        if not unfinished:
            return None
        journal = unfinished[-1]
        if journal.course is Course.BACK:
            return _back(journal, doer, progress)
        return _forward(journal, doer, progress)


def rollback(doer: Doer, directory: Path, progress: Progress = silent) -> Outcome | None:
    """Take back the last change that stands, finished or not; None when none does."""
    if not directory.is_dir():
        return None
    with locked(directory):
        standing = [j for j in journals(directory) if j.course is not Course.TAKEN_BACK]
        return _back(standing[-1], doer, progress) if standing else None


def _forward(journal: Journal, doer: Doer, progress: Progress) -> Outcome:
    for number, step in enumerate(journal.steps):
        if journal.states[number] is StepState.DONE:
            continue
        journal.mark_step(number, StepState.DOING)
        progress("do", step.do)
        try:
            doer.do(step.do)
        except Error as error:
            if isinstance(error, _UNTOUCHED):
                journal.mark_step(number, StepState.WAITING)
            return _back(journal, doer, progress, f"{step.do}: {error}")
        journal.mark_step(number, StepState.DONE)
    journal.mark_course(Course.APPLIED)
    return Outcome(journal.id, Course.APPLIED)


def _back(journal: Journal, doer: Doer, progress: Progress, failure: str = "") -> Outcome:
    """Take back what was begun, last first. One undo that fails does not stop the others."""
    if journal.course is not Course.BACK:
        journal.mark_course(Course.BACK)
    left = []
    for number in reversed(range(len(journal.steps))):
        if journal.states[number] not in (StepState.DOING, StepState.DONE):
            continue
        try:
            for action in journal.undo_of(number):
                progress("undo", action)
                doer.do(action)
        except Error as error:
            left.append(f"{journal.steps[number].do}: {error}")
        else:
            journal.mark_step(number, StepState.UNDONE)
    if left:
        return Outcome(journal.id, Course.BACK, failure, tuple(left))
    journal.mark_course(Course.TAKEN_BACK)
    return Outcome(journal.id, Course.TAKEN_BACK, failure)
