"""``lanekeeper host apply``."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from lanekeeper.cli import exit_code
from lanekeeper.cli.host import view
from lanekeeper.cli.host.output import report, show, silent, tell
from lanekeeper.cli.host.plan import show_plan
from lanekeeper.cli.host.policy import policy_of
from lanekeeper.cli.host.target import program, require_changeable, target_of
from lanekeeper.domain.hostplan.plan import plan
from lanekeeper.host import journal
from lanekeeper.host.apply import apply, resume
from lanekeeper.host.facts import read_host


def apply_host(arguments: argparse.Namespace) -> int:
    """Finish what was left, then plan and execute; 1 when something is refused or failed."""
    with target_of(arguments) as target:
        policy = policy_of(arguments, target)
        if arguments.dry_run:
            return show_plan(arguments, policy, read_host(target.root, program()))
        require_changeable(target)
        progress = silent if arguments.json else tell
        left = resume(target.actor(), target.changes, progress)
        if left is not None and left.left:
            return report(arguments, {"resumed": view.outcome_json(left)}, view.outcome_text(left))
        found = plan(policy, read_host(target.root, program()))
        document: dict[str, Any] = {"resumed": view.outcome_json(left), **view.plan_json(found)}
        if found.is_empty or found.refusals:
            show(arguments, document, view.plan_text(found))
            return exit_code.NO if found.refusals else exit_code.DONE
        outcome = apply(found.steps, target.actor(), target.changes, progress)
        assert outcome is not None
        document["outcome"] = view.outcome_json(outcome)
        remaining = plan(policy, read_host(target.root, program()))
        show(arguments, document, view.outcome_text(outcome))
    if outcome.course is not journal.Course.APPLIED:
        return exit_code.NO
    return _verify(remaining.is_empty, len(remaining.steps))


def _verify(is_empty: bool, steps: int) -> int:
    if is_empty:
        return exit_code.DONE
    print(f"error: {steps} steps are still to do: the machine did not keep them", file=sys.stderr)
    return exit_code.NO
