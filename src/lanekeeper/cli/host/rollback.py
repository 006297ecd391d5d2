"""``lanekeeper host rollback``."""

from __future__ import annotations

import argparse
from typing import Any

from lanekeeper.cli import exit_code
from lanekeeper.cli.host import view
from lanekeeper.cli.host.changing import changes_of, executor_of
from lanekeeper.cli.host.image import rollback_image
from lanekeeper.cli.host.output import report
from lanekeeper.cli.host.progress import progress
from lanekeeper.cli.host.target import Target, require_changeable, target_of
from lanekeeper.domain.errors import NotFound
from lanekeeper.host import journal
from lanekeeper.host.edit import copies_ahead
from lanekeeper.host.file_actor import FileActor
from lanekeeper.host.interruption import interruption
from lanekeeper.host.occupancy import CUT_OFF_FIX, cut_off_text
from lanekeeper.host.outcome import Outcome

_NOTHING_WILL = "Nothing will be taken back while that is so."


def rollback_host(arguments: argparse.Namespace) -> int:
    """Take the last policy back, or all after one; 1 when some of it could not be."""
    if arguments.offline:
        return rollback_image(arguments)
    with target_of(arguments) as target:
        require_changeable(target)
        if arguments.dry_run:
            return _show_rollback(arguments, target)
        with interruption():  # what was begun here is finished; going back half-way helps nobody
            outcomes = _rollback(arguments, target)
    if not outcomes:
        nothing = ["Nothing to take back: no change stands."]
        if arguments.to:
            nothing = [f"Nothing to take back: no change after {arguments.to} stands."]
        return report(arguments, _document(outcomes), nothing, exit_code.DONE)
    text = [line for outcome in outcomes for line in view.outcome_text(outcome)]
    code = exit_code.NO if outcomes[-1].is_open else exit_code.DONE
    return report(arguments, _document(outcomes), text, code)


def _rollback(arguments: argparse.Namespace, target: Target) -> list[Outcome]:
    executor = executor_of(target, progress(arguments))
    if arguments.to is not None:
        return executor.rollback_to(arguments.to, gives_up=arguments.give_up)
    return executor.rollback(gives_up=arguments.give_up)


def _document(outcomes: list[Outcome]) -> dict[str, Any]:
    told = [view.outcome_json(outcome) for outcome in outcomes]
    return {"outcome": told[-1] if told else None, "outcomes": told}


def _show_rollback(arguments: argparse.Namespace, target: Target) -> int:
    changes = journal.journals(changes_of(target))
    standing = [each for each in changes if each.course is not journal.Course.TAKEN_BACK]
    if arguments.to and arguments.to not in {change.id for change in changes}:
        raise NotFound(f"there is no change {arguments.to}")
    wanted = list(journal.one_policy(standing))
    if arguments.to is not None:
        wanted = [change for change in standing if change.id > arguments.to]
    undone = [each for change in reversed(wanted) for each in change.undone()]
    undo = [str(action) for _, action in undone]
    kept = copies_ahead(FileActor(target.root).edit_copy, reversed(wanted))
    held = executor_of(target).guard.cut_off(undone)
    text = [*undo, *(f"kept: {each}" for each in kept)] or ["Nothing to take back."]
    if held:
        text += [f"refused: {cut_off_text(held)}", f"         fix: {CUT_OFF_FIX}", _NOTHING_WILL]
    document = {"undo": undo, "kept": kept, "cut_off": list(held)}
    return report(arguments, document, text, exit_code.NO if held else exit_code.DONE)
