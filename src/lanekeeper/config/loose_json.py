"""Values that are meant as JSON: single quotes, trailing commas and bare words are understood.

YAML's flow style is JSON with all of that allowed, so its reader does the work. What it does not
know is the notation of Nova's guide for a tag, ``managed='yes'``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import yaml

from lanekeeper.domain.errors import Invalid

LOOSE, SEVERAL = "value-loose-json", "value-without-list"
_CONSTANTS = {"true": True, "false": False, "null": None, "none": None, "~": None, "": None}
_EQUALS = re.compile(r"([A-Za-z_]+)\s*=\s*(['\"]?)([^'\"=]*)\2")
_BETWEEN = re.compile(r"\}\s*,?\s*\{")
_DEPTH_MAX = 20
_NODES_MAX = 100_000


@dataclass(frozen=True, slots=True)
class Understood:
    """A value and what had to be overlooked to have it.

    Attributes:
        kinds: ids of rules.
        twice: keys that one object has more than once; the last counts.
    """

    value: object
    kinds: frozenset[str] = frozenset()
    twice: tuple[str, ...] = ()


def understand(text: str) -> Understood:
    """Decode *text* as it was meant.

    Raises:
        Invalid: it cannot be told what was meant.
    """
    twice: list[str] = []

    def pairs(found: list[tuple[str, Any]]) -> dict[str, Any]:
        twice.extend(_repeated(key for key, _ in found))
        return dict(found)

    try:
        return Understood(json.loads(text, object_pairs_hook=pairs), twice=tuple(twice))
    except (ValueError, RecursionError):
        return _understand_loosely(text)


def _understand_loosely(text: str) -> Understood:
    kinds = {LOOSE}
    whole = text.strip().rstrip(",")
    if whole.startswith("{") and _BETWEEN.search(whole):
        whole = f"[{_BETWEEN.sub('},{', whole)}]"
        kinds = {SEVERAL} if _is_json(whole) else {SEVERAL, LOOSE}
    if not whole.startswith(("{", "[")):
        raise Invalid(f"{text[:80]!r} is not JSON, nor nearly")
    try:
        node = yaml.compose(whole.replace("\t", " "), Loader=yaml.SafeLoader)
    except (yaml.YAMLError, RecursionError) as error:
        raise Invalid(f"{text[:80]!r} is not JSON, nor nearly") from error
    assert node is not None
    twice: list[str] = []
    return Understood(plain(node, twice), frozenset(kinds), tuple(twice))


def plain(node: yaml.Node, twice: list[str]) -> object:
    """Return the value of a YAML node; numbers stay text, as all of a device's numbers are.

    Keys that an object has twice are added to *twice*.

    Raises:
        Invalid: larger than any such value is, as YAML's anchors can make it, or a key that is
            not text.
    """
    return _Plain(twice).value(node)


@dataclass(slots=True)
class _Plain:
    twice: list[str]
    nodes: int = 0

    def value(self, node: yaml.Node, depth: int = 0) -> object:
        self.nodes += 1
        if depth > _DEPTH_MAX or self.nodes > _NODES_MAX:
            raise Invalid("the value is larger than any list of devices")
        if isinstance(node, yaml.SequenceNode):
            return [self.value(item, depth + 1) for item in node.value]
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, depth)
        assert isinstance(node, yaml.ScalarNode)
        text: str = node.value
        is_word = node.style is None and text.lower() in _CONSTANTS
        return _CONSTANTS[text.lower()] if is_word else text

    def _mapping(self, node: yaml.MappingNode, depth: int) -> dict[str, object]:
        if not all(isinstance(key, yaml.ScalarNode) for key, _ in node.value):
            raise Invalid(_no_key(key for key, _ in node.value))
        pairs = [_pair(key, value) for key, value in node.value]
        self.twice.extend(_repeated(key for key, _ in pairs))
        return {
            key: self.value(value, depth + 1) if isinstance(value, yaml.Node) else value
            for key, value in pairs
        }


def _no_key(keys: Iterator[yaml.Node]) -> str:
    """Say of the first key that is no text what would be right."""
    odd = next(key for key in keys if not isinstance(key, yaml.ScalarNode))
    if isinstance(odd, yaml.MappingNode):
        return (
            "a key is not text, but a mapping: is {{ … }} a template that was not rendered? "
            'Render it; a text that is meant so stands in quotes, "{{ … }}"'
        )
    return "a key is not text, but a list: put it in quotes"


def _pair(key: yaml.ScalarNode, value: yaml.Node) -> tuple[str, yaml.Node | str]:
    found = _EQUALS.fullmatch(key.value)
    if found is None or key.style is not None or not _is_absent(value):
        return key.value, value
    return found[1], found[3]


def _is_absent(node: yaml.Node) -> bool:
    return isinstance(node, yaml.ScalarNode) and node.style is None and node.value == ""


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


def _repeated(keys: Iterator[str]) -> Iterator[str]:
    seen: set[str] = set()
    for key in keys:
        if key in seen:
            yield key
        seen.add(key)
