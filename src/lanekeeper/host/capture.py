"""Writing a host down as a tree: which of its files, and what of those that are not kept whole."""

from __future__ import annotations

import errno
import glob
import os
from collections.abc import Iterator
from pathlib import Path

from lanekeeper.domain.hostplan.persistence import UNIT_LINK, every_directory
from lanekeeper.host.capture_list import DEEP, DEEP_LINKS, KEPT, KNOWN_BY_NAME
from lanekeeper.host.captured import extracts
from lanekeeper.host.tree import FILE_BYTES_MAX, HEADER, Entry, Kind

_RELEASE = "etc/os-release"  # a link to what is captured, too


def capture(root: Path) -> str:
    """Write down what of the host below *root* decides about its devices, as one text.

    Serial numbers and hardware addresses are kept: they are how a device is known.
    Files above 1 MiB, and those known by name only, are noted as present.
    """
    paths = dict.fromkeys([*_listed(root), *_walked(root)])
    lines = [str(entry) for path in paths if (entry := _look(root / path, path))]
    lines += [str(_extract(path, text)) for path, text in extracts(root) if path not in paths]
    lines += [str(entry) for entry in _directories(root)]
    return "\n".join([HEADER, *lines, ""])


def _extract(path: str, text: str | None) -> Entry:
    if text is None:
        return Entry(path, Kind.REFUSED, b"EACCES")
    return Entry(path, Kind.LINE, text.encode())


def _directories(root: Path) -> Iterator[Entry]:
    """Yield those that a plan would make if they were missing, and what lies in their places."""
    for name in every_directory():
        path = root / name
        if path.is_dir():
            yield Entry(name, Kind.DIRECTORY)  # one behind a link is as good
        elif os.path.lexists(path) and (entry := _look(path, name)):
            yield entry


def _listed(root: Path) -> Iterator[str]:
    for pattern in KEPT:
        yield from sorted(glob.glob(pattern, root_dir=root))  # noqa: PTH207  # finds dead links too


def _walked(root: Path) -> Iterator[str]:
    for pattern, where, wanted in DEEP:
        for top in sorted(root.glob(pattern)):
            for here, directories, files in os.walk(top):
                directories.sort()
                if where.search(here):
                    kept = [n for n in directories + files if n in wanted or DEEP_LINKS.match(n)]
                    yield from (os.path.relpath(f"{here}/{name}", root) for name in sorted(kept))


def _look(path: Path, name: str) -> Entry | None:
    try:
        if path.is_symlink() and not _is_text_elsewhere(path, name):
            return _link(name, os.fsencode(path.readlink()))
        if path.is_dir():
            return Entry(name, Kind.DIRECTORY)
        if not path.is_file() or KNOWN_BY_NAME.search(name):
            return Entry(name, Kind.PRESENT)
        return _file(name, path.read_bytes())
    except FileNotFoundError:
        return None
    except OSError as error:
        return Entry(name, Kind.REFUSED, errno.errorcode.get(error.errno or 0, "EIO").encode())


def _is_text_elsewhere(path: Path, name: str) -> bool:
    """Whether a setting is kept in another place, which is in no capture: then its text counts."""
    return name.startswith("etc/") and name not in (_RELEASE, UNIT_LINK) and path.is_file()


def _link(name: str, target: bytes) -> Entry:
    if target == os.fsencode(name).rpartition(b"/")[2]:  # as plant() makes a refused file
        return Entry(name, Kind.REFUSED, b"ELOOP")
    return Entry(name, Kind.LINK, target)


def _file(name: str, content: bytes) -> Entry:
    if len(content) > FILE_BYTES_MAX:
        return Entry(name, Kind.PRESENT)
    if content.endswith(b"\n"):
        return Entry(name, Kind.LINE, content[:-1])
    return Entry(name, Kind.BYTES, content)
