"""A host policy's file: YAML, strict, and every error with its line."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from lanekeeper.domain.errors import Invalid
from lanekeeper.domain.hostplan.policy.policy import Policy, parse_policy
from lanekeeper.domain.hostplan.policy.reading import PolicyInvalid
from lanekeeper.domain.hostplan.step import Caution, Plan, Refusal, Unmet
from lanekeeper.host.strict_yaml import Document, decode
from lanekeeper.host.yaml_fault import YamlInvalid

T = TypeVar("T", Refusal, Unmet | Caution)

_PATH = re.compile(r"[a-z_]+(?:\[\d+\])?(?:\.[\w-]+(?:\[\d+\])?)*")
_BYTES_MAX = 2**18


def read_policy(path: Path) -> Policy:
    """Read the policy at *path*.

    Raises:
        Invalid: unreadable, not YAML, or wrong; the message names file and line of all that is.
    """
    try:
        with path.open("rb") as file:
            data = file.read(_BYTES_MAX + 1)  # a device never ends
    except OSError as error:
        raise Invalid(f"{path}: cannot be read: {error.strerror}") from error
    if len(data) > _BYTES_MAX:
        hint = f"a policy has at most {_BYTES_MAX} bytes"
        raise Invalid(f"{path}: too long for a policy", hint=hint)
    try:
        text = decode(data)
    except YamlInvalid as error:
        raise _placed(error, str(path)) from error
    return load_policy(text, str(path))


def load_policy(text: str, source: str) -> Policy:
    """Read a policy from *text*; errors begin with *source* and the line. Raises Invalid."""
    try:
        document = Document(text)
    except YamlInvalid as error:
        found = [_placed(each, source) for each in (*error.before, error)]
        raise PolicyFileInvalid.joined(found) from error
    found = [_placed(each, source) for each in document.doubles]
    try:
        policy = parse_policy(document.value, text, source)
    except PolicyInvalid as error:
        found += [_located(part, document, source) for part in error.parts]
    if found:
        found.sort(key=lambda each: each.line)
        raise PolicyFileInvalid.joined(found)
    return policy


def placed(found: Plan, policy: Policy) -> Plan:
    """Return *found* with the file and line of each entry that something is refused or said of."""
    said = (*found.refusals, *found.warnings, *found.left_out)
    if not policy.source or not said:
        return found
    document = Document(policy.text)

    def each(those: Sequence[T]) -> tuple[T, ...]:
        return tuple(
            replace(one, place=_place(one.subject, document, policy.source)) for one in those
        )

    return replace(
        found,
        refusals=each(found.refusals),
        warnings=each(found.warnings),
        left_out=each(found.left_out),
    )


def _place(subject: str, document: Document, source: str) -> str:
    path = _PATH.match(subject)
    known = path is not None and path[0].partition("[")[0].partition(".")[0] in document.value
    return f"{source}:{document.line(path[0])}" if path is not None and known else ""


class PolicyFileInvalid(Invalid):
    """A policy's file is wrong, at one place or at several.

    Attributes:
        source: the file. *line* counts from 1; *path* is the field's, empty where there is none.
        message: what is wrong, without its place.
    """

    def __init__(
        self, source: str, place: str, message: str, *, hint: str = "", path: str = ""
    ) -> None:
        super().__init__(f"{source}:{place}: {message}", hint=hint)
        self.source = source
        self.line = int(place.partition(":")[0])
        self.path = path
        self.message = message
        self._parts: tuple[PolicyFileInvalid, ...] = ()

    @classmethod
    def joined(cls, found: Sequence[PolicyFileInvalid]) -> PolicyFileInvalid:
        """Return one for all of *found*: that itself, if it is only one."""
        if len(found) == 1:
            return found[0]
        first = found[0]
        whole = cls(first.source, str(first.line), first.message, hint=first.hint)
        whole.args = ("\n".join(map(str, found)),)
        whole._parts = tuple(found)
        return whole

    @property
    def parts(self) -> tuple[PolicyFileInvalid, ...]:
        return self._parts or (self,)


def _located(error: PolicyInvalid, document: Document, source: str) -> PolicyFileInvalid:
    line = document.line(error.path)
    other = document.line(error.beside) if error.beside else line
    message = f"{error} ({error.beside} is in line {other})" if other != line else str(error)
    return PolicyFileInvalid(source, str(line), message, hint=error.hint, path=error.path)


def _placed(error: YamlInvalid, source: str) -> PolicyFileInvalid:
    return PolicyFileInvalid(source, f"{error.line}:{error.column}", str(error), hint=error.hint)
