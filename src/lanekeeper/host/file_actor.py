"""Carries out the actions of a plan that change files. Each can be done twice.

A file is replaced at once: a reader, or a crash, finds the old text or the new one. Whatever was
there keeps its owner, mode and labels, and a copy of what it was before anything was ever changed
lies below ``ORIGINALS``; the journal, not that copy, is what an undo goes by. Links among the
directories are followed within the root, so a change of an image stays in the image; and so is
one in the place of a file, which stays a link: an operator keeps the file elsewhere.
"""

from __future__ import annotations

import errno
import os
import shutil
import stat
from collections.abc import Callable, Collection
from itertools import count
from pathlib import Path
from typing import assert_never

from lanekeeper.domain.errors import Conflict
from lanekeeper.domain.hostplan.action import (
    FileChange,
    MakeDirectory,
    MakeLink,
    RemoveDirectory,
    RemoveFile,
    ReplaceText,
    Respell,
    TakeEdit,
    WriteFile,
)
from lanekeeper.domain.hostplan.persistence import ORIGINALS, UNIT_LINK
from lanekeeper.host.boot.entry_name import entry_place
from lanekeeper.host.inside import inside
from lanekeeper.host.replaced_text import put_back, replaced

_MODE = 0o644
_EXECUTABLE = 0o111
_EDITED = ".edited-"  # GRUB, udev, modprobe, dracut and systemd pass over such names


class FileActor:
    """Changes files below *root*."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def do(self, action: FileChange) -> None:
        """Carry out *action*; when it is done already, nothing happens.

        Raises:
            OSError: the file system refused; the file is as it was.
            Conflict: the lines to replace are not there, or stand there twice; as it was.
        """
        path = inside(self._root, action.path)
        match action:
            case MakeDirectory():
                path.mkdir(mode=0o755, exist_ok=True)
            case RemoveDirectory():
                _remove_if_empty(path)
            case TakeEdit():
                return  # what was edited is counted, and stands as it stands
            case WriteFile():
                self._write(self._place(action.path), action.text.encode(), action.mode)
            case RemoveFile():
                if os.path.lexists(path):  # a file system that takes nothing refuses even this
                    path.unlink(missing_ok=True)
            case MakeLink():
                _link(path, action.target)
            case ReplaceText():
                self._rewrite(action, replaced)
            case Respell():
                self._respell(action)
            case _:
                assert_never(action)
        is_written = isinstance(action, WriteFile | ReplaceText | Respell)
        if not is_written and path.parent.exists():
            _sync_directory(path.parent)

    def undo(self, action: FileChange) -> None:
        """Carry out *action*, which takes something back, where that is still there.

        Lines in a file that is gone are gone with it.

        Raises:
            OSError, Conflict: as ``do``; Conflict too, where others wrote over what was written.
        """
        if not isinstance(action, ReplaceText):
            self.do(action)
        elif inside(self._root, self._place(action.path)).is_file():
            self._rewrite(action, put_back)

    def keep(self, *names: str) -> None:
        """Copy files to where originals are, unless they are there. Raises OSError."""
        for name in names:
            path, kept = inside(self._root, name), inside(self._root, f"{ORIGINALS}/{name}")
            if kept.exists() or path.is_symlink() or not path.is_file():
                continue
            kept.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            fresh = kept.with_name(f".{kept.name}.new")
            try:
                shutil.copy2(path, fresh)
                fresh.replace(kept)
            except OSError:
                fresh.unlink(missing_ok=True)
                raise

    def keep_edit(self, name: str, known: Collection[str]) -> str | None:
        """Copy the file beside itself, unless it is one of the texts that are *known*.

        The copy has no name that anybody reads such files by, and is no program. One of the same
        text serves again.

        Returns:
            The copy's name; None where none is needed.

        Raises:
            OSError: it cannot be made.
        """
        copy = self.edit_copy(name, known)
        if copy is not None and not os.path.lexists(inside(self._root, copy)):
            path = self._edited(name)
            self._write(copy, path.read_bytes(), stat.S_IMODE(path.stat().st_mode) & ~_EXECUTABLE)
        return copy

    def edit_copy(self, name: str, known: Collection[str]) -> str | None:
        """Return the copy that ``keep_edit`` would have made; changes nothing. Raises OSError."""
        path = self._edited(name)
        if path.is_symlink() or not path.is_file():
            return None
        data = path.read_bytes()
        if data in {text.encode() for text in known}:
            return None
        for number in count(1):
            copy = f"{name}{_EDITED}{number}"
            at = inside(self._root, copy)
            is_same = at.is_file() and not at.is_symlink() and at.read_bytes() == data
            if is_same or not os.path.lexists(at):
                return copy
        raise AssertionError

    def _edited(self, name: str) -> Path:
        """Return what an operator edits by *name*; the unit's link is none of his."""
        return inside(self._root, name, follow=name != UNIT_LINK)

    def _place(self, name: str) -> str:
        """Return where the text of the operator's file *name* is now.

        A boot loader renames its entries, and an operator may keep a file elsewhere, with a link.
        """
        name = entry_place(self._root, name)
        place = inside(self._root, name, follow=True)
        if os.path.lexists(place) and not place.is_file():
            what = f"/{place.relative_to(self._root)}, which is no regular file"
            raise Conflict(f"/{name} leads to {what}", hint="make it a file, or a link to one")
        return str(place.relative_to(self._root))

    def _rewrite(self, action: ReplaceText, change: Callable[[str, ReplaceText], str]) -> None:
        name = self._place(action.path)
        data = _read(inside(self._root, name)).decode("utf-8", "surrogateescape")
        self._write(name, change(data, action).encode("utf-8", "surrogateescape"))

    def _respell(self, action: Respell) -> None:
        name = entry_place(self._root, action.path)
        if not inside(self._root, name, follow=True).is_file():
            return
        name = self._place(name)
        now = _read(inside(self._root, name)).decode("utf-8", "surrogateescape")
        if _says(now, action.aside) == _says(action.text, action.aside):
            self._write(name, action.text.encode("utf-8", "surrogateescape"))

    def _write(self, name: str, data: bytes, mode: int = _MODE) -> None:
        path = inside(self._root, name)
        if path.is_file() and not path.is_symlink():
            if path.read_bytes() == data:
                _sync_directory(path.parent)  # it may be there since just before a crash
                return
            self.keep(name)
        fresh = path.with_name(f".{path.name}.lanekeeper")
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW
        descriptor = os.open(fresh, flags, 0o600)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(data)
                file.flush()
                _take_after(file.fileno(), path, mode)
                os.fsync(file.fileno())
            fresh.replace(path)
            _sync_directory(path.parent)
        except OSError:
            fresh.unlink(missing_ok=True)
            raise


def _says(text: str, aside: Collection[str]) -> list[str]:
    """Return the words of *text*, those *aside* left out; these may end at a quote."""
    if not aside:
        return sorted(text.split())
    words = "".join(f" {each} " if each in "\"'" else each for each in text).split()
    return sorted(word for word in words if word not in aside)


def _read(path: Path) -> bytes:
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as file:
        return file.read()


def _take_after(descriptor: int, path: Path, mode: int) -> None:
    """Give a fresh file the owner, mode and labels of the one that it replaces, else *mode*."""
    try:
        before = path.lstat()
    except FileNotFoundError:
        os.fchmod(descriptor, mode)
        return
    if not stat.S_ISREG(before.st_mode):
        os.fchmod(descriptor, mode)
        return
    now = os.fstat(descriptor)
    if (now.st_uid, now.st_gid) != (before.st_uid, before.st_gid):
        os.fchown(descriptor, before.st_uid, before.st_gid)
    os.fchmod(descriptor, stat.S_IMODE(before.st_mode))
    try:
        for label in os.listxattr(path):
            os.setxattr(descriptor, label, os.getxattr(path, label))
    except OSError as error:
        if error.errno not in (errno.ENOTSUP, errno.EPERM):  # the ESP has none
            raise


def _link(path: Path, target: str) -> None:
    if path.is_symlink() and str(path.readlink()) == target:
        return
    fresh = path.with_name(f".{path.name}.lanekeeper")
    fresh.unlink(missing_ok=True)
    fresh.symlink_to(target)
    fresh.replace(path)


def _remove_if_empty(path: Path) -> None:
    if not os.path.lexists(path):  # a file system that takes nothing refuses even this
        return
    try:
        path.rmdir()
    except FileNotFoundError:
        return
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR):
            raise


def _sync_directory(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
