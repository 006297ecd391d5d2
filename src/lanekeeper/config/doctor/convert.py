"""Writes what operators' files say in today's form: nova.conf, ml2_conf.ini, sriov_agent.ini.

Every comment and every key that somebody else reads is kept. What cannot be said in today's form,
cannot be understood, or would be a guess, stays as a comment with the reason. What nobody could
read as it stood, and is written so that it counts, says so.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from lanekeeper.config.correction import assignment, corrected, escaped, json_line, with_text_ids
from lanekeeper.config.doctor.case import (
    Case,
    Line,
    Object,
    field_of,
    in_order,
    is_json,
    with_known_keys,
)
from lanekeeper.config.doctor.reading import DECIDE, UNREADABLE, ReadFile
from lanekeeper.config.doctor.slip import slips_in, slips_of, why_not
from lanekeeper.config.doctor.source import Source
from lanekeeper.config.doctor.unread import is_homeless, moved_to, option_meant_by, replaced_by
from lanekeeper.config.file import NO_SECTION
from lanekeeper.config.filter_name import GONE_FILTERS, gone_in_words
from lanekeeper.config.names import GONE, OWN_SECTIONS, homes
from lanekeeper.config.option import Option
from lanekeeper.config.value import split_list

NOVA, ML2, AGENT = "nova.conf", "ml2_conf.ini", "sriov_agent.ini"
_TARGETS = {"pci": NOVA, "compute": NOVA, "lanekeeper": NOVA, "ml2": ML2, "sriov_nic": AGENT}


@dataclass(frozen=True, slots=True)
class Note:
    """What somebody should know about one line."""

    source: Source
    reason: str


@dataclass(frozen=True, slots=True)
class Converted:
    """The files by name, in the order in which they are read.

    Attributes:
        left: what is written as a comment only, since somebody has to decide.
        mended: what counts now and did not before, and why it did not.
    """

    files: Mapping[str, str]
    left: tuple[Note, ...] = ()
    mended: tuple[Note, ...] = ()


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
    return Converted(texts, tuple(writer.left), tuple(writer.mended))


def _ordered(lines: list[Line]) -> list[Line]:
    """Put what adds up in the order in which it is read, which old names of it had decided."""
    ordered = list(lines)
    for option in dict.fromkeys(line.option for line in lines if line.option):
        slots = [at for at, line in enumerate(lines) if line.option is option]
        if option.multiple:
            for at, line in zip(slots, in_order(lines[at] for at in slots), strict=True):
                ordered[at] = line
    return ordered


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
        self.left: list[Note] = []
        self.mended: list[Note] = []
        self._case = case
        # By identity: a file that is given twice has equal lines.
        self._objects: dict[int, list[Object]] = {}
        for one in (*case.specs, *case.aliases):
            self._objects.setdefault(id(one.line), []).append(one)
        self._lines_left = iter(case.lines)
        named = {line.option.name for line in case.lines if line.option}
        self._last = {name: case.of(name)[-1] for name in named}

    def items(self, file: ReadFile) -> Iterator[_Item]:
        """Yield the items of one file, in the order of its lines; call it for each in turn."""
        role = _role(file)
        for flaw in file.flaws:
            if flaw.kind == UNREADABLE:
                self.left.append(Note(flaw.source, "the line cannot be read"))
        target, title = role, ""
        for line in _ordered([*islice(self._lines_left, len(file.assignments))]):
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
            if moved := moved_to(line):
                return role, moved[0].partition("]")[0][1:]
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
            yield from _commented(assignment(line.option.key, line.value))
        else:
            yield from self._plain(line, line.option)

    def _plain(self, line: Line, option: Option) -> Iterator[str]:
        """Write a value that is no JSON."""
        lines, slips = assignment(option.key, escaped(line.value)), list(slips_of(line))
        if error := self._case.error_of(line):
            told = corrected(option, line.value)
            if not told:
                yield from self._leave(line, str(error), _verbatim(line, option.key))
                return
            lines, slips = told, [*slips, str(error)]
        elif option.is_path and line.value:
            # A relative path begins where its file lies, which the written one may not.
            whole = Path(line.source.file).absolute().parent / line.value
            lines = assignment(option.key, escaped(str(whole)))
        elif option.key == "enabled_filters" and (words := gone_in_words(split_list(line.value))):
            yield f"# left out: {words}"
            names = (name for name in split_list(line.value) if name not in GONE_FILTERS)
            lines = assignment(option.key, ",".join(names))
        yield from self._mend(line, slips, lines)

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
        elif moved := moved_to(line):
            yield f"# {line.place} of older releases"
            yield from assignment(moved[0].rpartition(" ")[2], line.value)
        elif replaced := replaced_by(line):
            right, why = replaced
            yield from self._leave(line, f"{line.place} is not read: {why}; say {right}", lines)
        elif one.section in OWN_SECTIONS:
            yield from self._leave(line, "there is no such key", lines)
        elif option := option_meant_by(line):
            reason = f"nobody reads {line.place}; it looks like {option.name}"
            yield from self._leave(line, reason, lines)
        elif is_homeless(line):
            found = [f"[{section}]" for section in homes(one.key)]
            where = " or ".join(found) or "a section"
            yield from self._leave(line, f"nobody reads {line.place}; it needs {where}", lines)
        else:
            yield from lines

    def _json(self, line: Line) -> Iterator[str]:
        assert line.option is not None
        key, objects = line.option.key, self._objects.get(id(line), [])
        slips = [*slips_of(line), *slips_in(line, objects)]
        if not slips and self._can_stay(line, objects):
            yield from assignment(key, escaped(line.value))
            return
        for one in objects:
            lines = _verbatim(line, key)
            if one.entry is not None:
                known = with_known_keys(one.entry) if key == "device_spec" else one.entry
                lines = (json_line(key, with_text_ids(known)),)
            if reason := why_not(one):
                yield from self._leave(line, reason, lines)
            else:
                yield from self._mend(line, slips, lines)

    def _can_stay(self, line: Line, objects: list[Object]) -> bool:
        """Whether the operator's own text is today's form."""
        is_list = line.value.lstrip().startswith("[")
        assert line.option is not None
        return not (
            line.assignment.is_vio
            or (line.option.key == "alias" and is_list)
            or any(one.kinds or one.twice or one.errors or why_not(one) for one in objects)
            or any(
                one.entry is not None and with_text_ids(one.entry) != one.entry for one in objects
            )
        )

    def _mend(self, line: Line, slips: list[str], lines: tuple[str, ...]) -> Iterator[str]:
        """Yield *lines*; where nobody could read what stood there, with a word about it above."""
        if slips:
            reason = "; ".join(" ".join(slip.split()) for slip in slips)
            note = Note(line.source, reason)
            if note not in self.mended:
                self.mended.append(note)
                yield f"# mended: {reason}"
        yield from lines

    def _leave(self, line: Line, reason: str, lines: tuple[str, ...]) -> Iterator[str]:
        self.left.append(Note(line.source, reason))
        yield f"{DECIDE}{' '.join(reason.split())}"
        yield from _commented(lines)


def _role(file: ReadFile) -> str:
    """Return which of today's files this one is, by its sections."""
    sections = {one.section for one in file.assignments}
    if "sriov_nic" in sections:
        return AGENT
    return ML2 if any(section.startswith("ml2") for section in sections) else NOVA


def _verbatim(line: Line, key: str) -> tuple[str, ...]:
    """Return what nobody can read as it stands; of YAML its value, under today's name."""
    if line.assignment.is_vio:
        return assignment(key, escaped(line.value))
    first, *others = line.assignment.text
    return first.strip(), *others


def _commented(lines: tuple[str, ...]) -> Iterator[str]:
    return (f"#{line}" for line in lines)


def _comments(lines: tuple[str, ...]) -> tuple[str, ...]:
    """Let comments begin in the first column, where oslo.config takes them for such."""
    bare = (line.strip() for line in lines)
    return tuple(line if not line or line[0] in "#;" else f"# {line}" for line in bare)
