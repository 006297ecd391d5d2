"""Reads VMware Integrated OpenStack's custom.yml, one assignment for each item of a list."""

from __future__ import annotations

import json
from collections.abc import Iterator

import yaml

from lanekeeper.config.character import mended
from lanekeeper.config.doctor.reading import Assignment, Flaw, ReadFile, yaml_comments
from lanekeeper.config.doctor.source import Source
from lanekeeper.config.home import VIO_NAMES
from lanekeeper.config.loose_json import plain
from lanekeeper.domain.errors import Invalid


def read_vio(name: str, text: str) -> ReadFile:
    """Read a custom.yml.

    Raises:
        Invalid: it is not YAML, even with the characters of web pages mended; named with its line.
    """
    raw = tuple(line.rstrip() for line in text.split("\n"))
    flaws, lines = [], []
    for number, line in enumerate(raw, 1):
        whole, kinds = (line, frozenset[str]()) if line.lstrip()[:1] == "#" else mended(line)
        flaws += [Flaw(kind, Source(name, number)) for kind in sorted(kinds)]
        indent = len(whole) - len(whole.lstrip())
        lines.append(whole[:indent].replace("\t", "    ") + whole[indent:])
    root = _root(name, "\n".join(lines))
    pairs = root.value if root else []
    found = tuple(one for key, value in pairs for one in _assignments(name, raw, key, value))
    return ReadFile(name, raw, found, tuple(flaws))


def _root(name: str, text: str) -> yaml.MappingNode | None:
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise Invalid(
            f"{name}:{mark.line + 1 if mark else 1}: not YAML: {error.problem}"
        ) from error
    except (yaml.YAMLError, RecursionError) as error:
        raise Invalid(f"{name}: not YAML: {error}") from error
    if root is not None and not isinstance(root, yaml.MappingNode):
        raise Invalid(f"{name}:1: a custom.yml is a mapping of names to values")
    return root


def _assignments(
    name: str, lines: tuple[str, ...], key: yaml.Node, value: yaml.Node
) -> Iterator[Assignment]:
    if key.value not in VIO_NAMES:
        yield _assignment(name, key, value, "")
        return
    comments = yaml_comments(lines, key.start_mark.line + 1)
    for item in value.value if isinstance(value, yaml.SequenceNode) else [value]:
        try:
            understood = plain(item, [])
        except Invalid as error:
            raise Invalid(f"{name}:{item.start_mark.line + 1}: {error}") from error
        text = understood if isinstance(understood, str) else json.dumps(understood)
        yield _assignment(name, key, item, text, comments)
        comments = ()


def _assignment(
    name: str, key: yaml.Node, item: yaml.Node, value: str, comments: tuple[str, ...] = ()
) -> Assignment:
    return Assignment(
        source=Source(name, item.start_mark.line + 1),
        section="vio",
        title="vio",
        key=str(key.value),
        value=value,
        comments=comments,
        is_vio=True,
    )
