"""Regular expressions on short texts, in time that is bounded whatever the expression.

Python's ``re`` backtracks: ``(a|a)*(a|a)*...`` keeps it busy for hours even on the eight digits of
a PCI domain, and an agent asks each of its entries about each of a thousand functions. Here a part
of an expression is asked once for each position of the text, so the work grows with the product of
the two lengths.
"""

from __future__ import annotations

import re
import warnings
from dataclasses import dataclass, field
from functools import lru_cache

from lanekeeper.domain.errors import Invalid

LENGTH_MAX = 256
_REPEAT = re.compile(r"([*+?])|\{(\d*)(,?)(\d*)\}", re.ASCII)
_FOREVER = 1 << 30
_GROUP = re.compile(r"\((?:\?:|\?P<\w+>|(\?=)|(\?!))?")
_CHARACTER = re.compile(
    r"\\(?:x[0-9a-f]{2}|u[0-9a-f]{4}|[^\dABZbz])|\.|\[\^?\]?(?:\\.|[^\]\\])*\]", re.I
)


@lru_cache(maxsize=1024)
def starts_with(expression: str, text: str) -> bool:
    """Say whether *text* begins with what *expression* matches, as ``re.match`` would.

    Raises:
        Invalid: see ``parse``.
    """
    return bool(_Match(text).ends(parse(expression), 0))


@dataclass(frozen=True, slots=True)
class Character:
    """One character that *pattern* matches."""

    pattern: re.Pattern[str]


@dataclass(frozen=True, slots=True)
class Boundary:
    """A place between characters: ``^``, ``$`` and their kin."""

    pattern: re.Pattern[str]


@dataclass(frozen=True, slots=True)
class Sequence:
    parts: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Either:
    choices: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Repeat:
    part: Node
    least: int
    most: int


@dataclass(frozen=True, slots=True)
class Ahead:
    """What comes next has to be *part*, or must not be; it is not consumed."""

    part: Node
    wanted: bool


Node = Character | Boundary | Sequence | Either | Repeat | Ahead


@lru_cache(maxsize=256)
def parse(expression: str) -> Node:
    """Read an expression of Python's, less back-references and what looks behind.

    Raises:
        Invalid: not a regular expression, longer than 256 characters, or one that looks back; the
            part that is meant is named.
    """
    if len(expression) > LENGTH_MAX:
        raise Invalid(f"{expression[:40]!r}... is longer than {LENGTH_MAX} characters")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of what a later Python may read otherwise
            re.compile(expression)
    except (re.error, OverflowError, RecursionError) as error:
        raise Invalid(
            f"{expression!r} is not a regular expression: {error}",
            hint="any value is written '.*'",
        ) from error
    return _Reader(expression).read()


@dataclass(slots=True)
class _Reader:
    """Takes apart what ``re.compile`` has found to be right."""

    text: str
    position: int = 0
    flags: re.RegexFlag = field(default=re.NOFLAG)

    def read(self) -> Node:
        if self.text.startswith("(?i)"):
            self.flags, self.position = re.IGNORECASE, len("(?i)")
        return self._either()

    def _either(self) -> Node:
        choices = [self._sequence()]
        while self._take("|"):
            choices.append(self._sequence())
        return choices[0] if len(choices) == 1 else Either(tuple(choices))

    def _sequence(self) -> Node:
        parts = []
        while self.position < len(self.text) and self.text[self.position] not in "|)":
            parts.append(self._repeated(self._atom()))
        return parts[0] if len(parts) == 1 else Sequence(tuple(parts))

    def _repeated(self, part: Node) -> Node:
        found = _REPEAT.match(self.text, self.position)
        if found is None or found[0] in {"{}"}:
            return part
        self.position = found.end()
        if self._take("?"):
            pass  # who asks only whether it matches does not see the difference
        elif self._take("+"):
            raise self._foreign(found[0] + "+")
        if found[1]:
            return Repeat(part, int(found[1] == "+"), 1 if found[1] == "?" else _FOREVER)
        least = int(found[2] or 0)
        most = int(found[4] or _FOREVER) if found[3] else least
        return Repeat(part, least, most)

    def _atom(self) -> Node:
        if found := _CHARACTER.match(self.text, self.position):
            self.position = found.end()
            return self._character(found[0])
        letter = self.text[self.position]
        if letter == "(":
            return self._group()
        if letter in "^$":
            self.position += 1
            return Boundary(re.compile(letter))
        if letter == "\\":
            two = self.text[self.position : self.position + 2]
            if two[1] not in "ABZb":
                raise self._foreign(two)
            self.position += 2
            return Boundary(re.compile(two))
        self.position += 1
        return self._character(re.escape(letter))

    def _group(self) -> Node:
        found = _GROUP.match(self.text, self.position)
        assert found is not None
        if self.text.startswith("?", found.end()):
            raise self._foreign(self.text[self.position : self.position + 4])
        self.position = found.end()
        part = self._either()
        assert self._take(")")
        return Ahead(part, wanted=bool(found[1])) if found[1] or found[2] else part

    def _character(self, text: str) -> Character:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return Character(re.compile(text, self.flags))

    def _take(self, letter: str) -> bool:
        taken = self.text.startswith(letter, self.position)
        self.position += taken
        return taken

    def _foreign(self, piece: str) -> Invalid:
        return Invalid(f"{self.text!r} has {piece!r}, which is not taken in expressions here")


@dataclass(slots=True)
class _Match:
    """Where on one text the parts of an expression can end, remembered for each beginning."""

    text: str
    known: dict[tuple[int, int], frozenset[int]] = field(default_factory=dict)

    def ends(self, node: Node, start: int) -> frozenset[int]:
        key = id(node), start
        if key not in self.known:
            self.known[key] = self._find(node, start)
        return self.known[key]

    def _find(self, node: Node, start: int) -> frozenset[int]:
        match node:
            case Character():
                fits = start < len(self.text) and node.pattern.fullmatch(self.text[start])
                return frozenset({start + 1} if fits else ())
            case Boundary():
                return frozenset({start} if node.pattern.match(self.text, start) else ())
            case Sequence():
                here = frozenset({start})
                for part in node.parts:
                    here = self._step(part, here)
                return here
            case Either():
                return frozenset().union(*(self.ends(choice, start) for choice in node.choices))
            case Ahead():
                return frozenset(
                    {start} if bool(self.ends(node.part, start)) is node.wanted else ()
                )
            case Repeat():
                return self._repeat(node, start)

    def _repeat(self, node: Repeat, start: int) -> frozenset[int]:
        # Who moves on at every turn is at the end of the text after so many; others may wait.
        turns = len(self.text) + 1
        here = frozenset({start})
        for _ in range(min(node.least, turns)):
            here = self._step(node.part, here)
        found = here
        for _ in range(min(node.most - node.least, turns)):
            here = self._step(node.part, here) - found
            if not here:
                break
            found |= here
        return found

    def _step(self, part: Node, here: frozenset[int]) -> frozenset[int]:
        return frozenset().union(*(self.ends(part, start) for start in here))
