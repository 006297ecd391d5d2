"""Sends a sequence to both servers, and keeps them alike where they did not agree."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Protocol

from differential.call import Answer, Book, Call
from differential.comparison import MADE_UP, UUID, Difference, Reader, compare
from differential.deliberate import Declared, why
from differential.world import Thing, World

_BROKEN = 500
Next = Callable[[World], tuple[Call, Sequence[Thing]]]


class Asked(Protocol):
    """A server, as far as a run needs one."""

    @property
    def book(self) -> Book: ...

    def ask(self, call: Call) -> Answer: ...


@dataclass(frozen=True, slots=True)
class Found:
    """A difference, with the call and both answers.

    Attributes:
        meant: the entry that declares it; None where nobody meant it.
    """

    number: int
    call: Call
    difference: Difference
    theirs: Answer
    ours: Answer
    meant: Declared | None


@dataclass(slots=True)
class Outcome:
    """What a run came to.

    Attributes:
        statuses: how often the server that is followed gave each answer.
        meant: how often each entry of ``deliberate.toml`` spoke.
    """

    calls: int = 0
    statuses: Counter[int] = field(default_factory=Counter)
    meant: Counter[Declared] = field(default_factory=Counter)
    found: int = 0


class Run:
    """One sequence. *theirs* is followed: what it made is what later calls are about."""

    def __init__(self, theirs: Asked, ours: Asked, world: World, next_call: Next) -> None:
        self._theirs, self._ours = theirs, ours
        self._world = world
        self._next = next_call
        self._said: set[str] = set()
        self.outcome = Outcome()

    def calls(self, number: int) -> Iterator[Found]:
        """Send so many calls; give each difference."""
        for position in range(1, number + 1):
            call, things = self._next(self._world)
            yield from self._one(position, call, things)

    def _one(self, position: int, call: Call, things: Sequence[Thing]) -> Iterator[Found]:
        self._said.update(said_by(call))
        theirs, ours = self._theirs.ask(call), self._ours.ask(call)
        self.outcome.calls += 1
        self.outcome.statuses[theirs.status] += 1
        both = not theirs.is_fault and not ours.is_fault
        if both:
            self._note(self._theirs, call, theirs)
            self._note(self._ours, call, ours)
        found = compare(
            (theirs, Reader(self._theirs.book, self._said).read(call, theirs)),
            (ours, Reader(self._ours.book, self._said).read(call, ours)),
        )
        if theirs.status >= _BROKEN:  # what it made of the call nobody knows
            for name in call.names:
                self._drop(name)
        if theirs.is_fault != ours.is_fault:
            self._part(call, theirs, ours)
        else:
            self._world.learn(call, things, done=both)
            if both and call.method == "DELETE":
                self._drop(call.about)
        goes_on = False
        for difference in found:
            entry = why(call, difference, (theirs, ours))
            if entry is None:
                self.outcome.found += 1
            else:
                self.outcome.meant[entry] += 1
                goes_on |= entry.goes_on
            yield Found(position, call, difference, theirs, ours, entry)
        if goes_on:
            self._delete(call)

    def _note(self, server: Asked, call: Call, answer: Answer) -> None:
        """Remember ids of what was made, and what is shown of what was changed."""
        views = _views(answer)
        if call.makes:
            for name, view in zip(call.makes, views, strict=False):
                server.book.note(name, view)
        elif call.about in server.book and call.path.count("/") == 2 and call.method == "PUT":
            for view in views:
                server.book.note(call.about, view)

    def _part(self, call: Call, theirs: Answer, ours: Answer) -> None:
        """One did it and the other did not: have neither of them keep it."""
        for server, answer in ((self._theirs, theirs), (self._ours, ours)):
            if answer.is_fault or call.method == "GET":
                continue
            for view in _views(answer) if call.makes else ():
                with suppress(KeyError):
                    server.ask(Call(method="DELETE", path=f"{call.path}/{view['id']}"))
        if call.method in ("PUT", "DELETE") and call.about and not call.makes:
            path = "/".join(call.path.split("/")[:3])
            for server in (self._theirs, self._ours):
                server.ask(Call(method="DELETE", path=path))
            self._drop(call.about)

    def _delete(self, call: Call) -> None:
        """Neither keeps what the call made or changed: they would show it differently for ever."""
        collection = "/".join(call.path.split("/")[:2])
        for name in call.makes or (call.about,):
            for server in (self._theirs, self._ours):
                if name in server.book:
                    server.ask(Call(method="DELETE", path=f"{collection}/{{{name}}}"))
            self._drop(name)

    def _drop(self, name: str) -> None:
        self._world.forget(name)
        self._theirs.book.drop(name)
        self._ours.book.drop(name)


def _views(answer: Answer) -> list[dict[str, Any]]:
    if not isinstance(answer.body, dict):
        return []
    inner = next(iter(answer.body.values()), None)
    found = inner if isinstance(inner, list) else [inner]
    return [one for one in found if isinstance(one, dict) and "id" in one]


def said_by(call: Call) -> Iterator[str]:
    """The ids that a call says by itself, and values of what servers make up else."""
    yield from (text for _, text in call.query if "{" not in text and UUID.fullmatch(text))
    yield from _said_in("", call.body)


def _said_in(key: str, value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for name, one in value.items():
            yield from _said_in(name, one)
    elif isinstance(value, list | tuple):
        for one in value:
            yield from _said_in(key, one)
    elif value is not None and (key in MADE_UP or UUID.fullmatch(str(value))):
        yield from (_plain(text) for text in (str(value),) if "{" not in text)


def _plain(text: str) -> str:
    """MACs are shown in one spelling, whichever they are said in."""
    digits = "".join(one for one in text.lower() if one in "0123456789abcdef")
    is_mac = len(digits) == 12 and set(text.lower()) <= set("0123456789abcdef:-.")
    return ":".join(digits[n : n + 2] for n in range(0, 12, 2)) if is_mac else text
