"""Where Lanekeeper answers another way than Neutron on purpose: ``deliberate.toml``."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from typing import Any

from differential import rules
from differential.call import Answer, Call
from differential.comparison import Difference

DOCUMENT = Path(__file__).parent / "deliberate.toml"


@dataclass(frozen=True, slots=True)
class Declared:
    """One entry: all patterns are a shell's.

    Attributes:
        calls: the operations that are meant, ``PUT /ports/*``.
        about: the part of the answer, as ``Difference`` has it.
        they_say, we_say: the message of either fault.
        rule: what has to be true of the call, a function of ``rules.py``.
        goes_on: what was made would be shown differently from then on, so neither keeps it.
    """

    calls: tuple[str, ...]
    about: tuple[str, ...]
    theirs: str
    ours: str
    reason: str
    document: str
    they_say: tuple[str, ...] = ("*",)
    we_say: tuple[str, ...] = ("*",)
    rule: Callable[[Call], bool] | None = None
    goes_on: bool = False

    def holds(self, call: Call, found: Difference, messages: tuple[str, str] = ("", "")) -> bool:
        return (
            any(fnmatchcase(call.operation, pattern) for pattern in self.calls)
            and any(fnmatchcase(found.about, pattern) for pattern in self.about)
            and fnmatchcase(found.theirs, self.theirs)
            and fnmatchcase(found.ours, self.ours)
            and any(fnmatchcase(messages[0], pattern) for pattern in self.they_say)
            and any(fnmatchcase(messages[1], pattern) for pattern in self.we_say)
            and (self.rule is None or self.rule(call))
        )


@cache
def declared() -> tuple[Declared, ...]:
    entries = tomllib.loads(DOCUMENT.read_text()).get("difference", [])
    return tuple(map(_entry, entries))


def why(call: Call, found: Difference, answers: tuple[Answer, Answer]) -> Declared | None:
    """The entry that is about this difference; None where nobody meant it."""
    messages = (answers[0].message, answers[1].message)
    return next((one for one in declared() if one.holds(call, found, messages)), None)


def _entry(one: dict[str, Any]) -> Declared:
    return Declared(
        calls=_several(one["calls"]),
        about=_several(one.get("about", "answer")),
        theirs=one.get("theirs", "*"),
        ours=one.get("ours", "*"),
        reason=one["reason"],
        document=one.get("document", ""),
        they_say=_several(one.get("they_say", "*")),
        we_say=_several(one.get("we_say", "*")),
        rule=getattr(rules, one["rule"]) if "rule" in one else None,
        goes_on=one.get("goes_on", False),
    )


def _several(names: str | list[str]) -> tuple[str, ...]:
    return (names,) if isinstance(names, str) else tuple(names)
