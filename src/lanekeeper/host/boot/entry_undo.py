"""Takes kernel arguments out of entry files that were made while a change stood.

kernel-install makes the entry of a new kernel from ``/etc/kernel/cmdline``, or from the arguments
of the running kernel, and so with what a policy put there; no undo of a file's lines knows of it.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from lanekeeper.domain.errors import Conflict
from lanekeeper.domain.hostplan.action import ClearEntries
from lanekeeper.domain.hostplan.argument_undo import ArgumentUndo, argument_undo
from lanekeeper.host.boot.entry import entry_arguments, entry_files, starts_kernel
from lanekeeper.host.boot.entry_name import entry_place
from lanekeeper.host.inside import inside

_OPTIONS = re.compile(r"^([ \t]*options[ \t]+)(.*)$", re.MULTILINE)


def clear_entries(root: Path, action: ClearEntries, write: Callable[[str, str], None]) -> None:
    """Do *action* below *root*, with *write* for a file and its text.

    Raises:
        OSError: a file cannot be read or written.
        HostFault: they cannot be listed.
        Conflict: somebody set other values since; all the rest was done.
    """
    spared = {entry_place(root, path) for path in action.spared}
    told = []
    for path in entry_files(root):
        place = inside(root, path, follow=True)  # of an image's links none leads out of it
        if not place.is_file():
            continue
        text = place.read_bytes().decode("utf-8", "surrogateescape")
        if path in spared or not starts_kernel(text):
            continue
        undo = argument_undo(action.put, action.had, entry_arguments(text, {}))
        if undo.gone or undo.back:
            write(path, _without(text, undo))
        if undo.others:
            told.append(f"/{path} has {' '.join(undo.others)}")
    if told:
        hint = "take that out of the entry by hand if it is not wanted any more"
        raise Conflict(f"somebody set it otherwise since: {', '.join(told)}", hint=hint)


def _without(text: str, undo: ArgumentUndo) -> str:
    """Return the entry *text* with *undo* done; other lines stay as they are spelled."""
    lines = [*_OPTIONS.finditer(text)]
    for line in reversed(lines):
        words = [word for word in line[2].split() if word not in undo.gone]
        words += undo.back if line is lines[-1] else ()
        if words != line[2].split():
            new = f"{line[1]}{' '.join(words)}".rstrip()
            text = text[: line.start()] + new + text[line.end() :]
    return text
