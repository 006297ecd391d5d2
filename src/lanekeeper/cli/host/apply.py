"""``lanekeeper host apply``."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from lanekeeper.cli import exit_code
from lanekeeper.cli.host import view
from lanekeeper.cli.host.arguments import CONFIRM_WITHIN_S
from lanekeeper.cli.host.called import program
from lanekeeper.cli.host.changing import changes_of, executor_of, guardian_of, unfinished_of
from lanekeeper.cli.host.image import apply_image
from lanekeeper.cli.host.output import show
from lanekeeper.cli.host.plan import show_plan
from lanekeeper.cli.host.policy import Source, cut_short
from lanekeeper.cli.host.progress import progress
from lanekeeper.cli.host.target import Target, require_changeable, target_of
from lanekeeper.cli.host.unfinished import unfinished_text
from lanekeeper.domain.errors import Invalid
from lanekeeper.domain.hostplan.replaced import require_there
from lanekeeper.domain.hostplan.step import Plan
from lanekeeper.host.apply import Stop, never
from lanekeeper.host.bring import Bringing, Terms
from lanekeeper.host.facts import read_host
from lanekeeper.host.interruption import Interruption, interruption
from lanekeeper.host.journal import Course, journals
from lanekeeper.host.outcome import Outcome
from lanekeeper.host.planning import known_devices


def apply_host(arguments: argparse.Namespace) -> int:
    """Finish what was left, then plan and execute; 1 when something is refused or failed."""
    if arguments.offline:
        return apply_image(arguments)
    with target_of(arguments) as target:
        source, unfinished = Source(arguments, target), unfinished_of(target)
        try:
            source.read()  # of a pipe, say: as long as a signal still ends it
        except Invalid:
            if arguments.dry_run or unfinished is None or not unfinished.goes_back:
                with cut_short(arguments):
                    raise
        if arguments.accept_replaced:
            host = read_host(target.root, program())
            known = known_devices(host, journals(changes_of(target)))
            require_there(arguments.accept_replaced, host, known)
        if arguments.dry_run:
            bringing = _bringing(arguments, target, source, never)
            return show_plan(arguments, bringing.plan(), unfinished)
        require_changeable(target)
        with interruption() as interrupted:
            bringing = _bringing(arguments, target, source, interrupted.reason)
            return _bring(arguments, target, bringing, interrupted)


def _bringing(
    arguments: argparse.Namespace, target: Target, source: Source, stop: Stop
) -> Bringing:
    accepted, rest = arguments.accept_replaced, arguments.leave_refused
    terms = Terms(accepted, rest, arguments.confirm_within, CONFIRM_WITHIN_S)
    executor = executor_of(target, progress(arguments), stop)
    return Bringing(target.root, program(), source, terms, executor)


def _bring(
    arguments: argparse.Namespace, target: Target, bringing: Bringing, interrupted: Interruption
) -> int:
    unfinished = unfinished_of(target)
    if unfinished is not None and unfinished.goes_back:  # whatever the policy says now
        print(unfinished_text(unfinished, None), file=sys.stderr)
        left = bringing.take_back()
    else:
        if unfinished is not None:
            if bringing.is_refused_before(unfinished.change):
                return show_plan(arguments, bringing.plan(), unfinished)
            print(unfinished_text(unfinished, bringing.wanted()), file=sys.stderr)
        left = bringing.settle()
    if left is not None and not arguments.json:  # told now: what is read next may make no sense
        show(arguments, {}, view.outcome_text(left))
    with cut_short(arguments, view.outcome_json(left)):
        is_over = left is not None and (bool(interrupted.signal) or bringing.is_end(left))
    if left is not None and is_over:
        if arguments.json:
            show(arguments, {"resumed": view.outcome_json(left)}, ())
        return _code(left, interrupted)
    code = _apply(arguments, target, bringing, left, interrupted)
    # What could not be taken back keeps nothing from being applied, and is no success either.
    return exit_code.NO if left is not None and left.is_open and not code else code


def _apply(
    arguments: argparse.Namespace,
    target: Target,
    bringing: Bringing,
    left: Outcome | None,
    interrupted: Interruption,
) -> int:
    with cut_short(arguments, view.outcome_json(left)):
        outcome = bringing.apply(guardian_of(target).watch)
    found = bringing.found
    document: dict[str, Any] = {"resumed": view.outcome_json(left), **view.plan_json(found)}
    if outcome is None:
        show(arguments, document, view.plan_text(found))
        return exit_code.NO if found.refusals or found.left_out else exit_code.DONE
    document["outcome"] = view.outcome_json(outcome)
    is_done = outcome.course in (Course.APPLIED, Course.UNCONFIRMED)
    pending = [f"pending: {each}" for each in found.pending] if is_done else []
    told = [
        *view.left_out_text(found),
        *view.warnings_text(found),
        *pending,
        *view.outcome_text(outcome),
    ]
    show(arguments, document, told)
    return _verify(bringing.still_to_do()) if is_done else _code(outcome, interrupted)


def _code(outcome: Outcome, interrupted: Interruption) -> int:
    if outcome.course is Course.APPLIED:
        return exit_code.DONE
    return exit_code.NO if interrupted.signal is None else exit_code.ended_by(interrupted.signal)


def _verify(found: Plan) -> int:
    if found.is_empty:
        return exit_code.NO if found.left_out else exit_code.DONE
    left = "1 step is" if len(found.steps) == 1 else f"{len(found.steps)} steps are"
    print(f"error: {left} still to do: the machine did not keep it", file=sys.stderr)
    return exit_code.NO
