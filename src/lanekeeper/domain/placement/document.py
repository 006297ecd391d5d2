"""A whole inventory as one document: what is exported, imported and compared.

The document is JSON of these classes. Generations are not part of it: they belong to one server and
count what was done there.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec
from msgspec import field

from lanekeeper.domain import typed
from lanekeeper.domain.errors import Invalid
from lanekeeper.domain.placement.inventory import INT_MAX

FORMAT = 1


class InventoryEntry(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One inventory record, as Placement's API has it."""

    total: int
    reserved: int = 0
    min_unit: int = 1
    max_unit: int = INT_MAX
    step_size: int = 1
    allocation_ratio: float = 1.0


class ProviderEntry(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    uuid: str
    name: str
    parent: str | None = None
    inventories: dict[str, InventoryEntry] = field(default_factory=dict)
    traits: frozenset[str] = frozenset()
    aggregates: frozenset[str] = frozenset()


class ConsumerEntry(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What one consumer holds: provider's uuid to class to amount. *type* empty: never given."""

    uuid: str
    project_id: str
    user_id: str
    type: str = ""
    allocations: dict[str, dict[str, int]] = field(default_factory=dict)


class Document(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Attributes: lanekeeper_inventory: version of this format."""

    lanekeeper_inventory: int = FORMAT
    resource_classes: frozenset[str] = frozenset()
    traits: frozenset[str] = frozenset()
    providers: tuple[ProviderEntry, ...] = ()
    consumers: tuple[ConsumerEntry, ...] = ()


def parse(raw: bytes) -> Document:
    """Read an exported document.

    Raises:
        Invalid: not JSON, not this format, or a field that does not fit; the message names it.
    """
    try:
        document = typed.decode(raw, Document)
    except msgspec.DecodeError as error:
        raise Invalid(f"not an exported inventory: {error}") from error
    if document.lanekeeper_inventory != FORMAT:
        raise Invalid(
            f"lanekeeper_inventory is {document.lanekeeper_inventory}; this version reads {FORMAT}"
        )
    return document


def parents_first(providers: tuple[ProviderEntry, ...]) -> Iterator[tuple[ProviderEntry, ...]]:
    """Levels of the trees, roots first.

    Raises:
        Invalid: a parent that is not in the document, or a loop.
    """
    left = {provider.uuid: provider for provider in providers}
    done: set[str | None] = {None}
    while left:
        level = tuple(provider for provider in left.values() if provider.parent in done)
        if not level:
            some = next(iter(left.values()))
            raise Invalid(
                f"provider {some.name} has a parent {some.parent} that is not there, or below it"
            )
        yield level
        for provider in level:
            done.add(provider.uuid)
            del left[provider.uuid]


def differences(wanted: Document, there: Document) -> Iterator[str]:
    """Say what of *wanted* is missing or another in *there*; what else is there is not told."""
    for kind in ("resource_classes", "traits"):
        for name in sorted(getattr(wanted, kind) - getattr(there, kind)):
            yield f"{name} is missing among the {kind.replace('_', ' ')}"
    yield from _unlike("provider", _by_uuid(wanted.providers), _by_uuid(there.providers))
    yield from _unlike("consumer", _by_uuid(wanted.consumers), _by_uuid(there.consumers))


def _by_uuid(entries: tuple[Any, ...]) -> Mapping[str, Any]:
    return {entry.uuid: entry for entry in entries}


def _unlike(kind: str, wanted: Mapping[str, Any], there: Mapping[str, Any]) -> Iterator[str]:
    for uuid, entry in wanted.items():
        if uuid not in there:
            yield f"{kind} {uuid} is missing"
            continue
        for name in entry.__struct_fields__:
            ours, theirs = getattr(there[uuid], name), getattr(entry, name)
            if ours != theirs:
                yield f"{kind} {uuid}: {name} is {_shown(ours)}, not {_shown(theirs)}"


def _shown(value: object) -> str:
    return msgspec.json.encode(value, order="sorted").decode()
