"""Allocation candidates as JSON text: what many of them say is written once.

A thousand candidates for eight devices are nine thousand shares. To make an object of each, and
then text of it, takes longer than to find them.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from operator import itemgetter
from typing import Any, TypeVar

import msgspec
import numpy as np

from lanekeeper.domain.placement.candidate import Candidate
from lanekeeper.domain.placement.rows import Rows
from lanekeeper.domain.placement.snapshot import Snapshot
from lanekeeper.domain.placement.supply import Slot
from lanekeeper.domain.placement.trees import GONE

_KEYED_SINCE, _TRAITS_SINCE, _TREES_SINCE, _MAPPINGS_SINCE = 12, 17, 29, 34
K = TypeVar("K", bound=Hashable)


class _Texts(dict[K, str]):
    """Texts by what they say, each written when it is first wanted."""

    def __init__(self, write: Callable[[K], str]) -> None:
        super().__init__()
        self._write = write

    def __missing__(self, key: K) -> str:
        text = self[key] = self._write(key)
        return text


def names_of(ids: Sequence[str], rows: Rows) -> Mapping[int, str]:
    """Return ids of providers as JSON, by row; those of *rows* are written at once.

    They are UUIDs, so there is nothing in them to escape.
    """
    names: _Texts[int] = _Texts(lambda row: f'"{ids[row]}"')
    names.update((row, f'"{ids[row]}"') for row in rows.tolist())
    return names


def requests_text(names: Mapping[int, str], found: Sequence[Candidate], minor: int) -> msgspec.Raw:
    """Write which provider gives what in each candidate, and from 1.34 on for which group.

    Candidates differ in the providers, seldom in which slots are served by the same one: of each
    such pattern one form is made, with places for providers.
    """
    forms: dict[tuple[int, ...], tuple[str, Callable[[Any], Any]]] = {}
    texts = []
    for candidate in found:
        rows = candidate.rows
        pattern = tuple(map(rows.index, rows))  # to each slot the first that has the same row
        if pattern not in forms:
            forms[pattern] = _form(candidate.slots, pattern, minor)
        form, in_places = forms[pattern]
        texts.append(form % in_places([names[row] for row in rows]))
    return msgspec.Raw(f"[{','.join(texts)}]".encode())


def _form(
    slots: Sequence[Slot], pattern: Sequence[int], minor: int
) -> tuple[str, Callable[[Any], Any]]:
    """Make a form for ``%``, and what puts the slots' providers in the order of its places."""
    places: list[int] = []
    amounts: dict[int, dict[str, int]] = {}
    mappings: dict[str, list[int]] = {}
    for slot, first in zip(slots, pattern, strict=True):
        for name, amount in slot.resources:  # none, where a group only says where it is
            part = amounts.setdefault(first, {})
            part[name] = part.get(name, 0) + amount
        mapped = mappings.setdefault(slot.group.suffix, [])
        mapped += [first] if first not in mapped else []
    shares = []
    for first, part in amounts.items():
        places.append(first)
        resources = f'"resources":{_literal(part)}'
        shares.append(
            f"%s:{{{resources}}}"
            if minor >= _KEYED_SINCE
            else f'{{"resource_provider":{{"uuid":%s}},{resources}}}'
        )
    allocations = f"{{{','.join(shares)}}}" if minor >= _KEYED_SINCE else f"[{','.join(shares)}]"
    if minor < _MAPPINGS_SINCE:
        return f'{{"allocations":{allocations}}}', _taking(places)
    groups = []
    for suffix, mapped in mappings.items():
        places += mapped
        groups.append(f"{_literal(suffix)}:[{','.join('%s' for _ in mapped)}]")
    return (
        f'{{"allocations":{allocations},"mappings":{{{",".join(groups)}}}}}',
        _taking(places),
    )


def _taking(places: Sequence[int]) -> Callable[[Any], Any]:
    """Take these of a list."""
    return itemgetter(*places) if places else lambda _: ()


def _literal(value: Any) -> str:
    """JSON that stands in a form and has no places in it."""
    return _json(value).replace("%", "%%")


def summaries_text(
    names: Mapping[int, str], snapshot: Snapshot, rows: Rows, classes: Iterable[str], minor: int
) -> msgspec.Raw:
    """Write what the providers *rows* (ascending) have of *classes*, and how they hang together."""
    trees, traits = snapshot.shape.trees, snapshot.shape.traits
    marks: _Texts[frozenset[str]] = _Texts(
        lambda carried: f',"traits":{_json(sorted(carried, key=_standard_first))}'
    )
    lines = zip(
        rows.tolist(),
        trees.parent[rows].tolist(),
        trees.root[rows].tolist(),
        _resources(snapshot, rows, classes),
        strict=True,
    )
    texts = []
    for row, parent, root, resources in lines:
        text = f'{names[row]}:{{"resources":{{{resources}}}'
        if minor >= _TRAITS_SINCE:
            text += marks[traits.carried_by(row)]
        if minor >= _TREES_SINCE:
            above = "null" if parent == GONE else names[parent]
            text += f',"parent_provider_uuid":{above},"root_provider_uuid":{names[root]}'
        texts.append(f"{text}}}")
    return msgspec.Raw(f"{{{','.join(texts)}}}".encode())


def _resources(snapshot: Snapshot, rows: Rows, classes: Iterable[str]) -> list[str]:
    """Write what each of *rows* has of *classes*; class by class, as the snapshot has it."""
    texts = [""] * len(rows)
    for name in classes:
        stock = snapshot.stocks.get(name)
        if stock is None:
            continue
        having, capacity, used = stock.at(rows)
        said = _Texts(_amounts_of(name))
        pairs = zip(capacity.tolist(), used.tolist(), strict=True)
        for at, pair in zip(np.searchsorted(rows, having).tolist(), pairs, strict=True):
            texts[at] += said[pair]
    return [text[1:] for text in texts]


def _amounts_of(name: str) -> Callable[[tuple[int, ...]], str]:
    key = _json(name)

    def write(pair: tuple[int, ...]) -> str:
        capacity, used = pair
        return f',{key}:{{"capacity":{capacity},"used":{used}}}'

    return write


def _standard_first(trait: str) -> tuple[bool, str]:
    return trait.startswith("CUSTOM_"), trait


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()
