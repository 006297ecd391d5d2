"""Whole lines of somebody else's file that are replaced, or put back in place of ours."""

from __future__ import annotations

import re

from lanekeeper.domain.errors import Conflict
from lanekeeper.domain.hostplan.action import ReplaceText

_MEANWHILE = "somebody changed the file meanwhile: plan again, or change it by hand"


def replaced(text: str, action: ReplaceText) -> str:
    """Return *text* with the lines replaced; as it is when that was done already.

    Raises:
        Conflict: the lines are not there, or stand there twice.
    """
    if not action.old:
        return text if _places(action.new, text) else text + action.new
    done, places = _places(action.new, text), _places(action.old, text)
    if done and len(action.new) > len(action.old):
        return text  # what was added may repeat the line that it stands behind
    if not places and (not action.new or done):
        return text
    if not action.old.endswith("\n"):  # the last line is meant, and it has no end
        places = [at for at in places if at + len(action.old) == len(text)] or places
    if len(places) != 1:
        found = "are not there" if not places else f"stand there {len(places)} times"
        first = action.old.partition("\n")[0]
        raise Conflict(
            f"the lines of /{action.path} that begin with {first!r} {found}", hint=_MEANWHILE
        )
    before, after = text[: places[0]], text[places[0] + len(action.old) :]
    # A last line that had no end gets one when somebody wrote behind it meanwhile.
    joined = after and not after.startswith("\n") and action.new and action.new[-1] != "\n"
    return before + action.new + ("\n" if joined else "") + after


def put_back(text: str, action: ReplaceText) -> str:
    """Return *text* with what was done taken back; as it is where none of ours is in it any more.

    Raises:
        Conflict: somebody wrote over our lines and kept words of them.
    """
    ours = _words(action.old) - _words(action.new)
    if _places(action.old, text) or not ours:
        return replaced(text, action)
    if still := [word for word in dict.fromkeys(_said(text)) if word in ours]:
        hint = "take that out by hand if it is not wanted any more"
        raise Conflict(f"somebody rewrote /{action.path}, which has {' '.join(still)}", hint=hint)
    return text


def _words(lines: str) -> set[str]:
    return {*_said(lines)}


def _said(lines: str) -> list[str]:
    """Return the words of *lines* that are no comments, in their order."""
    plain = (line for line in lines.splitlines() if not line.lstrip().startswith("#"))
    return [word for line in plain for word in line.split()]


def _places(lines: str, text: str) -> list[int]:
    """Return where *lines* stand as whole lines; those of no end may be the last."""
    if not lines:
        return []
    end = "" if lines.endswith("\n") else r"(?=\n|\Z)"
    pattern = re.compile(rf"^{re.escape(lines)}{end}", re.MULTILINE)
    return [found.start() for found in pattern.finditer(text)]
