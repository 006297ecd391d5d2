"""YAML as a policy may have it: one document of plain values, written out.

No aliases, no tags, no second document, no key twice, nothing that goes on in the next line
unquoted. What is wrong is told with line and column; the words for what PyYAML finds are in
``host/yaml_fault.py``.
"""

from __future__ import annotations

import re
from typing import Any

import yaml

from lanekeeper.host.yaml_fault import COLUMN, INVISIBLE, NO_BLANK, YamlInvalid, explained, hidden

_DEPTH_MAX = 16
_TAG = "tag:yaml.org,2002:"
_PLAIN = {f"{_TAG}{name}" for name in ("int", "float", "bool", "null")}
_MARKS = {
    b"\xef\xbb\xbf": "utf-8-sig",
    b"\xff\xfe": "UTF-16",
    b"\xfe\xff": "UTF-16",
}
_UNPRINTABLE = re.compile(
    "[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]"  # YAML 1.1, 5.1
)
_QUOTE = re.compile("[\xab\xbb\xb4\u2018-\u201f\u2032\u2033\u2039\u203a]")
_DASH = re.compile("[\xb7\u2010-\u2015\u2022\u2023\u2212\u25aa](?= |$)")


def decode(data: bytes) -> str:
    """Return the text of a file. Raises YamlInvalid."""
    for mark, encoding in _MARKS.items():
        if data.startswith(mark):
            if encoding != "UTF-16":
                break
            raise YamlInvalid(1, 1, f"is {encoding}, as some editors write", "save it as UTF-8")
    if b"\0" in data[:4]:  # YAML 1.1, 5.2: so does a text begin that has no mark
        raise YamlInvalid(1, 1, "is UTF-16 or UTF-32, or no text at all", "save it as UTF-8")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        before = data[: error.start].decode("utf-8")
        what = f"not UTF-8: byte 0x{data[error.start]:02X}"
        hint = "save it as UTF-8; another encoding, or no text at all, it seems to be"
        raise YamlInvalid(*_place(before, len(before)), what, hint) from error


class Document:
    """What a text says, as plain values, and on which line each stands, by its path.

    Attributes:
        value: what it says.
        doubles: keys that stand twice; the first counts. Whoever reads on refuses them, too.

    Raises:
        YamlInvalid: it is not YAML, or more than a policy may have.
    """

    def __init__(self, text: str) -> None:
        self._text = text
        self._lines: dict[str, int] = {}
        self.doubles: list[YamlInvalid] = []
        odd = _UNPRINTABLE.search(text)
        if odd:
            what = f"a character that no text has: U+{ord(odd[0]):04X}"
            raise YamlInvalid(*_place(text, odd.start()), what, "drop it, or type the line anew")
        self._open: list[yaml.CollectionStartEvent] = []
        self._loader: Any = yaml.SafeLoader(text)  # its methods have no types
        try:
            self.value = self._document()
        except yaml.MarkedYAMLError as error:
            fault = explained(error, text)
            fault.before = tuple(self.doubles)
            raise fault from error
        except YamlInvalid as error:
            error.before = tuple(self.doubles)
            raise
        finally:
            self._loader.dispose()

    def line(self, path: str) -> int:
        """Return the line of *path*, or of the nearest thing around it that has one."""
        while path and path not in self._lines:
            path = path[: max(path.rfind("."), path.rfind("["), 0)]
        return self._lines.get(path, 1)

    def _document(self) -> Any:
        self._loader.get_event()  # the stream begins
        if self._loader.check_event(yaml.StreamEndEvent):
            return None
        self._loader.get_event()  # the document begins
        found = self._value("", 0)
        self._loader.get_event()
        if not self._loader.check_event(yaml.StreamEndEvent):
            what = "a second document begins here, and a policy is one"
            hint = "drop the line --- (or ...) and what follows it, or put that into another file"
            raise _at(self._loader.peek_event(), what, hint)
        return found

    def _value(self, path: str, depth: int) -> Any:
        event = self._loader.get_event()
        self._lines.setdefault(path, _begin(event).line + 1)
        named = f"{path}: " if path else ""
        if isinstance(event, yaml.AliasEvent):
            hint = 'write it out; aliases can hide bombs. A glob stands in quotes: "0000:21:*.*"'
            raise _at(event, f"{named}is an alias, *{event.anchor}", hint)
        if event.tag is not None:
            what = f"{named}has a tag, {event.tag.replace(_TAG, '!!')}"
            raise _at(event, what, "drop it; a value that begins with ! stands in quotes")
        if isinstance(event, yaml.ScalarEvent):
            return self._scalar(event)
        if depth >= _DEPTH_MAX:
            raise _at(event, f"{named:.60}is nested too deep", f"at most {_DEPTH_MAX} levels")
        self._open += [event] if event.flow_style else []
        is_mapping = isinstance(event, yaml.MappingStartEvent)
        found = self._mapping(path, depth) if is_mapping else self._sequence(path, depth)
        self._loader.get_event()
        self._open = self._open[:-1] if event.flow_style else self._open
        return found

    def _sequence(self, path: str, depth: int) -> list[Any]:
        found: list[Any] = []
        before: yaml.Event | None = None
        while not self._loader.check_event(yaml.SequenceEndEvent):
            event = self._loader.peek_event()
            self._refuse_split(before, event)
            found.append(self._value(f"{path}[{len(found)}]", depth + 1))
            before = event
        return found

    def _refuse_split(self, before: yaml.Event | None, event: yaml.Event) -> None:
        """Refuse a comma that seems to be part of one value: ``[isolcpus=1,2]``."""
        if not (isinstance(before, yaml.ScalarEvent) and isinstance(event, yaml.ScalarEvent)):
            return
        between = self._text[_end(before).index : _begin(event).index]
        if between != "," or before.style is not None or event.style is not None:
            return
        if "=" not in before.value or "=" in event.value:
            return
        whole = re.match(r"[^\s\]]*", self._text[_begin(before).index :])
        text = whole[0].rstrip(",") if whole else ""
        what = f"the comma ends the value {before.value}, and {event.value} is one of its own"
        raise _at(event, what, f'quote it: "{text}"; two values have a blank behind the comma')

    def _mapping(self, path: str, depth: int) -> dict[str, Any]:
        found: dict[str, Any] = {}
        while not self._loader.check_event(yaml.MappingEndEvent):
            event = self._loader.get_event()
            if not isinstance(event, yaml.ScalarEvent) or event.tag is not None:
                raise _at(event, "a key is no plain word", "key: value")
            self._refuse_typography(event)
            key = str(event.value)
            if not key:
                raise _at(event, "no key stands before the colon", "key: value")
            inner = f"{path}.{key}" if path else key
            if key in found:
                self._double(event, inner, depth)
                continue
            self._lines[inner] = _begin(event).line + 1
            found[key] = self._value(inner, depth + 1)
        return found

    def _double(self, event: yaml.Event, path: str, depth: int) -> None:
        """Note the key, and read over its value: what is wrong elsewhere is told as well."""
        before = f"first in line {self._lines[path]}"
        fault = _at(event, f"{path}: stands twice, {before}", "drop one of them")
        self.doubles.append(fault)
        lines = dict(self._lines)
        self._value(path, depth + 1)
        self._lines = lines

    def _scalar(self, event: yaml.ScalarEvent) -> Any:
        self._refuse_typography(event)
        tag = self._loader.resolve(yaml.ScalarNode, event.value, event.implicit)
        if tag not in _PLAIN:  # a date is the text that it is written as
            return event.value
        try:
            return self._loader.construct_object(yaml.ScalarNode(tag, event.value))
        except ValueError:  # looks like a number, and is none: 0b_
            return event.value

    def _refuse_typography(self, event: yaml.ScalarEvent) -> None:
        """Refuse what looks like YAML and is not: what web pages and word processors make of it."""
        begin, end = _begin(event).index, _end(event).index
        odd = INVISIBLE.search(self._text, begin, end)
        if odd:
            raise hidden(odd[0], *_place(self._text, odd.start()))
        if event.style is not None:
            return
        if _QUOTE.match(event.value):
            what = f"{event.value[0]} is no quote in YAML but part of the value"
            raise _at(event, what, "straight quotes: \" or '")
        if _DASH.match(event.value):
            hint = "a list entry begins with a hyphen and a blank: - "
            raise _at(event, f"{event.value[0]} is no hyphen", hint)
        if _begin(event).line != _end(event).line:
            self._goes_on(event)

    def _goes_on(self, event: yaml.ScalarEvent) -> None:
        """Refuse a value that YAML continues in the next line, since a key was meant there."""
        rest = self._text[_begin(event).index : _end(event).index]
        first, _, after = rest.partition("\n")
        at = _begin(event).index + len(first) + 1 + len(after) - len(after.lstrip())
        what = f"continues the value of line {_begin(event).line + 1}: {first.strip()!r:.40}"
        key = NO_BLANK.match(after) or NO_BLANK.match(first)
        is_key = self._text[_end(event).index : _end(event).index + 1] == ":"
        hint = COLUMN if is_key else "one value, one line"
        if self._open:
            bracket = self._open[-1]
            line, column = _begin(bracket).line + 1, _begin(bracket).column + 1
            hint = f"close the bracket of line {line}, column {column}, before; commas part entries"
        hint = f"{key[1]}: with a blank after the colon" if key else hint
        raise YamlInvalid(*_place(self._text, at), what, hint)


def _begin(event: yaml.Event) -> yaml.Mark:
    assert isinstance(event.start_mark, yaml.Mark)
    return event.start_mark


def _end(event: yaml.Event) -> yaml.Mark:
    assert isinstance(event.end_mark, yaml.Mark)
    return event.end_mark


def _at(event: yaml.Event, what: str, hint: str) -> YamlInvalid:
    return YamlInvalid(_begin(event).line + 1, _begin(event).column + 1, what, hint)


def _place(text: str, at: int) -> tuple[int, int]:
    """Return line and column of the character at *at*, both from 1."""
    return text.count("\n", 0, at) + 1, at - text.rfind("\n", 0, at)
