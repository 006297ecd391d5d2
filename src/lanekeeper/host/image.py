"""A root file system that does not run: mounted, or unpacked, somewhere below this one.

Nothing outside it is read or changed, wherever its links lead, and none of its programs is run.
It is read by way of a copy of the few files that decide, with links followed inside the image.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import replace
from fnmatch import fnmatchcase
from pathlib import Path

from lanekeeper.domain.errors import Conflict, HostFault, Invalid
from lanekeeper.domain.hostplan.action import Change, FileChange
from lanekeeper.domain.hostplan.observed import HostFacts
from lanekeeper.domain.hostplan.persistence import (
    POLICY_FILE,
    UNIT_LINK,
    WRITTEN,
    every_directory,
)
from lanekeeper.host import journal
from lanekeeper.host.apply import Executor, Stop
from lanekeeper.host.attribute import names, read_bytes, refusals
from lanekeeper.host.boot.entry import IMAGES
from lanekeeper.host.capture_list import KEPT, MENU_LINES_KEPT
from lanekeeper.host.facts import read_host
from lanekeeper.host.file_actor import FileActor
from lanekeeper.host.inside import inside
from lanekeeper.host.journal import Journal
from lanekeeper.host.own_file import read_links
from lanekeeper.host.stage import Progress

_ROOTS = ("etc/", "usr/", "boot/", "efi/")
_BY_NAME = ("usr/", "boot/EFI/", "efi/EFI/", "boot/efi/EFI/Linux/")
_SCRIPTS = "-mkconfig"
"""Programs and kernels: that they are there is all that is asked, but of scripts that say more."""

_MENUS = tuple(pattern for pattern, _ in MENU_LINES_KEPT)
_PATTERNS = (*(name for name in KEPT if name.startswith(_ROOTS)), *_MENUS, *IMAGES, *WRITTEN)
_FILE_BYTES_MAX = 2**22
_HINT = "boot the image and take it back there"


class Image:
    """The image whose root directory is *root*."""

    def __init__(self, root: Path) -> None:
        """Raises Invalid: there is no image, or it is the running system."""
        try:
            if not root.is_dir():
                what = "a captured machine or another file" if root.exists() else "not there"
                raise Invalid(f"{root} is {what}, not the root directory of an image")
            if root.samefile("/"):
                hint = "leave --offline out, which changes the running system with its devices"
                raise Invalid(f"{root} is the running system, not an image", hint=hint)
            if not inside(root, "etc", follow=True).is_dir():
                hint = "name the directory that the image's root file system is mounted on"
                raise Invalid(f"{root} is no image: it has no /etc", hint=hint)
        except OSError as error:
            raise Invalid(f"{root} cannot be looked into: {error.strerror}") from error
        self.root = root

    def at(self, name: str) -> Path:
        """Return where the image has *name*, links followed. Raises HostFault."""
        with refusals(f"look at {self.root / name}"):
            return inside(self.root, name, follow=True)

    def locate(self, name: str, follow: bool) -> Path:
        """Return where *name* is: itself, or what a link in its place leads to. Raises OSError."""
        return inside(self.root, name, follow=follow)

    @property
    def changes(self) -> Path:
        return self.at(journal.DIRECTORY)

    @property
    def policy_file(self) -> Path | None:
        """The policy that the image keeps; None without one."""
        path = self.at(POLICY_FILE)
        return path if path.is_file() else None

    def read(self, program: str) -> HostFacts:
        """Read what a plan has to know. Raises HostFault: something cannot be read."""
        with self._copied() as copy:
            found = read_host(copy, program)
        return replace(found, links=read_links(self.root))  # the copy has what they lead to

    def executor(self, progress: Progress, stop: Stop) -> Executor:
        return Executor(_FilesOnly(self.root), self.changes, progress, stop, runs=False)

    def require_files_only(self, changes: list[Journal]) -> None:
        """Refuse *changes* that did more than write files, here as a running system once."""
        for change in changes:
            actions = (a for at in change.begun() for a in change.undo_of(at))
            other = next((a for a in actions if not isinstance(a, FileChange)), None)
            if other is not None:
                message = f"change {change.id} cannot be taken back in an image: {other}"
                raise Conflict(f"{message} needs the running machine", hint=_HINT)

    @contextmanager
    def _copied(self) -> Iterator[Path]:
        with tempfile.TemporaryDirectory(prefix="lanekeeper-image-") as directory:
            copy = Path(directory)
            for name in every_directory():
                self._copy_directory(name, copy / name)
            for name in dict.fromkeys(n for p in _PATTERNS for n in self._matching(p)):
                self._copy(name, copy / name)
            yield copy

    def _matching(self, pattern: str) -> Iterator[str]:
        found = [""]
        for part in pattern.split("/"):
            if "*" in part:
                inner = ((f, name) for f in found for name in names(str(self.at(f))))
                found = [f"{f}/{name}".lstrip("/") for f, name in inner if fnmatchcase(name, part)]
            else:
                found = [f"{f}/{part}".lstrip("/") for f in found]
        return (name for name in found if os.path.lexists(self._parent(name)))

    def _parent(self, name: str) -> Path:
        """Return the directory that *name* itself is in, wherever a link in its place leads."""
        with refusals(f"look at {self.root / name}"):
            return inside(self.root, name).parent

    def _copy_directory(self, name: str, to: Path) -> None:
        """Make it without what is in it; of what is none that it is there is all that counts."""
        with refusals(f"look at /{name} of the image"):
            is_there, path = os.path.lexists(inside(self.root, name)), self.at(name)
            if path.is_dir():
                to.mkdir(parents=True, exist_ok=True)
            elif is_there and inside(self.root, name).is_symlink():
                _dead_link(to)
            elif is_there:
                to.touch()

    def _copy(self, name: str, to: Path) -> None:
        path = self.at(name)
        with refusals(f"look at {self.root / name}"):
            link = inside(self.root, name)
            if name == UNIT_LINK and link.is_symlink():
                to.parent.mkdir(parents=True, exist_ok=True)
                to.symlink_to(link.readlink())
                return
            if not path.exists():
                if link.is_symlink() and name in WRITTEN:
                    _dead_link(to)
                return
        if path.is_dir():
            to.mkdir(parents=True, exist_ok=True)
        elif not path.is_file():
            raise HostFault(f"/{name} of the image is neither a file nor a directory")
        else:
            by_name = name.startswith(_BY_NAME) and not name.endswith(_SCRIPTS)
            data = b"" if by_name else read_bytes(str(path), _FILE_BYTES_MAX)
            to.parent.mkdir(parents=True, exist_ok=True)
            to.write_bytes(data or b"")


def _dead_link(at: Path) -> None:
    """Make a link to nothing: where the image's own leads may be there in the running system."""
    at.parent.mkdir(parents=True, exist_ok=True)
    at.symlink_to(f".{at.name}.of-the-image")


class _FilesOnly:
    """Does what an image can be changed by, and nothing else."""

    def __init__(self, root: Path) -> None:
        self._files = FileActor(root)

    def do(self, action: Change) -> None:
        """Raises Error, as every doer."""
        if not isinstance(action, FileChange):
            raise HostFault(f"{action} needs the running machine", hint=_HINT)
        with refusals(str(action)):
            self._files.do(action)

    def undo(self, action: Change) -> None:
        """Raises Error, as every doer."""
        if isinstance(action, FileChange):
            with refusals(str(action)):
                self._files.undo(action)
        else:
            self.do(action)

    def keep_edit(self, path: str, known: Collection[str]) -> str | None:
        """Raises HostFault, as every doer."""
        with refusals(f"keep a copy of /{path}, which was edited"):
            return self._files.keep_edit(path, known)
