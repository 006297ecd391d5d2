"""``--offline``: the verbs of ``lanekeeper host`` that work on an image's files alone."""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

from lanekeeper.cli import exit_code
from lanekeeper.cli.host import view
from lanekeeper.cli.host.output import report, show
from lanekeeper.cli.host.policy import cut_short, policy_at, read_at
from lanekeeper.cli.host.progress import progress
from lanekeeper.cli.host.unfinished import unfinished_json, unfinished_text
from lanekeeper.domain.errors import Invalid
from lanekeeper.domain.hostplan.action import Change
from lanekeeper.domain.hostplan.dropped import dropped_arguments
from lanekeeper.domain.hostplan.offline import commands_after, offline_plan
from lanekeeper.domain.hostplan.policy.policy import Policy
from lanekeeper.domain.hostplan.step import Plan
from lanekeeper.domain.hostplan.steps.files import emptied_steps
from lanekeeper.host import journal
from lanekeeper.host.deadline import moment
from lanekeeper.host.edit import copies_ahead
from lanekeeper.host.file_actor import FileActor
from lanekeeper.host.image import Image
from lanekeeper.host.interruption import interruption
from lanekeeper.host.journal import Course, Journal, one_policy
from lanekeeper.host.planning import earlier_policies, made_directories
from lanekeeper.host.policy_file import placed
from lanekeeper.host.proposal import Proposal
from lanekeeper.host.unfinished import Unfinished, unfinished_in

_PROGRAM = "usr/bin/lanekeeper"
"""How the unit calls this program: where it lies here says nothing of the image."""


def image_of(arguments: argparse.Namespace) -> Image:
    """Return the image that ``--root`` names. Raises Invalid."""
    if arguments.simulate is not None:
        hint = "--root DIR --offline, or --simulate DIR alone"
        raise Invalid("--offline is about an image, --simulate about a machine", hint=hint)
    if getattr(arguments, "confirm_within", None):
        hint = "leave --confirm-within out"
        raise Invalid("an image has nobody who could be cut off and confirm", hint=hint)
    return Image(arguments.root)


def plan_image(arguments: argparse.Namespace) -> int:
    """Print the plan; 0 when it is empty, 1 when there is something to do or refused."""
    image = image_of(arguments)
    policy = _policy(arguments, image)
    return _show(arguments, policy, plan_for(policy, image), unfinished_in(image.changes, moment))


def _show(
    arguments: argparse.Namespace, policy: Policy, found: Plan, unfinished: Unfinished | None
) -> int:
    """Print the plan, and which change has to be brought to its end before it."""
    first = [_unfinished(arguments, policy, unfinished), ""] if unfinished is not None else []
    document = {**view.plan_json(found), "unfinished": unfinished_json(unfinished)}
    show(arguments, document, [*first, *_plan_text(found)])
    return exit_code.DONE if found.is_empty and unfinished is None else exit_code.NO


def _unfinished(arguments: argparse.Namespace, policy: Policy, left: Unfinished) -> str:
    where = f" --root {arguments.root} --offline"
    return unfinished_text(left, _wanted_text(arguments, policy), where)


def _wanted_text(arguments: argparse.Namespace, policy: Policy) -> str | None:
    return policy.text if arguments.policy is not None else None


class _Planner:
    """Reads the image and plans anew whenever it is asked; *found* is the last plan."""

    def __init__(self, arguments: argparse.Namespace, image: Image, policy: Policy) -> None:
        self._arguments = arguments
        self._image = image
        self._policy = policy
        self.found = Plan()

    def __call__(self) -> Proposal:
        if self._arguments.policy is None:  # a pipe that was named can be read only once
            self._policy = read_at(self._image.policy_file)
        self.found = plan_for(self._policy, self._image)
        return Proposal(self.found.steps, self._policy.text)


def apply_image(arguments: argparse.Namespace) -> int:
    """Finish what was left, then plan and write; 1 when something is refused or failed."""
    if arguments.accept_replaced:
        hint = "the machine that starts from it is asked: `lanekeeper host apply` there"
        raise Invalid("--accept-replaced: an image has no PCI functions", hint=hint)
    if arguments.dry_run:
        return plan_image(arguments)
    image = image_of(arguments)
    policy = _policy(arguments, image)
    with interruption() as interrupted:
        wanted, unfinished = _wanted_text(arguments, policy), unfinished_in(image.changes, moment)
        if unfinished is not None:
            image.require_files_only([unfinished.change])
            found = plan_for(policy, image)
            if unfinished.change.is_of_another(wanted) and found.refusals:
                return _show(arguments, policy, found, unfinished)
            print(_unfinished(arguments, policy, unfinished), file=sys.stderr)
        executor = image.executor(progress(arguments), interrupted.reason)
        left = executor.resume(wanted)
        document: dict[str, Any] = {"resumed": view.outcome_json(left)}
        if left is not None and interrupted.signal:
            return report(arguments, document, view.outcome_text(left), exit_code.NO)
        told = [*view.outcome_text(left)] if left is not None and left.is_open else []
        propose = _Planner(arguments, image, policy)
        with cut_short(arguments, document["resumed"]):
            outcome = executor.apply(propose) if propose().steps else None
    found = propose.found
    document |= view.plan_json(found)
    if outcome is None:
        show(arguments, document, [*told, *_plan_text(found)])
        return exit_code.NO if found.refusals or told else exit_code.DONE
    document["outcome"] = view.outcome_json(outcome)
    text = [*told, *view.outcome_text(outcome)]
    if outcome.course is Course.APPLIED:
        text += [f"pending: {each}" for each in found.pending]
        show(arguments, document, text)
        return exit_code.NO if told else exit_code.DONE
    show(arguments, document, text)
    return exit_code.NO if interrupted.signal is None else exit_code.ended_by(interrupted.signal)


def rollback_image(arguments: argparse.Namespace) -> int:
    """Take back the last policy of the image, or all after ``--to``; 1 when some of it stays."""
    image = image_of(arguments)
    wanted = _wanted(arguments, journal.journals(image.changes))
    image.require_files_only(wanted)
    undo = [a for each in wanted for at in each.begun() for a in each.undo_of(at)]
    if arguments.dry_run:
        kept = copies_ahead(FileActor(image.root).edit_copy, wanted)
        told = [*map(str, undo), *(f"kept: {each}" for each in kept)] or ["Nothing to take back."]
        ahead = {"undo": [*map(str, undo)], "kept": kept}
        return report(arguments, ahead, told, exit_code.DONE)
    with interruption():
        executor = image.executor(progress(arguments), lambda: "")
        if arguments.to is not None:
            outcomes = executor.rollback_to(arguments.to, gives_up=arguments.give_up)
        else:
            outcomes = executor.rollback(gives_up=arguments.give_up)
    text = [line for outcome in outcomes for line in view.outcome_text(outcome)]
    text += _commands(undo, image)
    document = {"outcomes": [view.outcome_json(outcome) for outcome in outcomes]}
    code = exit_code.NO if outcomes and outcomes[-1].is_open else exit_code.DONE
    return report(arguments, document, text or ["Nothing to take back: no change stands."], code)


def _policy(arguments: argparse.Namespace, image: Image) -> Policy:
    return policy_at(arguments, arguments.policy or image.policy_file)


def plan_for(policy: Policy, image: Image) -> Plan:
    host = image.read(f"/{_PROGRAM}")
    found = placed(offline_plan(policy, host), policy)
    changes = journal.journals(image.changes)
    words = dropped_arguments(policy, earlier_policies(changes), host)
    emptied = emptied_steps(found.steps, host, made_directories(changes))
    found = replace(found, steps=(*found.steps, *emptied), pending=(*found.pending, *words))
    if not (policy.persist and host.has_systemd) or image.at(_PROGRAM).exists():
        return found
    lacks = f"/{_PROGRAM} is not in the image: the unit cannot do its work without it"
    return replace(found, pending=(*found.pending, lacks))


def _plan_text(found: Plan) -> Iterable[str]:
    lines = [*view.plan_text(found)]
    if found.is_empty:
        lines[-1] = "Nothing to do: the files of the image are as the policy wants them."
    return lines


def _wanted(arguments: argparse.Namespace, changes: list[Journal]) -> list[Journal]:
    """Return the changes that are to be taken back, the last first."""
    standing = [each for each in changes if each.course is not Course.TAKEN_BACK]
    if arguments.to is None:
        return [*reversed(one_policy(standing))]
    return [each for each in reversed(standing) if each.id > arguments.to]


def _commands(undo: list[Change], image: Image) -> Iterator[str]:
    for command in commands_after(undo, image.read(f"/{_PROGRAM}")):
        yield f"pending: if {shlex.join(command)} ran since, run it in the image once more"
