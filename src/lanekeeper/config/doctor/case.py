"""What the rules judge: everything that the files say, as far as it can be understood."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from lanekeeper.config.correction import with_text_ids
from lanekeeper.config.doctor.host import Host
from lanekeeper.config.doctor.reading import Assignment, Flaw, ReadFile
from lanekeeper.config.doctor.source import Source
from lanekeeper.config.file import NO_SECTION, Entry, substituted
from lanekeeper.config.home import VIO_NAMES, bare_option, option_at
from lanekeeper.config.load import convert
from lanekeeper.config.loose_json import understand
from lanekeeper.config.names import GUIDE_NAMES, as_read, options, rank, sections
from lanekeeper.config.option import Option
from lanekeeper.config.tree import Config
from lanekeeper.domain.errors import Error, Invalid
from lanekeeper.domain.pci.alias import Alias
from lanekeeper.domain.pci.coverage import Coverage, cover
from lanekeeper.domain.pci.device_spec import DeviceSpec
from lanekeeper.domain.pci.spec_key import near_miss

_INLINE = re.compile(r"\s+[#;].*$", re.MULTILINE)
_AFTER_JSON = re.compile(r"([}\]])\s*[#;][^}\]]*$")
_KEY_AND_SIGN = re.compile(r"([^:=]*)[:=]")
_SECRET = re.compile(r"pass?w|secret|token|connection|transport_url|auth_url|_key$", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Line:
    """One assignment, and the option that reads it.

    Attributes:
        option: None for what Lanekeeper does not read.
        is_old: it stands under an old name.
        value: of an option, with ``$name`` replaced and a comment behind it left out.
        comment: what was left out.
    """

    assignment: Assignment
    option: Option | None
    is_old: bool
    value: str
    comment: str = ""

    @property
    def source(self) -> Source:
        return self.assignment.source

    @property
    def rank(self) -> int:
        """0 under today's name, more under older ones, of which others come before."""
        one = self.assignment
        return rank(self.option, one.section, one.key) if self.option and self.is_old else 0

    @property
    def place(self) -> str:
        """How it is spelt, as ``[pci] alias``."""
        one = self.assignment
        if one.is_vio:
            return one.key
        if one.section == NO_SECTION:
            return f"{one.key} outside of a section"
        return f"[{'DEFAULT' if one.section == 'default' else one.title}] {one.key}"


@dataclass(frozen=True, slots=True)
class Object:
    """One JSON object of a device_spec or an alias.

    Attributes:
        entry: as it stands; None where it is no object.
        kinds: rules about how it is written.
        parsed: what it means, with numbers taken for text and misspelt keys for their neighbours.
        errors: every reason why a start would refuse it so mended.
        number: which of its *siblings*, those of the same line, it is, from 1.
    """

    line: Line
    entry: Mapping[str, object] | None
    kinds: frozenset[str] = frozenset()
    twice: tuple[str, ...] = ()
    parsed: DeviceSpec | Alias | None = None
    errors: tuple[Error, ...] = ()
    number: int = 1
    siblings: int = 1

    @property
    def source(self) -> Source:
        return self.line.source

    @property
    def which(self) -> str:
        """What a message about it begins with, as that of a start does: of several, its number."""
        return f"entry {self.number}: " if self.siblings > 1 else ""

    @property
    def shown(self) -> str:
        return f"{self.which}{self}"

    def __str__(self) -> str:
        return json.dumps(self.entry, ensure_ascii=False)


@dataclass(frozen=True)
class Case:
    """Files, and perhaps the host that they are for."""

    files: Sequence[ReadFile]
    host: Host | None = None

    @cached_property
    def lines(self) -> tuple[Line, ...]:
        found = [one for file in self.files for one in file.assignments]
        entries = [
            Entry(one.section, one.key, one.value, str(at), one.is_vio)
            for at, one in enumerate(found)
        ]
        values = {entry.source: entry.value for entry in substituted(entries)}
        return tuple(_line(one, values[str(at)]) for at, one in enumerate(found))

    @cached_property
    def _texts(self) -> Mapping[str, tuple[str, ...]]:
        return {file.name: file.lines for file in self.files}

    @property
    def flaws(self) -> Iterator[tuple[Flaw, Line | None]]:
        for file in self.files:
            yield from ((flaw, None) for flaw in file.flaws)
        for line in self.lines:
            yield from ((flaw, line) for flaw in line.assignment.flaws)

    def text_at(self, source: Source) -> str:
        """Return the line that *source* names; of what may be a secret, its key only."""
        lines = self._texts.get(source.file, ())
        if not 0 < source.line <= len(lines):
            return ""
        text = lines[source.line - 1].strip()
        found = _KEY_AND_SIGN.match(text)
        return f"{found[0]} ..." if found and is_secret(found[1]) else text

    def of(self, key: str) -> tuple[Line, ...]:
        """Return the lines of the option ``[section] key``, under whichever name, as they count."""
        return in_order(line for line in self.lines if line.option and line.option.name == key)

    @cached_property
    def specs(self) -> tuple[Object, ...]:
        return tuple(one for line in self.of("[pci] device_spec") for one in _objects(line))

    @cached_property
    def aliases(self) -> tuple[Object, ...]:
        return tuple(one for line in self.of("[pci] alias") for one in _objects(line))

    @property
    def good_specs(self) -> Iterator[tuple[Object, DeviceSpec]]:
        for one in self.specs:
            if isinstance(one.parsed, DeviceSpec):
                yield one, one.parsed

    @property
    def good_aliases(self) -> Iterator[tuple[Object, Alias]]:
        for one in self.aliases:
            if isinstance(one.parsed, Alias):
                yield one, one.parsed

    @cached_property
    def coverage(self) -> tuple[Host, Coverage] | None:
        """Match what can be read with the host; None where there is none."""
        if self.host is None:
            return None
        specs = [spec for _, spec in self.good_specs]
        aliases = [alias for _, alias in self.good_aliases]
        return self.host, cover(specs, aliases, self.host.facts.devices)

    @cached_property
    def _converted(self) -> Mapping[Source, Any | Error]:
        """Each value of an option that is no JSON, or why it is none."""
        found: dict[Source, Any | Error] = {}
        for line in self.lines:
            if line.option is not None and not is_json(line.option):
                part, name = field_of(line.option)
                try:
                    found[line.source] = convert(sections()[part], name, line.option, line.value)
                except Error as error:
                    found[line.source] = error
        return found

    def error_of(self, line: Line) -> Error | None:
        found = self._converted.get(line.source)
        return found if isinstance(found, Error) else None

    def last(self, key: str) -> Line | None:
        """Return the line of ``[section] key`` that counts: the last that can be read."""
        good = [line for line in self.of(key) if self.error_of(line) is None]
        return good[-1] if good else None

    def value(self, key: str) -> Any:
        """Return the value of ``[section] key``: what the last line says, or the default."""
        line = self.last(key)
        if line is not None:
            return self._converted[line.source]
        option = next(one for one in options().values() if one.name == key)
        part, name = field_of(option)
        return getattr(getattr(Config(), part), name)


def in_order(lines: Iterable[Line]) -> tuple[Line, ...]:
    """Return the lines of one option in the order in which they count, the last most."""
    return tuple(as_read(tuple(lines), lambda line: (line.source.file, line.rank)))


def is_secret(key: str) -> bool:
    """Whether the value of *key* may be one that nobody should read over a shoulder."""
    return _SECRET.search(key) is not None


def is_json(option: Option) -> bool:
    return option.name in ("[pci] device_spec", "[pci] alias")


def field_of(option: Option) -> tuple[str, str]:
    """Return (field of Config, field of its section)."""
    return next(place for place, one in options().items() if one is option)


def _line(one: Assignment, value: str) -> Line:
    section, key = (
        VIO_NAMES.get(one.key, ("vio", one.key)) if one.is_vio else (one.section, one.key)
    )
    guide = GUIDE_NAMES.get((section or "pci", key))
    option, is_old = option_at(*(guide or (section, key)))
    if option is None and section == NO_SECTION:
        option, is_old = bare_option(key), True
    comment = ""
    if option is not None and not one.is_vio:
        value, comment = _without_comment(option, value)
    return Line(one, option, is_old, value, comment)


def _without_comment(option: Option, value: str) -> tuple[str, str]:
    if is_json(option):
        bare = _AFTER_JSON.sub(r"\1", value)
    elif option.parse is None and option.key not in ("mechanism_drivers", "type_drivers"):
        part, name = field_of(option)
        default = getattr(getattr(Config(), part), name)
        # Free text may well hold a hash; a number or a flag may not.
        bare = _INLINE.sub("", value) if isinstance(default, int | float) else value
    else:
        bare = _INLINE.sub("", value)
    return bare, value[len(bare) :].strip() if bare != value else ""


def _objects(line: Line) -> Iterator[Object]:
    try:
        understood = understand(line.value)
    except Invalid as error:
        yield Object(line, None, errors=(error,))
        return
    value = understood.value
    entries = value if isinstance(value, list) else [value]
    assert line.option is not None
    if not entries and line.option.key == "alias":
        entries = [value]  # no entries list no device, but no alias is none
    bare = Object(line, None, siblings=len(entries))
    for number, entry in enumerate(entries, start=1):
        place = replace(bare, number=number)
        if not isinstance(entry, dict):
            wrong = Invalid(f"{json.dumps(entry)} is not a JSON object", hint="{...} is one")
            yield replace(place, errors=(wrong,))
            continue
        parsed, errors = _parse(line, entry)
        yield replace(
            place,
            entry=entry,
            kinds=understood.kinds,
            twice=understood.twice,
            parsed=parsed,
            errors=errors,
        )


def with_known_keys(entry: Mapping[str, object]) -> dict[str, object]:
    """Return an entry of device_spec with misspelt keys replaced by those that they look like.

    To judge the rest of it by; nobody knows whether they are meant.
    """
    return {near_miss(key) or key: value for key, value in entry.items()}


def _parse(
    line: Line, entry: Mapping[str, object]
) -> tuple[DeviceSpec | Alias | None, tuple[Error, ...]]:
    assert line.option is not None
    is_spec = line.option.key == "device_spec"
    mended = with_text_ids(with_known_keys(entry) if is_spec else entry)
    source = str(line.source)
    try:
        if is_spec:
            return DeviceSpec.parse(mended, source=source), ()
        return Alias.parse(mended, source=source), ()
    except Error as whole:
        errors = {str(whole): whole}
    base = {} if is_spec else {"name": "a", "vendor_id": "0000", "product_id": "0000"}
    for key, value in mended.items():
        try:
            (DeviceSpec if is_spec else Alias).parse(base | {key: value})
        except Error as error:
            errors[str(error)] = error
    return None, tuple(errors.values())
