"""Which keys there are: Lanekeeper's, and all of OpenStack's, which a foreign file may hold."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from functools import cache
from importlib import resources
from typing import Any, get_type_hints

import msgspec

from lanekeeper.config.tree import Config, Option, Section

OWN_SECTION = "lanekeeper"


@cache
def options() -> Mapping[tuple[str, str], Option]:
    """Return every option by (field of Config, field of its section), in the tree's order."""
    return {
        (part, field): option
        for part, section in sections().items()
        for field, hint in get_type_hints(section, include_extras=True).items()
        for option in getattr(hint, "__metadata__", ())
        if isinstance(option, Option)
    }


def sections() -> Mapping[str, type[Section]]:
    """Return the type of every part of the tree by the name of its field."""
    return get_type_hints(Config)


@cache
def openstack_options() -> Mapping[str, frozenset[str]]:
    """Return OpenStack's keys by section, in lower case; see ``scripts/openstack_options.py``."""
    data = resources.files("lanekeeper").joinpath("data/openstack_options.json").read_bytes()
    document: dict[str, Any] = msgspec.json.decode(data)
    return {section: frozenset(keys) for section, keys in document["options"].items()}


def spellings(option: Option) -> Iterator[tuple[str, str, bool]]:
    """Yield every (section, key, whether it is an old name) under which *option* is read."""
    yield option.section.lower(), option.key, False
    for section, key in option.also:
        yield section.lower(), key, False
    for section, key in option.old:
        yield section.lower(), key, True


def nearest(section: str, key: str) -> str:
    """Return the known name that looks most like this one, or nothing."""
    read = [option.name for option in options().values()]
    bare = {option.key: option.name for option in options().values()}
    if key in bare:
        return bare[key]
    wanted = f"[{'DEFAULT' if section == 'default' else section}] {key}"
    close = get_close_matches(wanted, read, n=1, cutoff=0.75)
    if close or not (foreign := openstack_options().get(section)):
        return close[0] if close else ""
    close = get_close_matches(key, foreign, n=1, cutoff=0.8)
    return f"[{section}] {close[0]}" if close else ""
