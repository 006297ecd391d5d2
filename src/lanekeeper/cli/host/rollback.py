"""``lanekeeper host rollback``."""

from __future__ import annotations

import argparse

from lanekeeper.cli import exit_code
from lanekeeper.cli.host import view
from lanekeeper.cli.host.output import report, silent, tell
from lanekeeper.cli.host.target import Target, require_changeable, target_of
from lanekeeper.host import journal
from lanekeeper.host.apply import rollback


def rollback_host(arguments: argparse.Namespace) -> int:
    """Take the last change back; 1 when some of it could not be."""
    with target_of(arguments) as target:
        require_changeable(target)
        if arguments.dry_run:
            return _show_rollback(arguments, target)
        progress = silent if arguments.json else tell
        outcome = rollback(target.actor(), target.changes, progress)
    if outcome is None:
        nothing = ["Nothing to take back: no change stands."]
        return report(arguments, {"outcome": None}, nothing, exit_code.DONE)
    document = {"outcome": view.outcome_json(outcome)}
    return report(
        arguments,
        document,
        view.outcome_text(outcome),
        exit_code.DONE if outcome.course is journal.Course.TAKEN_BACK else exit_code.NO,
    )


def _show_rollback(arguments: argparse.Namespace, target: Target) -> int:
    standing = [
        change
        for change in journal.journals(target.changes)
        if change.course is not journal.Course.TAKEN_BACK
    ]
    undo = [
        str(action)
        for change in standing[-1:]
        for number in reversed(range(len(change.steps)))
        if change.states[number] in (journal.StepState.DOING, journal.StepState.DONE)
        for action in change.undo_of(number)
    ]
    return report(arguments, {"undo": undo}, undo or ["Nothing to take back."], exit_code.DONE)
