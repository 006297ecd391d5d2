"""Brings a machine to its policy: first what was left of a change, then the policy itself.

Knows nobody to speak to: what was found, done and left is returned.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from lanekeeper.domain.hostplan.action import TakeEdit, WriteFile
from lanekeeper.domain.hostplan.management import management_touched
from lanekeeper.domain.hostplan.observed import HostFacts
from lanekeeper.domain.hostplan.persistence import POLICY_FILE
from lanekeeper.domain.hostplan.policy.policy import Policy
from lanekeeper.domain.hostplan.replaced import identities, is_news
from lanekeeper.domain.hostplan.step import Plan, Step
from lanekeeper.host import journal
from lanekeeper.host.apply import Executor
from lanekeeper.host.facts import read_host
from lanekeeper.host.journal import Course, Journal
from lanekeeper.host.outcome import Outcome
from lanekeeper.host.planning import known_devices, plan_here
from lanekeeper.host.proposal import Hold, Proposal


class Source(Protocol):
    """Where the policy is from."""

    @property
    def is_named(self) -> bool:
        """Whether whoever applies named it: another one that was cut off is not gone on with."""

    @property
    def is_kept(self) -> bool:
        """Whether it is the policy that the machine keeps, named or not."""

    @property
    def is_gone(self) -> bool:
        """Whether it is the policy that the machine keeps, which is not there any more."""

    def read(self) -> Policy:
        """Return it as it is now. Raises Invalid."""


@dataclass(frozen=True, slots=True)
class Terms:
    """What is said of an apply besides the policy.

    Attributes:
        accepted: addresses whose function is another one than before, and is meant.
        leaves_refused: whether entries that are refused are left out.
        hold_s: how long the change waits for its confirmation; 0 is not at all, and None is
            *management_hold_s* where the way to the host is touched, else not at all.
    """

    accepted: Collection[str] = ()
    leaves_refused: bool = False
    hold_s: float | None = None
    management_hold_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Planned:
    """A plan, with what it was made of."""

    policy: Policy
    host: HostFacts
    plan: Plan


class Bringing:
    """One apply on the machine below *root*.

    Attributes:
        source: of the policy.
        found: the last plan.
    """

    def __init__(
        self, root: Path, program: str, source: Source, terms: Terms, executor: Executor
    ) -> None:
        self._root = root
        self._program = program
        self.source = source
        self._terms = terms
        self._executor = executor
        self.found = Plan()

    def plan(self) -> Planned:
        """Plan for the machine as it is now. Raises Invalid, HostFault."""
        policy = self.source.read()
        host = read_host(self._root, self._program)
        accepted, rest = self._terms.accepted, self._terms.leaves_refused
        self.found = plan_here(policy, host, self._changes(), accepted, rest=rest)
        return Planned(policy, host, self.found)

    def is_refused_before(self, change: Journal) -> bool:
        """Whether *change*, which was cut off, would be taken back for a policy that is refused."""
        return change.is_of_another(self.wanted()) and bool(self.plan().plan.refusals)

    def settle(self) -> Outcome | None:
        """Bring what was left to its end; None when nothing was. Raises as ``Executor.resume``."""
        return self._executor.resume(self.wanted())

    def take_back(self) -> Outcome | None:
        """Settle what can only go back; a policy that makes no sense is no reason to leave it."""
        return self._executor.resume()

    def is_end(self, left: Outcome) -> bool:
        """Whether nothing is to be applied after *left*, which has been settled.

        So where what went back, unconfirmed, is what would be applied again. That is asked of the
        policy as it is now: going back brings back the one that the host kept before, of which a
        boot has left nothing. What could not be taken back ends nothing: a plan is made from the
        machine as it is.
        """
        change = journal.load(journal.file_of(self._executor.directory, left.change))
        if not change.is_held or left.course not in (Course.TAKEN_BACK, Course.LEFT):
            return False
        return self.source.is_gone or change.head.policy == self.source.read().text

    def apply(self, watch: Callable[[int], None]) -> Outcome | None:
        """Carry the plan out; None where nothing is to do. Raises as ``Executor.apply``.

        *watch* is a guardian's, for a change that is to be confirmed.
        """

        def propose() -> Proposal:
            return self._propose(watch)

        # Where nothing is to do, nothing has to be locked, nor to be writable.
        return None if propose().is_empty else self._executor.apply(propose)

    def still_to_do(self) -> Plan:
        """Plan once more, after a change: what the machine did not keep."""
        self._propose(_nobody)
        return self.found

    def _propose(self, watch: Callable[[int], None]) -> Proposal:
        planned = self.plan()
        found, host = planned.plan, planned.host
        if self.source.is_kept and not found.refusals:
            found = replace(found, steps=(*self._edited(planned.policy), *found.steps))
        self.found = found
        known = known_devices(host, self._changes())
        without = [entry for each in found.left_out for entry in each.entries]
        devices = identities(planned.policy, host, known, without)
        has_news = not found.refusals and is_news(devices, known)
        hold = self._hold(found, host, watch)
        return Proposal(found.steps, planned.policy.text, hold, devices, has_news)

    def _edited(self, policy: Policy) -> Iterator[Step]:
        """Take an edit of the kept policy into the change, so that it goes back with it."""
        before = journal.text_left(self._executor.directory, POLICY_FILE)
        now = policy.text
        if before not in (None, now):
            undo = WriteFile(POLICY_FILE, before)
            yield Step(TakeEdit(POLICY_FILE, now), (undo,), "it was edited since the last change")

    def _hold(self, found: Plan, host: HostFacts, watch: Callable[[int], None]) -> Hold | None:
        """Hold what was asked to be, and by itself what may cut the host off."""
        seconds = self._terms.hold_s
        if seconds is None:
            is_way = bool(management_touched(found.steps, host))
            seconds = self._terms.management_hold_s if is_way else 0.0
        return Hold(seconds, watch) if seconds else None

    def wanted(self) -> str | None:
        """Return the text that whoever applies named; None for the kept policy, as it comes."""
        return self.source.read().text if self.source.is_named else None

    def _changes(self) -> list[Journal]:
        return journal.journals(self._executor.directory)


def _nobody(_number: int) -> None:
    """Watch nothing: nothing is done either."""
