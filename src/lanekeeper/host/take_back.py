"""Takes one change back: every undo that can be done, and a word on each that cannot."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from lanekeeper.domain.errors import Error, HostFault
from lanekeeper.domain.hostplan.action import Change
from lanekeeper.host.edit import Edits
from lanekeeper.host.journal import Course, Journal, StepState
from lanekeeper.host.occupancy import Guard
from lanekeeper.host.outcome import Outcome
from lanekeeper.host.stage import Progress, Stage, Verb

REASON_MAX = 1000
"""Characters: the room that a journal has for its courses is bounded."""

UNWRITTEN = "make room or the disk writable; `host apply` then goes on, `host rollback` goes back"


class Doer(Protocol):
    """Carries out actions, each as often as asked. ``host.actor.Actor`` is one."""

    def do(self, action: Change) -> None:
        """Raises Error."""

    def undo(self, action: Change) -> None:
        """Do *action*, by which something is taken back; nothing, where that is gone already.

        Raises:
            Error: it cannot be done.
        """

    def keep_edit(self, path: str, known: Collection[str]) -> str | None:
        """Copy the file beside itself, unless it is one of the *known* texts; return the copy.

        Raises:
            HostFault: it cannot be made.
        """


@dataclass(frozen=True, slots=True)
class TakingBack:
    """Goes back over one change at a time.

    Attributes:
        gives_up: whether what cannot be taken back is left as it is, and the change is over.
    """

    doer: Doer
    guard: Guard
    progress: Progress
    gives_up: bool = False

    def take_back(self, journal: Journal, failure: str, edits: Edits) -> Outcome:
        """Take back what was begun, last first. One undo that fails does not stop the others.

        These are tried, but not noted: they may lean on the one that failed, so the next attempt
        takes them once more.

        A change that is held goes back even when nothing can be noted: whoever finds it later
        takes it back once more, which does no harm.
        """
        left: list[str] = []  # of steps
        unnoted: list[str] = []
        if journal.course is not Course.BACK:
            _note(journal, unnoted, partial(journal.mark_course, Course.BACK, failure))
        for at in journal.begun():
            state = StepState.UNDONE
            try:
                self._undo(journal, at, edits)
            except Error as error:
                left.append(_told(journal, at, error))
                state = StepState.LEFT
            if self.gives_up or not (left or unnoted):
                _note(journal, unnoted, partial(journal.mark_step, at, state))
        is_over = not unnoted and (self.gives_up or not left)
        if is_over:
            given_up = "; ".join(left)[:REASON_MAX]
            _note(journal, unnoted, partial(journal.mark_course, Course.TAKEN_BACK, given_up))
        course = Course.TAKEN_BACK if is_over and not unnoted else Course.BACK
        told = tuple(dict.fromkeys((*unnoted, *left)))
        return Outcome(journal.id, course, failure, told, tuple(edits.kept))

    def _undo(self, journal: Journal, at: int, edits: Edits) -> None:
        for action in journal.undo_of(at):
            self.progress(Stage(Verb.UNDO, action, at + 1, len(journal.steps)))
            if not self.guard.is_passed_on(journal.steps[at].do, action):
                self.guard.require_free(action, made_here=True)
                edits.before_undoing(action)
                self.doer.undo(action)


def _told(journal: Journal, at: int, error: Error) -> str:
    """Say which step stays, why, and what would help."""
    hint = f" ({error.hint})" if error.hint else ""
    return f"step {at + 1} of {len(journal.steps)}, {journal.steps[at].do}: {error}{hint}"


def _note(journal: Journal, left: list[str], note: Callable[[], None]) -> None:
    try:
        note()
    except HostFault as error:
        if not journal.is_held:
            raise HostFault(str(error), hint=UNWRITTEN) from error
        left.append(str(error))
