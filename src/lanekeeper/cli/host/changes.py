"""``lanekeeper host changes``."""

from __future__ import annotations

import argparse
from datetime import datetime
from pathlib import Path
from typing import Any

from lanekeeper.cli import exit_code
from lanekeeper.cli.host.changing import changes_of, now_of
from lanekeeper.cli.host.image import image_of
from lanekeeper.cli.host.output import show
from lanekeeper.cli.host.target import target_of
from lanekeeper.cli.host.unfinished import unfinished_text
from lanekeeper.cli.table import table
from lanekeeper.domain.errors import HostFault
from lanekeeper.host import journal
from lanekeeper.host.deadline import Now, moment
from lanekeeper.host.hold import guard_file
from lanekeeper.host.journal import Course, StepState
from lanekeeper.host.lock import is_watched
from lanekeeper.host.unfinished import unfinished

_HEAD = ("ID", "BEGAN", "COURSE", "STEPS", "POLICY", "VERSION", "UNDO")
_DAMAGED = "damaged"
_DIGEST_SHOWN = 12


def changes_host(arguments: argparse.Namespace) -> int:
    """List the changes that were made here, oldest first; 1 when one cannot be read."""
    if arguments.offline:
        changes = _changes(image_of(arguments).changes, moment)
    else:
        with target_of(arguments) as target:
            changes = _changes(changes_of(target), now_of(target))
    text = [table(_HEAD, [*map(_row, changes)])] if changes else ["No change was made here."]
    text += [f"change {each['id']}: {each['reason']}" for each in changes if each["reason"]]
    text += [each["waits"] for each in changes if each.get("waits")]
    show(arguments, {"changes": changes}, text)
    return (
        exit_code.NO if any(change["course"] == _DAMAGED for change in changes) else exit_code.DONE
    )


def _changes(directory: Path, now: Now) -> list[dict[str, Any]]:
    return [_change(path, now) for path in journal.files(directory)]


def _change(path: Path, now: Now) -> dict[str, Any]:
    try:
        change = journal.load(path)
    except HostFault as error:
        return {"id": int(path.stem), "course": _DAMAGED, "reason": f"{error}; {error.hint}"}
    deadline = change.deadline
    return {
        "id": change.id,
        "began": change.head.began,
        "course": str(change.course),
        "reason": change.reason,
        "steps": len(change.steps),
        "done": sum(state is StepState.DONE for state in change.states),
        "policy": journal.digest(change.head.policy),
        "version": change.head.version,
        "undoable": change.course is not Course.TAKEN_BACK,
        "confirm_by": deadline and deadline.wall,
        "confirm_left_s": deadline and round(deadline.left_s(now()), 1),
        "watched": is_watched(guard_file(path.parent, change.id)),
        "waits": "" if change.is_settled else unfinished_text(unfinished(change, now), None),
    }


def _row(change: dict[str, Any]) -> tuple[str, ...]:
    if change["course"] == _DAMAGED:
        return (str(change["id"]), "-", _DAMAGED, "-", "-", "-", "no")
    began: datetime | None = change["began"]
    return (
        str(change["id"]),
        f"{began:%Y-%m-%d %H:%M:%S}" if began else "-",
        change["course"],
        f"{change['done']} of {change['steps']}",
        change["policy"][:_DIGEST_SHOWN] or "-",
        change["version"] or "-",
        "yes" if change["undoable"] else "no",
    )
