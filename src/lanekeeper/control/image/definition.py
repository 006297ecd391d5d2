"""Metadata definitions: what dashboards offer when flavors and images get properties.

They come with the program (``data/metadefs``), in the form of Glance's own files, and are read
only: nothing here decides by them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from importlib import resources
from typing import Any

import msgspec

from lanekeeper.domain import typed
from lanekeeper.domain.errors import Invalid, NotFound

_NAMED = 60


class Association(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A kind of thing that properties of a namespace are for."""

    name: str


class Namespace(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Properties that go together.

    Attributes:
        properties: name to JSON schema.

    Source: glance ``etc/metadefs``, ``api/v2/metadef_namespaces.py``.
    """

    namespace: str
    display_name: str
    description: str
    visibility: str
    protected: bool
    resource_type_associations: tuple[Association, ...]
    properties: Mapping[str, Mapping[str, Any]]
    objects: tuple[Mapping[str, Any], ...] = ()
    tags: tuple[Mapping[str, Any], ...] = ()

    @property
    def kinds(self) -> frozenset[str]:
        return frozenset(one.name for one in self.resource_type_associations)


@cache
def _all() -> Mapping[str, Namespace]:
    """Every namespace by its name, in order."""
    files = resources.files("lanekeeper").joinpath("data/metadefs").iterdir()
    found = [
        typed.decode(file.read_bytes(), Namespace) for file in files if file.name.endswith(".json")
    ]
    return {one.namespace: one for one in sorted(found, key=lambda one: one.namespace)}


def list_namespaces(
    kinds: Sequence[str] = (),
    *,
    visibility: str | None = None,
    after: str | None = None,
    limit: int | None = None,
) -> tuple[Namespace, ...]:
    """Namespaces by name.

    Args:
        kinds: resource types of which one has to be a namespace's; empty for all.
        visibility: ``public`` or ``private``; None for both.
        after: the last of the list before.
        limit: how many at most.

    Raises:
        Invalid: there is no namespace *after*.
    """
    if after is not None and after not in _all():
        raise Invalid(f"marker: there is no metadata namespace {after[:_NAMED]!r}")
    found = [
        one
        for one in _all().values()
        if (not kinds or one.kinds & set(kinds))
        and visibility in (None, one.visibility)
        and (after is None or one.namespace > after)
    ]
    return tuple(found[:limit])


def show_namespace(name: str) -> Namespace:
    """One namespace.

    Raises:
        NotFound: there is none of this name; the hint has those that there are.
    """
    found = _all().get(name)
    if found is None:
        hint = f"there are {', '.join(_all())}"
        raise NotFound(f"there is no metadata namespace {name[:_NAMED]!r}", hint=hint)
    return found


def show_property(namespace: str, name: str) -> Mapping[str, Any]:
    """The JSON schema of one property.

    Raises:
        NotFound: there is no such namespace, or it has no such property.
    """
    home = show_namespace(namespace)
    found = home.properties.get(name)
    if found is None:
        hint = f"it has {', '.join(home.properties)}"
        raise NotFound(f"{namespace} has no property {name[:_NAMED]!r}", hint=hint)
    return found


def resource_types() -> tuple[str, ...]:
    """Kinds of things that any namespace is for, by name."""
    return tuple(sorted(frozenset[str]().union(*(one.kinds for one in _all().values()))))
