"""The files that a plan may write, as they are now, and what lies in their places instead."""

from __future__ import annotations

import stat
from pathlib import Path

from lanekeeper.domain.hostplan.persistence import UNIT_LINK, WRITTEN, every_directory
from lanekeeper.host.attribute import link_name, refusals
from lanekeeper.host.inside import inside

_KINDS = (
    (stat.S_ISDIR, "a directory"),
    (stat.S_ISREG, "a regular file"),
    (stat.S_ISLNK, "a link to no file"),
)


def read_own_files(root: Path) -> dict[str, str | None]:
    """Return the text of each file, None for one that is not there, and the unit's link.

    Raises:
        HostFault: a file cannot be read.
    """
    found: dict[str, str | None] = {}
    for name in WRITTEN:
        path = root / name
        with refusals(f"read {path}"):
            found[name] = path.read_text("utf-8", "replace") if path.is_file() else None
    link = root / UNIT_LINK
    found[UNIT_LINK] = link_name(str(link)) if link.is_symlink() else None
    return found


def read_links(root: Path) -> dict[str, str]:
    """Return where those of the files lead that an operator keeps elsewhere. HostFault."""
    found: dict[str, str] = {}
    for name in WRITTEN:
        with refusals(f"look at /{name}"):
            path = inside(root, name)
            if path.is_symlink():
                found[name] = str(path.readlink())
    return found


def read_obstacles(root: Path) -> dict[str, str]:
    """Return the paths where something else lies than a plan would write, and what. HostFault."""
    found: dict[str, str] = {}
    directories = every_directory()
    for name in (*directories, *WRITTEN, UNIT_LINK):
        path = root / name
        with refusals(f"look at {path}"):
            try:
                mode = path.lstat().st_mode
            except (FileNotFoundError, NotADirectoryError):
                continue
            if name in directories:
                is_right = path.is_dir()
            else:
                is_right = path.is_symlink() if name == UNIT_LINK else path.is_file()
        if not is_right:
            kinds = (words for is_kind, words in _KINDS if is_kind(mode))
            what = next(kinds, "a device, a pipe or a socket")
            found[name] = what.replace("no file", "no directory") if name in directories else what
    return found


def read_directories(root: Path) -> frozenset[str]:
    """Return those directories of the files that are there."""
    return frozenset(name for name in every_directory() if (root / name).is_dir())
