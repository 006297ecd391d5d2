"""Puts together the tree that a lab host sees, then becomes its QEMU.

A program of its own: it moves into a mount namespace that nobody else is in, so that every mount
of a lab vanishes with its QEMU, however that ends.
"""

from __future__ import annotations

import json
import os
import stat
import sys
from pathlib import Path

from lanekeeper.lab.mask import View, plan, read_private_files
from lanekeeper.lab.mounting import bind, mount, parse_mountinfo, unshare_mounts

EMPTY_FOLDER = "size=64k,nr_inodes=1k"  # room for the mount points of opened folders only


def build(tree: Path, view: View, empty: Path) -> None:
    """Mount *view* at *tree*; *empty* is an empty folder. Raises HostFault."""
    bind(Path("/"), tree)
    for point in view.shown:
        if (tree / point.relative_to("/")).is_dir():
            bind(point, tree / point.relative_to("/"))
    for folder in view.folders:
        cover_folder(tree, folder)
    # Each file is covered by one of its own: what the lab host writes to one of them, in the
    # overlay above, would show in all that are the same file below.
    mount("tmpfs", empty, "tmpfs", data="mode=755")
    for number, path in enumerate(view.files):
        cover = empty / str(number)
        cover.touch()
        bind(cover, tree / path.relative_to("/"))
    for path in view.opened:
        inner = tree / path.relative_to("/")
        inner.mkdir(parents=True, exist_ok=True)
        bind(path, inner)


def cover_folder(tree: Path, folder: Path) -> None:
    """Cover *folder* with an empty one of the same mode; a link or nothing is left as it is."""
    inner = tree / folder.relative_to("/")
    if inner.is_dir() and not inner.is_symlink():
        mode = stat.S_IMODE(inner.stat().st_mode)
        mount("tmpfs", inner, "tmpfs", data=f"{EMPTY_FOLDER},mode={mode:o}")


def main(launch: Path) -> None:
    """Do what the launch file says: ``tree``, ``empty``, ``opened`` and ``argv``."""
    wanted = json.loads(launch.read_text(encoding="utf-8"))
    unshare_mounts()
    mounts = parse_mountinfo(Path("/proc/self/mountinfo").read_text(encoding="utf-8"))
    view = plan(mounts, read_private_files(), [Path(path) for path in wanted["opened"]])
    build(Path(wanted["tree"]), view, Path(wanted["empty"]))
    os.execvp(wanted["argv"][0], wanted["argv"])  # noqa: S606 - a list, no shell


if __name__ == "__main__":
    main(Path(sys.argv[1]))
