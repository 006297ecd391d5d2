"""Writes what operators' files say in today's form: nova.conf, ml2_conf.ini, sriov_agent.ini.

Every comment and every key that somebody else reads is kept. What cannot be said in today's form,
or cannot be understood, stays as a comment with the reason.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from lanekeeper.config.doctor.case import Case, Line, Object, field_of, is_json, mended_entry
from lanekeeper.config.doctor.reading import UNREADABLE, ReadFile
from lanekeeper.config.doctor.source import Source
from lanekeeper.config.file import NO_SECTION
from lanekeeper.config.names import GONE, OWN_SECTIONS
from lanekeeper.domain.pci.alias import Alias

NOVA, ML2, AGENT = "nova.conf", "ml2_conf.ini", "sriov_agent.ini"
_TARGETS = {"pci": NOVA, "compute": NOVA, "lanekeeper": NOVA, "ml2": ML2, "sriov_nic": AGENT}
_REFERENCE = re.compile(r"\$(?=[_a-zA-Z{$])")  # of string.Template, which reads the files


@dataclass(frozen=True, slots=True)
class Left:
    """Something that is written as a comment only, since somebody has to decide."""

    source: Source
    reason: str


@dataclass(frozen=True, slots=True)
class Converted:
    """The files by name, in the order in which they are read, and what was left."""

    files: Mapping[str, str]
    left: tuple[Left, ...] = ()


@dataclass(frozen=True, slots=True)
class _Item:
    """Lines that go together, and where to."""

    target: str
    title: str
    lines: tuple[str, ...]


def convert(case: Case) -> Converted:
    """Write everything anew; the order within repeatable keys stays."""
    writer = _Writer(case)
    items = [item for file in case.files for item in writer.items(file)]
    targets = dict.fromkeys(target for target in (NOVA, ML2, AGENT) if _has(items, target))
    texts = {target: _text(items, target) for target in targets}
    return Converted(texts, tuple(writer.left))


def _has(items: list[_Item], target: str) -> bool:
    return any(item.target == target for item in items)


def _text(items: list[_Item], target: str) -> str:
    sections: dict[str, list[str]] = {}
    titles: dict[str, str] = {}
    for item in items:
        if item.target == target:
            key = item.title.lower()
            titles.setdefault(key, item.title)
            sections.setdefault(key, []).extend(item.lines)
    parts = ["\n".join(sections.pop("", [])).strip("\n")]
    parts += [
        f"[{titles[key]}]\n" + "\n".join(lines).strip("\n") for key, lines in sections.items()
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


class _Writer:
    """Turns lines into items, and remembers what it had to leave."""

    def __init__(self, case: Case) -> None:
        self.left: list[Left] = []
        self._case = case
        # By identity: a file that is given twice has equal lines.
        self._objects: dict[int, list[Object]] = {}
        for one in (*case.specs, *case.aliases):
            self._objects.setdefault(id(one.line), []).append(one)
        self._lines_left = iter(case.lines)
        self._last = {line.option.name: line for line in case.lines if line.option}

    def items(self, file: ReadFile) -> Iterator[_Item]:
        """Yield the items of one file, in the order of its lines; call it for each in turn."""
        role = _role(file)
        for flaw in file.flaws:
            if flaw.kind == UNREADABLE:
                self.left.append(Left(flaw.source, "the line cannot be read"))
        target, title = role, ""
        for line in islice(self._lines_left, len(file.assignments)):
            if lines := tuple(self._lines(line)):
                target, title = self._place(line, role)
                yield _Item(target, title, (*_comments(line.assignment.comments), *lines))
            elif not line.assignment.is_vio:
                yield _Item(role, title, _comments(line.assignment.comments))
        if any(file.tail):
            yield _Item(target, title, _comments(file.tail))

    def _place(self, line: Line, role: str) -> tuple[str, str]:
        """Return file and section of today."""
        if line.option is None:
            section = line.assignment.section
            is_default = section in (NO_SECTION, "default")
            return role, "DEFAULT" if is_default else line.assignment.title
        return _TARGETS.get(field_of(line.option)[0], role), line.option.section

    def _lines(self, line: Line) -> Iterator[str]:
        if line.comment:
            yield f"# {line.comment.lstrip('#; ')}"
        if line.option is None:
            yield from self._foreign(line)
        elif is_json(line.option):
            yield from self._json(line)
        elif self._last[line.option.name] is not line:
            yield f"# overridden by {self._last[line.option.name].source}:"
            yield from _commented(_assignment(line.option.key, line.value))
        elif error := self._case.error_of(line):
            yield from self._leave(line, str(error), _assignment(line.option.key, line.value))
        elif line.option.is_path and line.value:
            # A relative path begins where its file lies, which the written one may not.
            whole = Path(line.source.file).absolute().parent / line.value
            yield from _assignment(line.option.key, _escaped(str(whole)))
        else:
            yield from _assignment(line.option.key, _escaped(line.value))

    def _foreign(self, line: Line) -> Iterator[str]:
        """Keep what somebody else may read."""
        one = line.assignment
        if one.is_vio:
            return
        first, *others = one.text
        lines = (first.strip(), *others)
        if why := GONE.get((one.section or "default", one.key)):
            yield f"# no longer exists: {why}"
            yield from _commented(lines)
        elif one.section in OWN_SECTIONS:
            yield from self._leave(line, "there is no such key", lines)
        else:
            yield from lines

    def _json(self, line: Line) -> Iterator[str]:
        assert line.option is not None
        key, objects = line.option.key, self._objects.get(id(line), [])
        is_alias = key == "alias"
        if self._can_stay(line, objects) and all(one.parsed for one in objects):
            yield from _assignment(key, _escaped(line.value))
            return
        for one in objects:
            mended = one.entry and mended_entry(one.entry, is_spec=not is_alias)
            value = json.dumps(mended, ensure_ascii=False) if mended is not None else line.value
            lines = _assignment(key, _escaped(value))
            if reason := _why_not(one):
                yield from self._leave(line, reason, lines)
            else:
                yield from lines

    def _can_stay(self, line: Line, objects: list[Object]) -> bool:
        """Whether the operator's own text is today's form."""
        is_list = line.value.lstrip().startswith("[")
        assert line.option is not None
        return not (
            line.assignment.is_vio
            or (line.option.key == "alias" and is_list)
            or any(one.kinds or one.twice or one.errors for one in objects)
            or any(_changed(one) for one in objects)
        )

    def _leave(self, line: Line, reason: str, lines: tuple[str, ...]) -> Iterator[str]:
        self.left.append(Left(line.source, reason))
        yield f"# left for you to decide: {' '.join(reason.split())}"
        yield from _commented(lines)


def _changed(one: Object) -> bool:
    assert one.line.option is not None
    is_spec = one.line.option.key == "device_spec"
    return one.entry is not None and mended_entry(one.entry, is_spec=is_spec) != one.entry


def _why_not(one: Object) -> str:
    """Say why an object cannot be said today; nothing where it can."""
    if one.parsed is None:
        return str(one.errors[0])
    if isinstance(one.parsed, Alias) and one.parsed.resource_class is None:
        return "an alias in nova.conf needs vendor_id and product_id, or a resource_class"
    return ""


def _role(file: ReadFile) -> str:
    """Return which of today's files this one is, by its sections."""
    sections = {one.section for one in file.assignments}
    if "sriov_nic" in sections:
        return AGENT
    return ML2 if any(section.startswith("ml2") for section in sections) else NOVA


def _assignment(key: str, value: str) -> tuple[str, ...]:
    """Write ``key = value`` so that oslo.config reads *value* back."""
    first, *others = value.split("\n")
    if len(first) > 1 and first[0] == first[-1] and first[0] in "\"'":
        first = f'"{first}"'
    lines = [f"{key} = {first}".rstrip(), *(f"    {other.strip()}" for other in others)]
    return tuple(line for line in lines if line.strip())


def _escaped(value: str) -> str:
    return _REFERENCE.sub("$$", value)


def _commented(lines: tuple[str, ...]) -> Iterator[str]:
    return (f"#{line}" for line in lines)


def _comments(lines: tuple[str, ...]) -> tuple[str, ...]:
    """Let comments begin in the first column, where oslo.config takes them for such."""
    bare = (line.strip() for line in lines)
    return tuple(line if not line or line[0] in "#;" else f"# {line}" for line in bare)
