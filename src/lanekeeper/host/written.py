"""The files that changes wrote here, and how they differ from that now."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from difflib import unified_diff
from pathlib import Path

from lanekeeper.domain.hostplan.action import MakeLink, RemoveFile, ReplaceText, WriteFile
from lanekeeper.host.attribute import read_bytes, refusals
from lanekeeper.host.journal import STANDING, Journal, StepState

_BYTES_MAX = 2**22  # a policy, a unit, a boot loader's menu

EDITED = "was edited"
"""What is said of a text that is there and not as it was written."""

_Written = WriteFile | RemoveFile | MakeLink | ReplaceText


@dataclass(frozen=True, slots=True)
class Edited:
    """A file or a link that is not as the last change that wrote it left it.

    Attributes:
        path: from the root, without its slash.
        change: the number of that change.
        what: ``is gone``, ``is there again``, ``was edited``, ``is no link to …``.
        diff: from what was written to what is there, unified; for texts only.
    """

    path: str
    change: int
    what: str
    diff: tuple[str, ...] = ()


Locate = Callable[[str, bool], Path]
"""Returns where a file is. The flag says whether a link in its place is to be followed."""


def edited(locate: Locate, changes: Iterable[Journal]) -> list[Edited]:
    """Compare what standing *changes*, oldest first, wrote with what is there.

    Raises:
        HostFault: a file cannot be read.
    """
    found = (_compare(locate, number, action) for number, action in _last_words(changes))
    return [difference for difference in found if difference is not None]


def _last_words(changes: Iterable[Journal]) -> Iterable[tuple[int, _Written]]:
    """Return what was said last of each file, and of each group of lines in others' files."""
    last: dict[tuple[str, str], tuple[int, _Written]] = {}
    for number, action in _done(changes):
        if isinstance(action, ReplaceText):
            last.pop((action.path, action.old), None)  # lines of an earlier change, replaced
        last[action.path, action.new if isinstance(action, ReplaceText) else ""] = number, action
    return last.values()


def _done(changes: Iterable[Journal]) -> Iterator[tuple[int, _Written]]:
    for change in changes:
        if change.course not in STANDING:
            continue
        for at, step in enumerate(change.steps):
            if change.states[at] is StepState.DONE and isinstance(step.do, _Written):
                yield change.id, step.do


def _compare(locate: Locate, number: int, action: _Written) -> Edited | None:
    with refusals(f"look at /{action.path}"):
        link, path = locate(action.path, False), locate(action.path, True)
        is_link, exists = link.is_symlink(), path.exists()
        target = str(link.readlink()) if is_link else None
    match action:
        case RemoveFile():
            is_there = is_link or exists
            return Edited(action.path, number, "is there again") if is_there else None
        case MakeLink():
            what = f"is no link to {action.target}" if is_link or exists else "is gone"
            return Edited(action.path, number, what) if target != action.target else None
        case WriteFile():
            return _compare_text(path, number, action)
        case ReplaceText():
            return _compare_lines(path, number, action)


def _compare_lines(path: Path, number: int, action: ReplaceText) -> Edited | None:
    """Look for the lines alone: the rest of the file is somebody else's."""
    data = read_bytes(str(path), _BYTES_MAX)
    if data is None:
        return Edited(action.path, number, "is gone") if action.new else None
    if action.new in data.decode("utf-8", "surrogateescape"):
        return None
    lines = tuple(f"-{line}" for line in action.new.splitlines())
    return Edited(action.path, number, "lacks lines that were written", lines)


def _compare_text(path: Path, number: int, action: WriteFile) -> Edited | None:
    data = read_bytes(str(path), _BYTES_MAX)
    if data is None:
        return Edited(action.path, number, "is gone")
    text = data.decode("utf-8", "replace")
    if text == action.text:
        return None
    names = (f"/{action.path} as change {number} wrote it", f"/{action.path}")
    lines = unified_diff(action.text.splitlines(), text.splitlines(), *names, lineterm="")
    return Edited(action.path, number, EDITED, tuple(lines))
