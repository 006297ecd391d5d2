"""Executes a plan on a host, with a journal: whatever happens, it is finished or taken back.

The plan is made under the lock, so that it is about the machine as it is then.
A step that fails takes back all before it, in reverse. A process that dies leaves a journal that
is neither: the next apply goes on from there, forward if it was going forward, back if back. A
change that is held until somebody confirms it (``host.hold``) only ever goes back by itself.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from lanekeeper import __version__
from lanekeeper.domain.errors import Conflict, Error, HostFault, Invalid, NotFound
from lanekeeper.domain.hostplan.action import SetVfCount
from lanekeeper.host.deadline import Now, deadline, moment
from lanekeeper.host.edit import Edits
from lanekeeper.host.journal import (
    Course,
    Head,
    Journal,
    StepState,
    begin,
    journals,
    one_policy,
    thin,
)
from lanekeeper.host.lock import PATIENCE_S, locked
from lanekeeper.host.occupancy import Guard, Unguarded, require_none_cut_off
from lanekeeper.host.outcome import Outcome
from lanekeeper.host.proposal import Proposal
from lanekeeper.host.stage import Progress, Stage, Verb, silent
from lanekeeper.host.take_back import REASON_MAX, UNWRITTEN, Doer, TakingBack

Stop = Callable[[], str]
"""Returns why to stop before the next step; empty to go on."""

# Refusals before anything was changed: what stands there is somebody else's, and stays.
_UNTOUCHED = (Conflict, Invalid, NotFound)


def never() -> str:
    """Let every step be done."""
    return ""


@dataclass(frozen=True, slots=True)
class Executor:
    """Does and undoes changes, one at a time.

    Attributes:
        directory: of the journals.
        stop: is asked before each step on the way forward; going back is not stopped.
        guard: is asked before each action, also on the way back.
        runs: whether it is a machine that runs; an image keeps all that it is given.
        patience_s: how long to wait for whoever is at work.
    """

    doer: Doer
    directory: Path
    progress: Progress = silent
    stop: Stop = never
    now: Now = moment
    guard: Guard = field(default_factory=Unguarded)
    runs: bool = True
    patience_s: float = PATIENCE_S

    def apply(self, propose: Callable[[], Proposal]) -> Outcome | None:
        """Execute what *propose* returns; None when that is nothing.

        It is asked under the lock, so that nobody else's change comes between what it reads and
        the first step; and once more when a guardian had to be waited for. Whoever may find an
        unfinished change calls ``resume`` first.

        Raises:
            Conflict: another change is at work, waits for its confirmation or is not finished; or
                the machine became another one while the guardian was started.
            HostFault: the journal cannot be written; nothing was done, or ``resume`` goes on.
            Error: as *propose*; nothing was done.
        """
        with locked(self.directory, self.patience_s):
            self._require_none_waits()
            self._require_all_finished()
            proposal = propose()
            if proposal.is_empty:
                return None
            now = self.now()
            thin(self.directory, now.boot)
            hold, devices = proposal.hold, proposal.devices
            head = Head(
                tuple(proposal.steps),
                began=now.wall,
                boot=now.boot,
                version=__version__,
                policy=proposal.policy,
                hold_s=None if hold is None else hold.seconds,
                devices=None if devices is None else {at: one.ids for at, one in devices.items()},
                serials={at: one.serial for at, one in (devices or {}).items() if one.serial},
            )
            journal = begin(self.directory, head)
            if hold is not None:
                try:
                    hold.watch(journal.id)
                    _require_same(journal, propose())
                except Error as error:
                    journal.mark_course(Course.BACK, str(error))
                    journal.mark_course(Course.TAKEN_BACK)
                    raise
            return self._forward(journal)

    def resume(self, policy: str | None = None) -> Outcome | None:
        """Finish what a process that died has left; None when nothing was left.

        What was to be confirmed, and was not, goes back; so does a change that applied another
        policy than *policy*, where one is wanted. What of it cannot be taken back keeps no other
        change from being made: it is noted as half taken back, for ``rollback`` to try again.

        Raises:
            Conflict: another change is at work, or still waits for its confirmation.
            HostFault: as ``apply``.
        """
        if not self.directory.is_dir():
            return None
        with locked(self.directory, self.patience_s):
            self._require_none_waits()
            unfinished = [journal for journal in self._journals() if not journal.is_finished]
            if not unfinished:
                return None
            change = unfinished[-1]
            if change.is_of_another(policy):
                why = "it was cut off, and another policy is wanted now"
                outcome = self._back(change, why)
            else:
                outcome = self.settle(change)
            if outcome.course is not Course.BACK:
                return outcome
            change.mark_course(Course.LEFT, "; ".join(outcome.left)[:REASON_MAX])
            return replace(outcome, course=Course.LEFT)

    def settle(self, journal: Journal, reason: str = "") -> Outcome:
        """Bring an unfinished change to its end, held ones back; the caller holds the lock.

        Raises:
            HostFault: the journal cannot be written.
        """
        if journal.course is Course.BACK:
            return self._back(journal)
        if journal.course is Course.UNCONFIRMED:
            return self._back(journal, reason or "nobody confirmed it in time")
        if journal.is_held:
            return self._back(journal, reason or "it was cut off before it could be confirmed")
        return self._forward(journal)

    def rollback(self, *, gives_up: bool = False) -> list[Outcome]:
        """Take back the last change that stands, finished or not.

        Those before it that applied the same policy go with it (``one_policy``), last first. Ends
        at the first that cannot be taken back wholly, unless it *gives up* what of it cannot.

        Raises:
            Conflict: it would cut off a guest, or another change is at work; nothing was changed.
            HostFault: as ``apply``.
        """
        if not self.directory.is_dir():
            return []
        with locked(self.directory, self.patience_s):
            return self._all_back(one_policy(self._standing()), gives_up=gives_up)

    def rollback_to(self, number: int, *, gives_up: bool = False) -> list[Outcome]:
        """Take back every change after *number*, last first; 0 is the host before the first.

        Ends as ``rollback``.

        Raises:
            NotFound: no change has that number.
            Conflict: it does not stand any more, another change is at work, or a guest would be
                cut off; nothing was changed.
            HostFault: as ``apply``.
        """
        if number and not self.directory.is_dir():
            raise NotFound(f"there is no change {number}: nothing was ever applied here")
        if not self.directory.is_dir():
            return []
        with locked(self.directory, self.patience_s):
            self._require_stands(number)
            after = [each for each in self._standing() if each.id > number]
            return self._all_back(after, gives_up=gives_up)

    def _all_back(self, changes: Sequence[Journal], *, gives_up: bool) -> list[Outcome]:
        wanted, outcomes = list(reversed(changes)), list[Outcome]()
        require_none_cut_off(self.guard, wanted)
        for journal in wanted:
            outcomes.append(self._back(journal, gives_up=gives_up))
            if outcomes[-1].is_open:
                break
        return outcomes

    def _journals(self) -> list[Journal]:
        return journals(self.directory)

    def _standing(self) -> list[Journal]:
        return [each for each in self._journals() if each.course is not Course.TAKEN_BACK]

    def _require_none_waits(self) -> None:
        for journal in self._journals():
            if journal.deadline is not None and journal.deadline.left_s(self.now()):
                until = f"{journal.deadline.wall:%H:%M:%S} UTC"
                raise Conflict(
                    f"change {journal.id} waits for its confirmation until {until}",
                    hint=f"`lanekeeper host confirm {journal.id}` keeps it, "
                    "`lanekeeper host rollback` takes it back now",
                )

    def _require_all_finished(self) -> None:
        for journal in self._journals():
            if not journal.is_finished:
                raise Conflict(
                    f"change {journal.id} is not finished but {journal.course}",
                    hint="`lanekeeper host apply` once more finishes it or takes it back first",
                )

    def _require_stands(self, number: int) -> None:
        courses = {each.id: each.course for each in self._journals()}
        if number == 0 or courses.get(number) is Course.APPLIED:
            return
        standing = [str(each) for each, course in courses.items() if course is Course.APPLIED]
        hint = f"these stand: {', '.join(standing) or 'none'}; 0 is the host before the first"
        if number not in courses:
            raise NotFound(f"there is no change {number}", hint=hint)
        raise Conflict(f"change {number} is not applied but {courses[number]}", hint=hint)

    def _forward(self, journal: Journal) -> Outcome:
        try:
            return self._all_steps(journal)
        except HostFault as error:  # of the journal itself: those of steps have ended there
            if not journal.is_held:
                raise HostFault(str(error), hint=UNWRITTEN) from error
            return self._back(journal, str(error))

    def _all_steps(self, journal: Journal) -> Outcome:
        count = len(journal.steps)
        edits = self._edits(journal)
        for at, step in enumerate(journal.steps):
            if journal.states[at] is StepState.DONE:
                continue
            if reason := self.stop():
                told = f"{reason} came before step {at + 1} of {count}"
                return self._back(journal, told, edits)
            journal.mark_step(at, StepState.DOING)
            self.progress(Stage(Verb.DO, step.do, at + 1, count))
            try:
                self.guard.require_free(step.do, _made_before(journal, at))
                edits.before_doing(step.do)
                self.doer.do(step.do)
            except Error as error:
                if isinstance(error, _UNTOUCHED):
                    journal.mark_step(at, StepState.WAITING)
                return self._back(journal, f"{step.do}: {error}", edits)
            journal.mark_step(at, StepState.DONE)
        if journal.head.hold_s is None:
            journal.mark_course(Course.APPLIED)
            return Outcome(journal.id, Course.APPLIED, kept=tuple(edits.kept))
        until = deadline(self.now(), journal.head.hold_s)
        journal.mark_course(Course.UNCONFIRMED, deadline=until)
        kept = tuple(edits.kept)
        return Outcome(journal.id, Course.UNCONFIRMED, kept=kept, confirm_by=until.wall)

    def _edits(self, journal: Journal) -> Edits:
        return Edits(self.doer.keep_edit, self.directory, journal)

    def _back(
        self,
        journal: Journal,
        failure: str = "",
        edits: Edits | None = None,
        *,
        gives_up: bool = False,
    ) -> Outcome:
        taking = TakingBack(self.doer, self.guard, self.progress, gives_up)
        outcome = taking.take_back(journal, failure, edits or self._edits(journal))
        return replace(outcome, is_past=self.runs and not self._is_of_this_boot(journal))

    def _is_of_this_boot(self, journal: Journal) -> bool:
        try:
            return journal.head.boot == self.now().boot
        except HostFault:  # whatever cannot be asked, going back has not to fail for it
            return False


def _require_same(journal: Journal, proposal: Proposal) -> None:
    """Refuse to begin a change that is not what would be planned now. Raises Conflict."""
    if tuple(proposal.steps) != journal.steps:
        raise Conflict(
            "the machine or the policy became another one while the change was being prepared",
            hint="`lanekeeper host plan` says what is to do now",
        )


def _made_before(journal: Journal, at: int) -> bool:
    """Return whether a step before *at* made the VFs that step *at* is about."""
    pf = getattr(journal.steps[at].do, "pf", None)
    made = (step.do for step in journal.steps[:at] if isinstance(step.do, SetVfCount))
    return any(action.pf == pf and action.count for action in made)
