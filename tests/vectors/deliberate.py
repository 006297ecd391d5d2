"""Where Lanekeeper goes another way on purpose, and what it does not do yet: ``deliberate.toml``.

A difference is stated by a rule about a case's input rather than by its id wherever there is a
rule, so that it holds for cases that nobody has seen; the rules are in ``rules.py``.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from typing import Any

from vectors import rules
from vectors.case import Answer, Data

DOCUMENT = Path(__file__).parent / "deliberate.toml"


@dataclass(frozen=True)
class Scope:
    """Which cases are meant: all of *file* that agree with everything that is named.

    Attributes:
        ids: patterns of case ids, as in a shell.
        rule: a function of ``rules.py`` that the case is asked about.
        when: members that the case's answer must have.
    """

    file: str
    ids: tuple[str, ...] = ("*",)
    rule: Callable[[Data], bool] | None = None
    when: Mapping[str, Any] = field(default_factory=dict)

    def holds(self, data: Data, answer: Any) -> bool:
        told = answer if isinstance(answer, dict) else {}
        return (
            any(fnmatchcase(data["id"], pattern) for pattern in self.ids)
            and all(told.get(name) == value for name, value in self.when.items())
            and (self.rule is None or self.rule(data))
        )


@dataclass(frozen=True)
class Difference:
    """One entry.

    Attributes:
        about: which part of the answer, ``expect`` as a rule.
        answer: what Lanekeeper says instead, made from the case.
    """

    scope: Scope
    answer: Callable[[Data], Any]
    reason: str
    document: str
    about: str = "expect"

    def concerns(self, data: Data, answer: Answer) -> bool:
        return self.about == answer.about and self.scope.holds(data, answer.expected)


@dataclass(frozen=True)
class Later:
    """Cases of a feature that is not there yet."""

    scope: Scope
    reason: str


@cache
def differences() -> tuple[Difference, ...]:
    return tuple(
        Difference(
            scope=_scope(one),
            answer=getattr(rules, one["answer"]) if "answer" in one else _always(one["expect"]),
            reason=one["reason"],
            document=one["document"],
            about=one.get("about", "expect"),
        )
        for one in _entries("difference")
    )


@cache
def later() -> tuple[Later, ...]:
    return tuple(Later(_scope(one), one["reason"]) for one in _entries("later"))


def _entries(name: str) -> list[dict[str, Any]]:
    entries: list[dict[str, Any]] = tomllib.loads(DOCUMENT.read_text()).get(name, [])
    return entries


def _scope(one: dict[str, Any]) -> Scope:
    return Scope(
        file=one["file"],
        ids=tuple(one.get("ids", ["*"])),
        rule=getattr(rules, one["rule"]) if "rule" in one else None,
        when=one.get("when", {}),
    )


def _always(answer: Any) -> Callable[[Data], Any]:
    return lambda _: answer
