"""Numbers of VFs in netplan's files, by the lines they stand at.

A capture keeps but some of the lines; where these are no YAML any more, they are read by their
indents.

Source: netplan's YAML reference, ``ethernets``, ``match`` and ``virtual-function-count``;
netplan(5), "General structure": what files of later names say amends what those before say.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import takewhile
from typing import Any

import yaml

from lanekeeper.domain.hostplan.vf_count import Mark, Trait, VfCount

_COUNT_KEY = "virtual-function-count"
_CONDITIONS = frozenset(("name", "macaddress", "driver"))
_NUMBER = re.compile(r"\d{1,9}", re.ASCII)
_Said = tuple[str, int | None, int, dict[str, tuple[str, ...]]]
"""Of an interface's entry, by its name: line and number of VFs, or None, and conditions."""
_COUNT = re.compile(r"virtual-function-count:\s*(\d{1,9})\b")
_KEY = re.compile(r"""(\s*)["']?([\w.:@-]+)["']?:(?:\s|\Z)""")
_MATCH_HEAD = re.compile(r"""(?:^|[\s{,])["']?match["']?:\s*(?:\{([^}]*)\}?)?""")
_MATCH = re.compile(
    r"""["']?(name|macaddress|driver)["']?:\s*(\[[^\]]*\]|"[^"]*"|'[^']*'|[^,}\s]+)?"""
)
_WORD = re.compile(r"""[^"',\[\]\s]+""")
_ITEM = re.compile(r"""\s*-\s+["']?([^"'\s]+)""")


@dataclass(slots=True)
class _Entry:
    """What files say together of one interface: of each key the last file in their order counts.

    Attributes:
        place: file, line and text of the number of VFs; None where there is none yet.
        count: that number.
        match: conditions by their key.
    """

    place: tuple[str, int, str] | None = None
    count: int = 0
    match: dict[str, tuple[str, ...]] = field(default_factory=dict)


def netplan_counts(
    files: Mapping[str, Sequence[str]], of_mac: Callable[[str], Mark]
) -> Iterator[VfCount]:
    """Yield each count that *files*, by their paths and in their order, come to.

    An interface without ``match`` is meant by the name of its entry; that of an entry without a
    name cannot be told.
    """
    if not any(_COUNT_KEY in line for lines in files.values() for line in lines):
        return
    entries: dict[str, _Entry] = {}
    for path, lines in files.items():
        said = _parsed(lines)
        for name, at, count, match in _by_indents(lines) if said is None else said:
            key = name or f"{path}:{at}"  # nothing that another file could speak of
            entry = entries.setdefault(key, _Entry())
            entry.match |= match
            if at is not None:
                entry.place, entry.count = (path, at + 1, lines[at].strip()), count
    for key, entry in entries.items():
        if entry.place is None:
            continue
        path, number, text = entry.place
        marks = tuple(_mark(each, values, of_mac) for each, values in entry.match.items())
        if not marks and not key.startswith(f"{path}:"):
            marks = (Mark(Trait.NAME, (key,)),)
        yield VfCount(path, number, text, "netplan", entry.count, marks)


def _parsed(lines: Sequence[str]) -> list[_Said] | None:
    """Read a whole file; None for what is no YAML, as what is left of a file in a capture."""
    try:
        root = yaml.compose("\n".join(lines), yaml.SafeLoader)
    except (yaml.YAMLError, RecursionError):
        return None
    found: list[_Said] = []
    for _, interfaces in _children(root, "network", "ethernets"):
        for name, entry in _children(interfaces):
            match = {
                each.value: _words(value)
                for _, matched in _children(entry, "match")
                for each, value in _children(matched)
                if each.value in _CONDITIONS
            }
            found.append((name.value, None, 0, match))
            for key, value in _children(entry, _COUNT_KEY):
                if isinstance(value.value, str) and _NUMBER.fullmatch(value.value):
                    found.append((name.value, key.start_mark.line, int(value.value), {}))
    return found


def _children(node: Any, *path: str) -> Iterator[tuple[Any, Any]]:
    """Yield keys with their values: of *node*, or those at a *path* of keys below it."""
    pairs = node.value if isinstance(node, yaml.MappingNode) else ()
    for key, value in pairs:
        if not isinstance(key, yaml.ScalarNode) or (path and key.value != path[0]):
            continue
        if len(path) > 1:
            yield from _children(value, *path[1:])
        else:
            yield key, value


def _words(node: Any) -> tuple[str, ...]:
    each = node.value if isinstance(node, yaml.SequenceNode) else (node,)
    return tuple(one.value for one in each if isinstance(one, yaml.ScalarNode))


def _by_indents(lines: Sequence[str]) -> Iterator[_Said]:
    """Read what of a file is there, by its indents."""
    for at, line in enumerate(lines):
        found = None if line.lstrip().startswith("#") else _COUNT.search(line)
        if found is None:
            continue
        head = at if "{" in line[: found.start()] else _above(lines, at)
        entry = None if head is None else _KEY.match(lines[head])
        if head is None or entry is None:
            yield "", at, int(found[1]), {}
        else:
            yield entry[2], at, int(found[1]), dict(_matched([*_below(lines, head)]))


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
