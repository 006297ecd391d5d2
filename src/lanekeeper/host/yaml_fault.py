"""What PyYAML finds wrong in a text, in words for whoever wrote it.

Its own words speak of tokens, simple keys and block ends. ``_FAULTS`` has what people do to get
each of them; what is not in there is called not YAML, with its place.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

import yaml

from lanekeeper.domain.errors import Invalid

_QUOTE = "put the value in quotes"
COLUMN = "lines that belong together begin in the same column"
_KEY_VALUE = "key: value, with a blank after the colon"
INVISIBLE = re.compile("[\xa0\xad\u2000-\u200f\u2028-\u202f\u205f-\u2064\u3000\ufeff]")
NO_BLANK = re.compile(r"\s*(?:- )*([\w-]+):[^\s/]")
_VALUE_BEFORE = re.compile(r"\s*(?:- )*[^\s:]+:\s+\S")
_TOKENS = {
    "<stream end>": "the end of the file",
    "<document start>": "---",
    "<document end>": "...",
    "<scalar>": "a value",
    "<block mapping start>": "a key",
    "<block end>": "the end of what is indented",
    "?": "a key",
    ":": "a colon",
    ",": "a comma",
    "-": "a list entry",
    "<block sequence start>": "a list entry",
    "<alias>": "an alias",
    "<anchor>": "an anchor",
    "<tag>": "a tag",
}


class YamlInvalid(Invalid):
    """A text is not the YAML that is taken. *line* and *column* count from 1.

    Attributes:
        before: what else was found up to there, without which the rest could still be read.
    """

    def __init__(self, line: int, column: int, message: str, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.line = line
        self.column = column
        self.before: tuple[YamlInvalid, ...] = ()


@dataclass(frozen=True, slots=True)
class _Fault:
    """What PyYAML found: *line* is the text of the line that *mark* is in."""

    error: yaml.MarkedYAMLError
    mark: yaml.Mark
    lines: list[str]

    @property
    def line(self) -> str:
        return self.lines[self.mark.line] if self.mark.line < len(self.lines) else ""

    @property
    def before(self) -> str:
        """The nearest line above that says something."""
        above = (line for line in reversed(self.lines[: self.mark.line]) if _says_something(line))
        return next(above, "")

    @property
    def found(self) -> str:
        """What PyYAML says that it found in place of something else."""
        told = re.search(r"(?:found|got) (?:character )?['\"](.*)['\"]", str(self.error.problem))
        return told[1] if told else ""

    @property
    def told(self) -> str:
        return _TOKENS.get(self.found, self.found) or "something else"


def _says_something(line: str) -> bool:
    return bool(line.strip()) and not line.lstrip().startswith("#")


Words = Callable[[_Fault], tuple[str, str]]


def explained(error: yaml.MarkedYAMLError, text: str) -> YamlInvalid:
    """Say in our words what *error* found in *text*, where, and what would be right."""
    lines = text.splitlines()
    mark = error.problem_mark or error.context_mark
    assert mark is not None  # scanner and parser always say where
    fault = _Fault(error, mark, lines)
    unseen = _tab(fault) or _odd_blank(fault)
    if unseen is not None:
        return unseen
    said = f"{error.context or ''}: {error.problem or ''}"
    for pattern, at_context, words in _FAULTS:
        if re.search(pattern, said):
            begun = error.context_mark
            if at_context and begun is not None:
                fault = _Fault(error, begun, lines)
            return YamlInvalid(fault.mark.line + 1, fault.mark.column + 1, *words(fault))
    hint = "look at indentation, quotes, colons and brackets right before it"
    return YamlInvalid(mark.line + 1, mark.column + 1, "not YAML from here on", hint)


def _tab(fault: _Fault) -> YamlInvalid | None:
    """A tab is what is wrong where it is the indentation, or the very character complained of."""
    blanks = len(fault.line) - len(fault.line.lstrip())
    at = fault.line.find("\t", 0, blanks)
    if at < 0 and fault.line[fault.mark.column : fault.mark.column + 1] == "\t":
        at = fault.mark.column
    if at < 0:
        return None
    hint = "put blanks in its place; editors can show tabs"
    return YamlInvalid(fault.mark.line + 1, at + 1, "a tab, where YAML takes blanks only", hint)


def _odd_blank(fault: _Fault) -> YamlInvalid | None:
    first = fault.error.context_mark.line if fault.error.context_mark else fault.mark.line
    for number in range(first, min(fault.mark.line + 1, len(fault.lines))):
        odd = INVISIBLE.search(fault.lines[number].partition(" #")[0])
        if odd:
            return hidden(odd[0], number + 1, odd.start() + 1)
    return None


def hidden(character: str, line: int, column: int) -> YamlInvalid:
    """Return what is said of a *character* that nobody sees."""
    what = f"a blank or mark that YAML takes for text: U+{ord(character):04X}"
    return YamlInvalid(line, column, what, "type it anew, as a plain blank or not at all")


def _constant(message: str, hint: str) -> Words:
    return lambda _: (message, hint)


def _no_start(fault: _Fault) -> tuple[str, str]:
    return f"no value begins with {fault.found}", _QUOTE


def _second_colon(fault: _Fault) -> tuple[str, str]:
    """A key where none can be: its line has one already, or an earlier one ended too late."""
    if _VALUE_BEFORE.match(fault.line[: fault.mark.column]):
        return "a colon and a blank within a value", _QUOTE
    missed = NO_BLANK.match(fault.before)
    if missed:
        what = f"a key, while {missed[1]} above it has no blank after its colon"
        return what, f"{missed[1]}: with a blank"
    return "a key that is indented further than the line above it allows", COLUMN


def _no_colon(fault: _Fault) -> tuple[str, str]:
    word = fault.line[fault.mark.column :].strip()
    missed = NO_BLANK.match(word)
    hint = f"{missed[1]}: with a blank after the colon" if missed else _KEY_VALUE
    return f"no key and no list entry: {word!r:.40}", hint


def _not_closed(fault: _Fault) -> tuple[str, str]:
    quote = fault.line[fault.mark.column : fault.mark.column + 1] or "the quote"
    return f"{quote} is not closed", "end the value with the same quote, in the same line"


def _escape(_fault: _Fault) -> tuple[str, str]:
    return "a backslash that begins no escape in double quotes", "single quotes take it as it is"


def _bracket(opening: str, closing: str) -> Words:
    def words(fault: _Fault) -> tuple[str, str]:
        begun = fault.error.context_mark
        where = f" of line {begun.line + 1}, column {begun.column + 1}," if begun else ""
        what = f"{opening}{where} is not closed, and here comes {fault.told}"
        return what, f"close it with {closing}; a comma stands between entries"

    return words


def _block_end(fault: _Fault) -> tuple[str, str]:
    """Something that continues nothing: another column, or text behind a value that is over."""
    if fault.found in ("]", "}"):
        return f"{fault.found} closes nothing", "drop it, or open it before"
    if fault.found == ":":
        return "no key stands before the colon", _KEY_VALUE
    if fault.line[: fault.mark.column].strip(" -"):
        what = f"{fault.told} behind a value that is over already"
        return what, "quote the value as a whole; lists with commas stand in [ ]"
    begun = fault.error.context_mark
    as_that = f", as line {begun.line + 1} does in column {begun.column + 1}" if begun else ""
    return f"{fault.told} in a column where nothing began before", f"{COLUMN}{as_that}"


def _document_over(fault: _Fault) -> tuple[str, str]:
    if fault.found in ("]", "}"):
        return f"{fault.found} closes nothing", "drop it, or open it before"
    what = f"{fault.told}, when the document is over already"
    return what, f"{COLUMN}, here the first line's; a line ... ends a document"


def _no_value(fault: _Fault) -> tuple[str, str]:
    if fault.found == "<stream end>":
        return "the file ends where a value belongs", "close the brackets that are open"
    return f"a value belongs here, not {fault.told}", f"{_QUOTE}, or drop what stands here"


_ENTRY = "each entry of a list on a line of its own below its key, or all in brackets: [a, b]"
_FAULTS: tuple[tuple[str, bool, Words], ...] = (
    ("cannot start any token", False, _no_start),
    ("mapping values are not allowed", False, _second_colon),
    ("could not find expected ':'", True, _no_colon),
    ("sequence entries (are )?not allowed", False, _constant("a list entry within a line", _ENTRY)),
    ("mapping keys are not allowed", False, _constant("a question mark and a blank", _QUOTE)),
    ("quoted scalar: found unexpected", True, _not_closed),
    ("double-quoted scalar", False, _escape),
    (
        "scanning an alias",
        True,
        _constant("* begins an alias in YAML", 'put a glob in quotes: "0000:21:*.*"'),
    ),
    ("scanning an anchor", True, _constant("& begins an anchor in YAML", _QUOTE)),
    (
        "scanning a block scalar",
        True,
        _constant("| and > begin a text of several lines in YAML", _QUOTE),
    ),
    ("tag", True, _constant("! begins a tag in YAML", _QUOTE)),
    (
        "directive|incompatible YAML document",
        True,
        _constant("a line with % begins a directive", "drop it; YAML 1.1 is what is read"),
    ),
    ("expected ',' or '\\]'", False, _bracket("[", "]")),
    ("expected ',' or '}'", False, _bracket("{", "}")),
    ("expected <block end>", False, _block_end),
    ("expected '<document start>'", False, _document_over),
    ("expected the node content", False, _no_value),
)
"""What is to be found in PyYAML's context and problem, whether the place is where that began, and
what is said of it. Source: PyYAML 6.0, scanner.py and parser.py."""
