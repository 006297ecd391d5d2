"""Texts of somebody else in files that a change replaces: a copy is kept beside them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from pathlib import Path

from lanekeeper.domain.hostplan.action import Change, MakeLink, RemoveFile, TakeEdit, WriteFile
from lanekeeper.domain.hostplan.persistence import UNIT_LINK
from lanekeeper.host import journal
from lanekeeper.host.attribute import refusals
from lanekeeper.host.journal import Journal

Keep = Callable[[str, Collection[str]], str | None]
"""Copies a file unless it has one of these texts, and returns the copy. Raises HostFault."""


class Edits:
    """Keeps what was edited since, while one change is made or taken back.

    Attributes:
        kept: one sentence for each file that was, and where its text is now.
    """

    def __init__(self, keep: Keep, directory: Path, change: Journal) -> None:
        self._keep = keep
        self._directory = directory
        self._change = change
        self.kept: list[str] = []

    def before_doing(self, action: Change) -> None:
        """Keep what *action* would replace, if it is not as the changes before have left it.

        Where they have left nothing it is the original, of which the first write keeps a copy.
        """
        if isinstance(action, WriteFile | RemoveFile):
            left = journal.text_left(self._directory, action.path, before=self._change.id)
            if left is not None:
                self._look(action.path, {left, getattr(action, "text", left)})

    def before_undoing(self, action: Change) -> None:
        """Keep what *action* would replace, if this change neither wrote it nor found it."""
        if isinstance(action, MakeLink) and action.path == UNIT_LINK:
            return
        if isinstance(action, WriteFile | RemoveFile | MakeLink):
            self._look(action.path, _texts(self._change, action.path))

    def _look(self, path: str, known: Collection[str]) -> None:
        copy = self._keep(path, known)
        if copy is not None:
            self.kept.append(f"/{path} was edited; a copy of that is /{copy}")


def _texts(change: Journal, path: str) -> set[str]:
    """What *change* wrote to *path*, or found there."""
    each = (a for step in change.steps for a in (step.do, *step.undo))
    written = (a for a in each if isinstance(a, WriteFile) and not isinstance(a, TakeEdit))
    return {action.text for action in written if action.path == path}


def copies_ahead(copy_of: Keep, changes: Iterable[Journal]) -> list[str]:
    """Say which copies would be kept if *changes* were taken back in this order.

    *copy_of* returns the copy of a file without making it. The first undo of a file meets what
    somebody wrote there, the others what the first has left. Raises HostFault.
    """
    found: list[str] = []
    seen: set[str] = set()
    for change in changes:
        for action in (a for number in change.begun() for a in change.undo_of(number)):
            if not isinstance(action, WriteFile | RemoveFile) or action.path in seen:
                continue
            seen.add(action.path)
            with refusals(f"look at /{action.path}"):
                copy = copy_of(action.path, _texts(change, action.path))
            if copy is not None:
                found.append(f"/{action.path} was edited; a copy of that will be /{copy}")
    return found
