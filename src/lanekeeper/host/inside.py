"""Paths below a root, with links followed as they will be when that root is ``/``.

An image is full of absolute links. The kernel that builds it would follow them into the running
system; here they lead back into the image, as after a chroot(2).
"""

from __future__ import annotations

import errno
import os
from pathlib import Path

_LINKS_MAX = 40  # Linux include/linux/namei.h, MAXSYMLINKS


def inside(root: Path, name: str, *, follow: bool = False) -> Path:
    """Return the place of *name* below *root*; no link and no ``..`` leads out of it.

    Args:
        root: what counts as ``/``.
        name: relative to it; its last parts need not exist.
        follow: whether a link at the very end is followed too, or is what is meant.

    Raises:
        OSError: links lead in a circle, or a directory may not be looked into.
    """
    ahead = _parts(name)
    at: list[str] = []
    links = 0
    while ahead:
        part = ahead.pop()
        if part == "..":
            del at[-1:]
            continue
        path = root.joinpath(*at, part)
        if (ahead or follow) and path.is_symlink():
            links += 1
            if links > _LINKS_MAX:
                raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(root / name))
            target = str(path.readlink())
            if target.startswith("/"):
                at.clear()
            ahead += _parts(target)
        else:
            at.append(part)
    return root.joinpath(*at)


def _parts(name: str) -> list[str]:
    """Return the parts of a path, the first of them last."""
    return [part for part in reversed(name.split("/")) if part not in ("", ".")]
