"""What a sequence of calls has made so far, and chance; the same seed takes the same turns.

It learns from the answers of one server only, so the sequence is that server's, whatever the other
one says.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any, TypeVar

from differential.call import Call

T = TypeVar("T")
_ODDLY = 0.3
"""How many of the calls have something wrong or odd in them."""


@dataclass(frozen=True, slots=True)
class Thing:
    """Something that was made: its name, and names of what it belongs to, by kind."""

    name: str
    kind: str
    of: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Field:
    """Values of one field of a body: those that are right, and those that are wrong or odd."""

    good: Sequence[Any]
    odd: Sequence[Any] = ()
    often: float = 0.2


class World:
    """The sequence's memory and its dice."""

    def __init__(self, seed: int) -> None:
        self.chance = Random(seed)
        self.things: list[Thing] = []
        self._numbers: dict[str, int] = {}
        self._is_odd = False

    def pick(self, values: Sequence[T]) -> T:
        return values[self.chance.randrange(len(values))]

    def happens(self, share: float) -> bool:
        return self.chance.random() < share

    def begin(self) -> None:
        """The next call begins, and nothing in it is odd so far."""
        self._is_odd = False

    def oddly(self, share: float) -> bool:
        """By chance, whether to put something odd into the call; once in a call at most.

        Of a request that is wrong twice, servers may tell either.
        """
        if self._is_odd or not self.happens(share):
            return False
        self._is_odd = True
        return True

    def who(self, share: float) -> str:
        """Whose call it is: seldom a member's, who may not do everything."""
        return "member" if self.oddly(share) else "admin"

    def number(self, kind: str) -> int:
        """The next number of a kind."""
        self._numbers[kind] = self._numbers.get(kind, 0) + 1
        return self._numbers[kind]

    def fresh(self, kind: str) -> str:
        """A name that nothing of the sequence has."""
        return f"{kind}-{self.number(kind)}"

    def of_kind(self, kind: str, **of: str) -> list[Thing]:
        """What there is of a kind, and of what it belongs to."""
        return [
            one
            for one in self.things
            if one.kind == kind and all(one.of.get(name) == value for name, value in of.items())
        ]

    def some(self, kind: str, **of: str) -> str:
        """The name of a thing; where there is none, one that neither server knows."""
        found = self.of_kind(kind, **of)
        return self.pick(found).name if found else "nothing-0"

    def one_of(self, kind: str) -> str:
        """A reference to a thing, seldom to one that is not there, or that is no id."""
        if self.oddly(0.06):
            return self.pick(["00000000-0000-4000-8000-000000000000", "not-an-id"])
        name = self.some(kind)
        return "00000000-0000-4000-8000-000000000000" if name == "nothing-0" else f"{{{name}}}"

    def fields(self, table: Mapping[str, Field], *, odd: bool = True) -> dict[str, Any]:
        """Some fields; where *odd*, one of them may have a value that is refused."""
        found = {
            name: self.pick(one.good)
            for name, one in table.items()
            if one.good and self.happens(one.often)
        }
        oddities = [name for name, one in table.items() if one.odd]
        if oddities and odd and self.oddly(_ODDLY):
            name = self.pick(oddities)
            found[name] = self.pick(table[name].odd)
        return {name: self._fresh_if(value) for name, value in found.items()}

    def _fresh_if(self, value: Any) -> Any:
        """``{fresh}`` is a name that nothing has: lists in the order of names have one order."""
        return self.fresh("renamed") if value == "{fresh}" else value

    def learn(self, call: Call, things: Sequence[Thing], *, done: bool) -> None:
        """Take notice of what a call came to: *things* are there, or gone by a DELETE."""
        if not done:
            return
        self.things += things
        if call.method == "DELETE" and call.about:
            self.forget(call.about)

    def forget(self, name: str) -> None:
        """Call it no more, nor what belongs to it."""
        self.things = [
            one for one in self.things if one.name != name and name not in one.of.values()
        ]
