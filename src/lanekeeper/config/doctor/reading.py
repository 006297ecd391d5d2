"""Reads operators' files however they are written, and keeps what had to be overlooked.

A start reads by ``config.file`` and stops at the first mistake. What that accepts is read the same
here; what it refuses is read as it was meant, with a flaw that says so.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import get_type_hints

from lanekeeper.config.character import mended
from lanekeeper.config.doctor.source import Source
from lanekeeper.config.file import FILE_BYTES_MAX, NO_SECTION
from lanekeeper.config.names import (
    json_keys,
    known_keys,
    openstack_options,
    options,
    sections,
    spellings,
)
from lanekeeper.domain.errors import Invalid

BOM, CRLF, ENCODING = "byte-order-mark", "line-ends", "encoding"
UNREADABLE, INDENTED, UNINDENTED = "line-unreadable", "indented-line", "unindented-value"
COMMENT_INSIDE = "comment-in-value"

DECIDE = "# left for you to decide: "
"""Begins the word above lines that are handed back as they stand."""

_KEY = re.compile(r"[\w.-]+")
_ASSIGNMENT = re.compile(r"([\w.-]+)\s*[:=]")
_SECTION = re.compile(r"\[\s*([A-Za-z][\w.:/ -]*?)\s*\]\s*([#;].*)?")
_NEW = re.compile(r"[A-Za-z_][\w.-]*\s*=|\[[A-Za-z][\w-]*\]\s*$")
_TEXTS = re.compile(r'"(?:[^"\\]|\\.)*"|\'[^\']*\'')
_BOMS = ((b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"), (b"\xef\xbb\xbf", "utf-8-sig"))


@dataclass(frozen=True, slots=True)
class Flaw:
    """Something that was overlooked to read on; *kind* is the id of its rule."""

    kind: str
    source: Source


@dataclass(frozen=True, slots=True)
class Assignment:
    """One ``key = value`` as it was meant.

    Attributes:
        section: lower case; ``default`` for [DEFAULT], empty where no section began yet.
        title: the section as it is spelt.
        text: its lines as they stand.
        comments: the lines above or within it that are comments or blank.
        flaws: those of its own lines.
    """

    source: Source
    section: str
    title: str
    key: str
    value: str
    text: tuple[str, ...] = ()
    comments: tuple[str, ...] = ()
    flaws: tuple[Flaw, ...] = ()
    is_vio: bool = False


@dataclass(frozen=True, slots=True)
class ReadFile:
    """One file.

    Attributes:
        lines: as they stand, without their ends.
        flaws: those that belong to no assignment.
        tail: comments after the last assignment.
    """

    name: str
    lines: tuple[str, ...]
    assignments: tuple[Assignment, ...]
    flaws: tuple[Flaw, ...] = ()
    tail: tuple[str, ...] = ()


def read_text(path: Path) -> tuple[str, tuple[Flaw, ...]]:
    """Return a file's text, in whatever encoding, and what is wrong with that.

    Raises:
        Invalid: it cannot be read, is too large, or is no text.
    """
    try:
        if path.stat().st_size > FILE_BYTES_MAX:
            raise Invalid(f"{path} is larger than {FILE_BYTES_MAX} bytes")
        raw = path.read_bytes()
    except OSError as error:
        raise Invalid(f"{path} cannot be read: {error.strerror or error}") from error
    text, flaws = _decoded(raw, str(path))
    if "\0" in text:
        raise Invalid(f"{path}:{text.count(chr(10), 0, text.index(chr(0))) + 1}: has a NUL byte")
    if "\r\n" in text:
        flaws.append(Flaw(CRLF, Source(str(path), text.count("\n", 0, text.index("\r\n")) + 1)))
    return text, tuple(flaws)


def _decoded(raw: bytes, name: str) -> tuple[str, list[Flaw]]:
    for mark, encoding in _BOMS:
        if raw.startswith(mark):
            kind = BOM if encoding == "utf-8-sig" else ENCODING
            return raw.decode(encoding, errors="replace"), [Flaw(kind, Source(name, 1))]
    try:
        return raw.decode(), []
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        return raw.decode("latin-1"), [Flaw(ENCODING, Source(name, line))]


def read_ini(name: str, text: str) -> ReadFile:
    """Read an INI file of oslo.config."""
    lines = tuple(line.rstrip() for line in text.split("\n"))
    reader = _Reader(name)
    for number, line in enumerate(lines, 1):
        reader.take(number, line)
    reader.flush()
    return ReadFile(name, lines, tuple(reader.done), tuple(reader.flaws), tuple(reader.comments))


@dataclass(slots=True)
class _Draft:
    """An assignment that may go on.

    Attributes:
        depth: how many brackets wait to be closed. ``head``: the first character of the value.
    """

    source: Source
    key: str
    parts: list[str]
    text: list[str]
    comments: list[str]
    flaws: dict[Flaw, None]

    depth: int = 0
    head: str = ""

    def __post_init__(self) -> None:
        for part in self.parts:
            self._count(part)

    def go_on(self, part: str) -> None:
        self.parts.append(part)
        self._count(part)

    def _count(self, part: str) -> None:
        """Note its brackets as it comes: all of a long value at each of its lines takes minutes."""
        self.head = self.head or part.lstrip()[:1]
        bare = _TEXTS.sub("", part)  # no text of JSON goes on in another line
        self.depth += sum(map(bare.count, "{[")) - sum(map(bare.count, "}]"))

    @property
    def is_open(self) -> bool:
        """Whether brackets wait to be closed; only values that are JSON are looked at."""
        return self.depth > 0 and self.head in ("{", "[") and self.key in json_keys()


@dataclass(slots=True)
class _Reader:
    """Oslo's reader of INI files, made to go on."""

    name: str
    section: str = NO_SECTION
    title: str = ""
    draft: _Draft | None = None
    done: list[Assignment] = field(default_factory=list)
    flaws: list[Flaw] = field(default_factory=list)
    comments: list[str] = field(default_factory=list)

    def take(self, number: int, raw: str) -> None:
        source = Source(self.name, number)
        line, kinds = mended(raw)
        line = line.rstrip()
        bare = line.lstrip()
        is_indented = line[:1] in (" ", "\t") or (line != raw and raw[:1].isspace())
        if self.draft is not None and self._is_within(line, bare, is_indented):
            self._continue(source, bare, kinds, is_indented=is_indented)
            self.draft.text.append(raw)
        elif not bare or bare[0] in "#;":
            self.flush()
            self.comments.append(raw)
        elif _SECTION.fullmatch(bare):
            self._begin_section(source, bare, is_indented=is_indented)
        else:
            self._begin(source, bare, raw, kinds, is_indented=is_indented)

    def _is_within(self, line: str, bare: str, is_indented: bool) -> bool:
        if self.draft is None:
            return False
        if self.draft.is_open:
            return not _NEW.match(bare)
        begins = self._is_known(bare) or (bare.startswith("[") and self._is_known_section(bare))
        return bool(line) and is_indented and not begins

    def _is_known(self, bare: str) -> bool:
        found = _ASSIGNMENT.match(bare)
        return found is not None and found[1].replace("-", "_") in known_keys()

    def _is_known_section(self, bare: str) -> bool:
        found = _SECTION.fullmatch(bare)
        return found is not None and found[1].lower() in openstack_options()

    def _continue(
        self, source: Source, bare: str, kinds: frozenset[str], *, is_indented: bool
    ) -> None:
        assert self.draft is not None
        flaws = [Flaw(kind, source) for kind in sorted(kinds)]
        if bare[:1] in ("#", ";"):
            flaws.append(Flaw(COMMENT_INSIDE, source))
            self.draft.comments.append(bare)
        else:
            self.draft.go_on(bare)
            if not is_indented:
                flaws.append(Flaw(UNINDENTED, self.draft.source))
        self.draft.flaws.update(dict.fromkeys(flaws))

    def _begin_section(self, source: Source, bare: str, *, is_indented: bool) -> None:
        self.flush()
        found = _SECTION.fullmatch(bare)
        assert found is not None
        if is_indented:
            self.flaws.append(Flaw(INDENTED, source))
        elif not bare.endswith("]"):
            self.flaws.append(Flaw(COMMENT_INSIDE, source))
        if found[2]:
            self.comments.append(found[2])
        self.title, self.section = found[1], found[1].lower()

    def _begin(
        self, source: Source, bare: str, raw: str, kinds: frozenset[str], *, is_indented: bool
    ) -> None:
        self.flush()
        ends = [at for at in (bare.find(":"), bare.find("=")) if at >= 0]
        key = bare[: min(ends)].strip().replace("-", "_") if ends else ""
        if not _KEY.fullmatch(key):
            self.flaws.append(Flaw(UNREADABLE, source))
            self.comments += [f"{DECIDE}the line cannot be read", f"#{raw}"]  # as it stands
            return
        flaws = [Flaw(kind, source) for kind in sorted(kinds)]
        if is_indented:
            flaws.append(Flaw(INDENTED, source))
        if kinds and key not in _mendable():
            flaws = [flaw for flaw in flaws if flaw.kind == INDENTED]
            bare = raw if "=" in raw or ":" in raw else bare
        self.draft = _Draft(
            source, key, [_value_of(bare)], [raw], self.comments, dict.fromkeys(flaws)
        )
        self.comments = []

    def flush(self) -> None:
        draft, self.draft = self.draft, None
        if draft is not None:
            self.done.append(
                Assignment(
                    source=draft.source,
                    section=self.section,
                    title=self.title,
                    key=draft.key,
                    value="\n".join(draft.parts).strip(),
                    text=tuple(draft.text),
                    comments=tuple(draft.comments),
                    flaws=tuple(draft.flaws),
                )
            )


def _value_of(line: str) -> str:
    at = min(at for at in (line.find(":"), line.find("=")) if at >= 0)
    value = line[at + 1 :].strip()
    return value[1:-1] if value and value[0] == value[-1] and value[0] in "\"'" else value


@cache
def _mendable() -> frozenset[str]:
    """Return the keys whose values are no free text, so that foreign characters are slips."""
    found = set(json_keys())
    for (part, name), option in options().items():
        bare = get_type_hints(sections()[part])[name]
        if option.parse is not None or bare not in (str, str | None):
            found.update(key for _, key, _ in spellings(option))
    return frozenset(found)


def yaml_comments(lines: tuple[str, ...], line: int) -> tuple[str, ...]:
    """Return the comments right above *line*, counted from 1."""
    return tuple(reversed(list(_above(lines, line))))


def _above(lines: tuple[str, ...], line: int) -> Iterator[str]:
    for text in reversed(lines[: max(line - 1, 0)]):
        if not text.lstrip().startswith("#"):
            return
        yield text.strip()
