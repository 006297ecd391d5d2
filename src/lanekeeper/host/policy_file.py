"""A host policy's file: YAML, strict, and every error with its line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from lanekeeper.domain.errors import Invalid
from lanekeeper.domain.hostplan.policy.policy import Policy, parse_policy
from lanekeeper.domain.hostplan.policy.reading import PolicyInvalid

_BYTES_MAX = 2**18
_DEPTH_MAX = 16


def read_policy(path: Path) -> Policy:
    """Read the policy at *path*.

    Raises:
        Invalid: unreadable, not YAML, or wrong at one place; the message names file and line.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise Invalid(f"{path}: cannot be read: {error.strerror}") from error
    if len(data) > _BYTES_MAX:
        raise Invalid(f"{path}: {len(data)} bytes", hint=f"a policy has at most {_BYTES_MAX}")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise Invalid(f"{path}:{line}: not UTF-8") from error
    return load_policy(text, str(path))


def load_policy(text: str, source: str) -> Policy:
    """Read a policy from *text*; errors begin with *source* and the line. Raises Invalid."""
    reader = _Reader()
    try:
        return parse_policy(reader.document(text), text)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"{source}:{mark.line + 1}" if mark else source
        raise Invalid(f"{where}: not YAML: {error.problem or error.context}") from error
    except (yaml.YAMLError, RecursionError) as error:
        raise Invalid(f"{source}: not YAML: {error}") from error
    except PolicyInvalid as error:
        where = f"{source}:{reader.line(error.path)}"
        raise Invalid(f"{where}: {error}", hint=error.hint) from error


class _Reader:
    """Builds plain values and remembers on which line each stands, by its path."""

    def __init__(self) -> None:
        self._lines: dict[str, int] = {}
        self._seen: set[int] = set()

    def document(self, text: str) -> Any:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        return None if node is None else self._value(node, "", 0)

    def line(self, path: str) -> int:
        """Return the line of *path*, or of the nearest thing around it that has one."""
        while path and path not in self._lines:
            path = path[: max(path.rfind("."), path.rfind("["), 0)]
        return self._lines.get(path, 1)

    def _value(self, node: yaml.Node, path: str, depth: int) -> Any:
        self._lines.setdefault(path, node.start_mark.line + 1)
        if id(node) in self._seen:
            raise PolicyInvalid(path, "is an alias", hint="write it out; aliases can hide bombs")
        self._seen.add(id(node))
        if depth > _DEPTH_MAX:
            raise PolicyInvalid(path, "is nested too deep", hint=f"at most {_DEPTH_MAX} levels")
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, path, depth)
        if isinstance(node, yaml.SequenceNode):
            items = enumerate(node.value)
            return [self._value(item, f"{path}[{at}]", depth + 1) for at, item in items]
        return yaml.SafeLoader("").construct_object(node)

    def _mapping(self, node: yaml.MappingNode, path: str, depth: int) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key_node, value_node in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                raise PolicyInvalid(path, "a key is no plain word")
            key = str(key_node.value)
            inner = f"{path}.{key}" if path else key
            self._lines[inner] = key_node.start_mark.line + 1
            if key in found:
                raise PolicyInvalid(inner, "stands twice", hint="drop one of them")
            found[key] = self._value(value_node, inner, depth + 1)
        return found
