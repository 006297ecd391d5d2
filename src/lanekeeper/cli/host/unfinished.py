"""What is said of a change that is not at its end, before anything else is done."""

from __future__ import annotations

from typing import Any

from lanekeeper.host.journal import Course
from lanekeeper.host.unfinished import Standing, Unfinished


def unfinished_text(unfinished: Unfinished, policy: str | None, call: str = "") -> str:
    """Say what becomes first of a change that was left, where *policy* is to be applied.

    *call* is what stands behind the verb where the change is not this machine's.
    """
    change, apply = unfinished.change, f"`lanekeeper host apply{call}`"
    if unfinished.standing is Standing.HALF_BACK:
        back = f"`lanekeeper host rollback{call}` tries again, with --give-up it leaves that"
        return f"change {change.id} is half taken back ({change.reason}): {back}"
    if unfinished.standing is not Standing.CUT_OFF:
        return f"change {change.id} {_waiting(unfinished, apply, call)}"
    forward = change.course is Course.FORWARD and not change.is_held
    if forward and not change.is_of_another(policy):
        return f"change {change.id} was cut off; {apply} goes on with it first"
    why = " (it is of another policy)" if change.is_of_another(policy) else ""
    return f"change {change.id} was cut off{why}; {apply} takes it back first"


def unfinished_json(unfinished: Unfinished | None) -> dict[str, Any]:
    if unfinished is None:
        return {}
    change = unfinished.change
    return {"id": change.id, "course": change.course, "standing": unfinished.standing}


def _waiting(unfinished: Unfinished, apply: str, call: str) -> str:
    change = unfinished.change
    keep = f"`lanekeeper host confirm {change.id}` keeps it"
    back = f"`lanekeeper host rollback{call}`"
    match unfinished.standing:
        case Standing.WAITS:
            return f"waits for its confirmation: {keep}, without that it goes back"
        case Standing.UNWATCHED:
            gone = "its guardian is gone, so it does not go back by itself"
            return f"waits for its confirmation, and {gone}: {keep}, {back} takes it back"
    until = f" until {change.deadline.wall:%H:%M:%S} UTC, or a reboot," if change.deadline else ""
    over = f"was to be confirmed{until} and was not"
    if unfinished.standing is Standing.DUE:
        return f"{over}: its guardian takes it back now"
    return f"{over}, and its guardian is gone: {apply} or {back} takes it back first"
