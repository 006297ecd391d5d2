"""Numbers of VFs in netplan's files, by the lines they stand at.

Read by its indents, since a line has to be named, and a capture keeps but some of the lines.

Source: netplan's YAML reference, ``ethernets``, ``match`` and ``virtual-function-count``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from itertools import takewhile

from lanekeeper.domain.hostplan.vf_count import Mark, Trait, VfCount

_COUNT = re.compile(r"virtual-function-count:\s*(\d{1,9})\b")
_KEY = re.compile(r"""(\s*)["']?([\w.:@-]+)["']?:(?:\s|\Z)""")
_MATCH_HEAD = re.compile(r"""(?:^|[\s{,])["']?match["']?:\s*(?:\{([^}]*)\}?)?""")
_MATCH = re.compile(
    r"""["']?(name|macaddress|driver)["']?:\s*(\[[^\]]*\]|"[^"]*"|'[^']*'|[^,}\s]+)?"""
)
_WORD = re.compile(r"""[^"',\[\]\s]+""")
_ITEM = re.compile(r"""\s*-\s+["']?([^"'\s]+)""")


def netplan_counts(
    path: str, lines: Sequence[str], of_mac: Callable[[str], Mark]
) -> Iterator[VfCount]:
    """Yield each count; an interface without ``match`` is meant by the name of its entry."""
    for at, line in enumerate(lines):
        found = None if line.lstrip().startswith("#") else _COUNT.search(line)
        if found is None:
            continue
        head = at if "{" in line[: found.start()] else _above(lines, at)
        entry = None if head is None else _KEY.match(lines[head])
        marks: tuple[Mark, ...] = ()
        if head is not None and entry is not None:
            given = _matched([*_below(lines, head)])
            marks = tuple(_mark(key, values, of_mac) for key, values in given)
            marks = marks or (Mark(Trait.NAME, (entry[2],)),)
        yield VfCount(path, at + 1, line.strip(), "netplan", int(found[1]), marks)


def _matched(lines: Sequence[str]) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yield the conditions of the ``match`` in an interface's *lines*; others are its settings."""
    within = ""
    for at, line in enumerate(lines):
        found = _MATCH_HEAD.search(line)
        if found and found[1]:
            within = f"{found[1]} "
            break
        if found:
            within = "\n".join([*_below(lines, at)][1:])
            break
    rows = within.splitlines()
    for at, row in enumerate(rows):
        for key, said in () if row.lstrip().startswith("#") else _MATCH.findall(row):
            items = (_ITEM.match(each) for each in rows[at + 1 :])
            listed = () if said else tuple(m[1] for m in takewhile(bool, items) if m)
            yield key, listed or tuple(_WORD.findall(said))


def _mark(key: str, values: tuple[str, ...], of_mac: Callable[[str], Mark]) -> Mark:
    if key == "macaddress":
        return Mark(Trait.NAME, tuple(n for mac in values for n in of_mac(mac).patterns))
    return Mark(Trait.DRIVER if key == "driver" else Trait.NAME, values)


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())


def _above(lines: Sequence[str], at: int) -> int | None:
    """Return the line of the mapping that line *at* is in."""
    less = (n for n in reversed(range(at)) if lines[n].strip() and _KEY.match(lines[n]))
    return next((n for n in less if _indent(lines[n]) < _indent(lines[at])), None)


def _below(lines: Sequence[str], head: int) -> Iterator[str]:
    """Yield a mapping's line and those within it."""
    yield lines[head]
    for line in lines[head + 1 :]:
        if line.strip() and _indent(line) <= _indent(lines[head]):
            return
        yield line
