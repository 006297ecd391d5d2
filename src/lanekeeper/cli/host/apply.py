"""``lanekeeper host apply``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from lanekeeper.cli import exit_code
from lanekeeper.cli.host import view
from lanekeeper.cli.host.arguments import CONFIRM_WITHIN_S
from lanekeeper.cli.host.called import program
from lanekeeper.cli.host.changing import (
    changes_of,
    executor_of,
    guardian_of,
    unfinished_of,
)
from lanekeeper.cli.host.image import apply_image
from lanekeeper.cli.host.output import show
from lanekeeper.cli.host.plan import show_plan
from lanekeeper.cli.host.planning import known_devices, plan_here
from lanekeeper.cli.host.policy import Source
from lanekeeper.cli.host.progress import progress
from lanekeeper.cli.host.target import Target, require_changeable, target_of
from lanekeeper.cli.host.unfinished import unfinished_text
from lanekeeper.domain.hostplan.action import TakeEdit, WriteFile
from lanekeeper.domain.hostplan.management import management_touched
from lanekeeper.domain.hostplan.observed import HostFacts
from lanekeeper.domain.hostplan.persistence import POLICY_FILE
from lanekeeper.domain.hostplan.policy.policy import Policy
from lanekeeper.domain.hostplan.replaced import identities, is_news
from lanekeeper.domain.hostplan.step import Plan, Step
from lanekeeper.host import journal
from lanekeeper.host.facts import read_host
from lanekeeper.host.interruption import Interruption, interruption
from lanekeeper.host.outcome import Outcome
from lanekeeper.host.proposal import Hold, Proposal


def apply_host(arguments: argparse.Namespace) -> int:
    """Finish what was left, then plan and execute; 1 when something is refused or failed."""
    if arguments.offline:
        return apply_image(arguments)
    with target_of(arguments) as target:
        source = Source(arguments, target)
        policy = source.read()
        unfinished = unfinished_of(target)
        if arguments.dry_run:
            host = read_host(target.root, program())
            found = _planned(arguments, policy, host, target)
            return show_plan(arguments, policy, host, found, unfinished)
        require_changeable(target)
        wanted = policy.text if arguments.policy is not None else None
        if unfinished is not None:
            host = read_host(target.root, program())
            found = _planned(arguments, policy, host, target)
            if unfinished.change.is_of_another(wanted) and found.refusals:
                return show_plan(arguments, policy, host, found, unfinished)
            print(unfinished_text(unfinished, wanted), file=sys.stderr)
        with interruption() as interrupted:
            left = executor_of(target, progress(arguments), interrupted.reason).resume(wanted)
            if left is not None:
                if not arguments.json:  # told now: what is read next may make no sense
                    show(arguments, {}, view.outcome_text(left))
                if left.left or interrupted.signal or _was_this_one(left, source, target):
                    if arguments.json:
                        show(arguments, {"resumed": view.outcome_json(left)}, ())
                    return _code(left, interrupted)
            propose = _Planner(arguments, target, source)
            return _apply(arguments, propose, left, interrupted)


def _planned(
    arguments: argparse.Namespace, policy: Policy, host: HostFacts, target: Target
) -> Plan:
    accepted, rest = arguments.accept_replaced, arguments.leave_refused
    return plan_here(policy, host, target, accepted, rest=rest)


def _was_this_one(left: Outcome, source: Source, target: Target) -> bool:
    """Tell whether what just went back, unconfirmed, is what would be applied again.

    Asked of the policy as it is now: going back brings back the one that the host kept before,
    of which a boot has left nothing.
    """
    change = journal.load(journal.file_of(changes_of(target), left.change))
    if not change.is_held or left.course is not journal.Course.TAKEN_BACK:
        return False
    return source.is_gone or change.head.policy == source.read().text


class _Planner:
    """Reads the machine and plans anew whenever it is asked.

    Attributes:
        found: the last plan.
    """

    def __init__(self, arguments: argparse.Namespace, target: Target, source: Source) -> None:
        self._arguments = arguments
        self.target = target
        self._source = source
        self.found = Plan()

    def __call__(self) -> Proposal:
        policy = self._source.read()
        host = read_host(self.target.root, program())
        found = _planned(self._arguments, policy, host, self.target)
        if self._arguments.policy is None and not found.refusals:
            found = replace(found, steps=(*self._edited(policy), *found.steps))
        self.found = found
        hold = _hold(self._arguments, self.target, self.found, host)
        known = known_devices(host, journal.journals(changes_of(self.target)))
        without = [entry for each in found.left_out for entry in each.entries]
        devices = identities(policy, host, known, without)
        has_news = not self.found.refusals and is_news(devices, known)
        return Proposal(self.found.steps, policy.text, hold, devices, has_news)

    def _edited(self, policy: Policy) -> Iterator[Step]:
        """Take an edit of the kept policy into the change, so that it goes back with it."""
        before = journal.text_left(changes_of(self.target), POLICY_FILE)
        now = policy.text
        if policy.persist and before not in (None, now):
            undo = WriteFile(POLICY_FILE, before)
            yield Step(TakeEdit(POLICY_FILE, now), (undo,), "it was edited since the last change")


def _apply(
    arguments: argparse.Namespace,
    propose: _Planner,
    left: Outcome | None,
    interrupted: Interruption,
) -> int:
    executor = executor_of(propose.target, progress(arguments), interrupted.reason)
    # Where nothing is to do, nothing has to be locked, nor to be writable.
    outcome = None if propose().is_empty else executor.apply(propose)
    found = propose.found
    document: dict[str, Any] = {"resumed": view.outcome_json(left), **view.plan_json(found)}
    if outcome is None:
        show(arguments, document, view.plan_text(found))
        return exit_code.NO if found.refusals or found.left_out else exit_code.DONE
    document["outcome"] = view.outcome_json(outcome)
    is_done = outcome.course in (journal.Course.APPLIED, journal.Course.UNCONFIRMED)
    pending = [f"pending: {each}" for each in found.pending] if is_done else []
    told = [
        *view.left_out_text(found),
        *view.warnings_text(found),
        *pending,
        *view.outcome_text(outcome),
    ]
    show(arguments, document, told)
    if is_done:
        propose()
        return _verify(propose.found)
    return _code(outcome, interrupted)


def _hold(
    arguments: argparse.Namespace, target: Target, found: Plan, host: HostFacts
) -> Hold | None:
    """Hold what was asked to be, and by itself what may cut the host off."""
    seconds = arguments.confirm_within
    if seconds is None:
        seconds = CONFIRM_WITHIN_S if management_touched(found.steps, host) else 0.0
    return Hold(seconds, guardian_of(target).watch) if seconds else None


def _code(outcome: Outcome, interrupted: Interruption) -> int:
    if outcome.course is journal.Course.APPLIED:
        return exit_code.DONE
    return exit_code.NO if interrupted.signal is None else exit_code.ended_by(interrupted.signal)


def _verify(found: Plan) -> int:
    if found.is_empty:
        return exit_code.NO if found.left_out else exit_code.DONE
    left = "1 step is" if len(found.steps) == 1 else f"{len(found.steps)} steps are"
    print(f"error: {left} still to do: the machine did not keep it", file=sys.stderr)
    return exit_code.NO
