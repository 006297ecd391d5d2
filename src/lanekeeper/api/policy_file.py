"""Reads an operator's policy file, and says where in it something is wrong."""

from __future__ import annotations

import logging
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import yaml
from oslo_policy import policy as oslo

from lanekeeper.config.file import read_text
from lanekeeper.domain.errors import Invalid

# oslo.policy logs what it cannot read, with a traceback, and denies; here the file is refused.
logging.getLogger("oslo_policy._parser").setLevel(logging.CRITICAL)

_STRING = "tag:yaml.org,2002:str"
_NEVER = re.compile(r"(?<![^\s(])!(?![^\s)])")
_REFERENCE = re.compile(r"(?<![^\s(])rule:([^\s()]+)")
_MEANT_MAX = 3


@dataclass(frozen=True, slots=True)
class _Line:
    """One rule of the file; *source* is file and line."""

    name: str
    check: str
    source: str


def read_rules(path: Path, known: Collection[str]) -> Mapping[str, str]:
    """Return the rules of *path*: names to oslo.policy's check strings.

    Beside those in *known* a file may have rules of its own that others of it refer to.

    Raises:
        Invalid: the file cannot be read, is no YAML, or has a rule that is not known or cannot be
            understood; names file, line and rule.
    """
    lines = tuple(_lines(path))
    rules = {line.name: line for line in lines}
    referred = {name for line in rules.values() for name in _REFERENCE.findall(line.check)}
    for line in lines:
        if rules[line.name] is not line:
            raise Invalid(f"{rules[line.name].source}: {line.name} stands twice in the file")
        if line.name not in known and line.name not in referred:
            raise Invalid(f"{line.source}: there is no rule {line.name}", hint=_hint(line, known))
        _check(line, {*known, *rules})
    try:
        TopologicalSorter({line.name: _REFERENCE.findall(line.check) for line in lines}).prepare()
    except CycleError as error:
        circle = " -> ".join(error.args[1])
        raise Invalid(f"{path}: rules refer to each other in a circle: {circle}") from error
    return {line.name: line.check for line in lines}


def _hint(line: _Line, known: Collection[str]) -> str:
    close = get_close_matches(line.name, known, n=_MEANT_MAX, cutoff=0.6)
    if close:
        return f"did you mean {' or '.join(close)}?"
    return f"remove it: nothing here asks for it, and no other rule says rule:{line.name}"


def _check(line: _Line, names: Collection[str]) -> None:
    """Raises Invalid for what oslo.policy would take for ``!``, which is nobody."""
    understood = oslo.RuleDefault(line.name, line.check).check
    if len(_NEVER.findall(str(understood))) > len(_NEVER.findall(line.check)):
        raise Invalid(
            f"{line.source}: {line.name}: {line.check[:80]!r} is not a check string",
            hint="an example: role:admin or (role:member and project_id:%(project_id)s)",
        )
    for name in _REFERENCE.findall(line.check):
        if name not in names:
            close = get_close_matches(name, names, n=_MEANT_MAX, cutoff=0.6)
            raise Invalid(
                f"{line.source}: {line.name}: there is no rule {name}",
                hint=f"did you mean {' or '.join(close)}?" if close else "",
            )


def _lines(path: Path) -> Iterator[_Line]:
    text = read_text(path)
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise Invalid(
            f"{path}:{mark.line + 1 if mark else 1}: not YAML: {error.problem}",
            hint='a rule is a line such as "os_compute_api:servers:create": "role:member"',
        ) from error
    except (yaml.YAMLError, RecursionError) as error:
        raise Invalid(f"{path}: not YAML: {error}") from error
    if root is None:
        return
    if not isinstance(root, yaml.MappingNode):
        raise Invalid(
            f"{path}:{root.start_mark.line + 1}: a policy file maps names of rules to check strings"
        )
    for key, value in root.value:
        source = f"{path}:{key.start_mark.line + 1}"
        if not isinstance(key, yaml.ScalarNode):
            raise Invalid(f"{source}: the name of a rule is text")
        if not isinstance(value, yaml.ScalarNode) or value.tag != _STRING:
            raise Invalid(
                f"{source}: {key.value}: a rule is a check string in quotation marks",
                hint='an example: "role:admin"; "" lets everybody, "!" nobody',
            )
        yield _Line(key.value, value.value, source)
