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

from vectors import rules, rules_placing
from vectors.case import Answer, Data

DOCUMENT = Path(__file__).parent / "deliberate.toml"


@dataclass(frozen=True)
class Scope:
    """Which cases are meant: all of *files* that agree with everything that is named.

    Attributes:
        files: kinds of files, such as ``nova/alias``.
        ids: patterns of case ids, as in a shell.
        rule: a function of ``rules.py`` that the case is asked about.
        when: members that the case's answer must have.
    """

    files: tuple[str, ...]
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
        about: which parts of the answer, ``expect`` as a rule.
        answer: what Lanekeeper says instead, made of the case and of the answer that it has.
    """

    scope: Scope
    answer: Callable[[Data, Answer], Any]
    reason: str
    document: str
    about: tuple[str, ...] = ("expect",)

    def concerns(self, data: Data, answer: Answer) -> bool:
        return answer.about in self.about and self.scope.holds(data, answer.expected)


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
            answer=_rule(one["answer"]) if "answer" in one else _always(one["expect"]),
            reason=one["reason"],
            document=one["document"],
            about=_several(one.get("about", "expect")),
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
        files=_several(one["file"]),
        ids=tuple(one.get("ids", ["*"])),
        rule=_rule(one["rule"]) if "rule" in one else None,
        when=one.get("when", {}),
    )


def _rule(name: str) -> Callable[..., Any]:
    """The function of that name: ``typed_tags``, or ``placing.fits`` of another module."""
    module, _, function = name.rpartition(".")
    found: Callable[..., Any] = getattr(rules_placing if module == "placing" else rules, function)
    return found


def _several(names: str | list[str]) -> tuple[str, ...]:
    return (names,) if isinstance(names, str) else tuple(names)


def _always(answer: Any) -> Callable[[Data, Answer], Any]:
    return lambda _data, _answer: answer
