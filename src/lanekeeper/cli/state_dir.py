"""A service's own directory: where it is, that it is private, and never somebody else's."""

from __future__ import annotations

import fcntl
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from lanekeeper.domain.errors import Conflict, Invalid

_LOCK = "lock"
_OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH


@dataclass(frozen=True, slots=True, kw_only=True)
class Home:
    """Where a program keeps its state when nobody says so; the systemd units name the same.

    Attributes:
        before: where it did before the directories of all programs were kept apart.
    """

    path: Path
    before: Path

    def chosen(self, named: Path | None) -> Path:
        """The directory *named* on the command line, or else the default one.

        Raises:
            Invalid: none is named, and the state lies where the default was before.
        """
        if named is not None:
            return named.absolute()
        if (self.before / _LOCK).exists() and not (self.path / _LOCK).exists():
            raise Invalid(
                f"the default state directory is {self.path}, and {self.before}, where it was "
                "before, holds one",
                hint=f"go on with it: --state-dir {self.before}; or, stopped, move all that is in "
                f"it but other programs' directories to {self.path}",
            )
        return self.path


CONTROLLER = Home(path=Path("/var/lib/lanekeeper/controller"), before=Path("/var/lib/lanekeeper"))
PLACEMENT = Home(
    path=Path("/var/lib/lanekeeper/placement"), before=Path("/var/lib/lanekeeper-placement")
)


@contextmanager
def owned(path: Path, who: str = "controller") -> Iterator[None]:
    """Make *path* this process's alone; what is made from now on is private.

    A directory that is there already is taken as it is or not at all: its mode is never changed.

    Raises:
        Conflict: another *who* works with it.
        Invalid: it cannot be had, is another user's, or is open to others and not our own.
    """
    os.umask(0o077)
    if path.exists() and not path.is_dir():
        raise Invalid(f"state directory {path} is a file", hint="--state-dir names a directory")
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        _refuse_others(path)
        handle = os.open(path / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise Invalid(
            f"state directory {path} cannot be used: {error.strerror}",
            hint="name a directory that this user may make: --state-dir DIR",
        ) from error
    try:
        _lock(handle, path, who)
        yield
    finally:
        os.close(handle)


def _lock(handle: int, path: Path, who: str) -> None:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise Conflict(
            f"another {who} works with {path}",
            hint="stop it, or name another --state-dir",
        ) from error


def _refuse_others(path: Path) -> None:
    """Raises Invalid for a directory that others own, may change, or keep other things in."""
    facts = path.stat()
    if facts.st_uid != os.geteuid():
        raise Invalid(
            f"state directory {path} belongs to user id {facts.st_uid}, not to {os.geteuid()}",
            hint="run as its owner, or name another --state-dir",
        )
    mode = stat.S_IMODE(facts.st_mode)
    if not mode & (stat.S_IRWXG | stat.S_IRWXO):
        return
    is_ours = (path / _LOCK).exists() or not any(path.iterdir())
    if mode & _OTHERS_WRITE or not is_ours:
        what = "may be written by others" if mode & _OTHERS_WRITE else "holds something else"
        raise Invalid(
            f"state directory {path} {what} and is not private (mode {mode:04o})",
            hint="name one that is not there yet, or one that is yours, empty and closed to others",
        )
