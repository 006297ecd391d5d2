"""Labels that follow changes are those that would be made anew, and share what stays the same."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from lanekeeper.domain.placement.labels import Labels
from lanekeeper.domain.placement.snapshot import SHARING, Lines, Snapshot

_rows = st.sampled_from((0, 1, 2, 255, 256, 700))
_worlds = st.dictionaries(_rows, st.frozensets(st.sampled_from("ABCD")))
World = dict[int, frozenset[str]]


def changed(labels: Labels, world: World) -> Labels:
    pairs = [(row, name) for row, names in world.items() for name in names]
    return labels.with_rows(np.array(sorted(world), np.int32), pairs)


def told(labels: Labels) -> dict[str, list[int]]:
    return {name: rows.tolist() for name, rows in labels.rows_of.items()}


@given(st.lists(_worlds, max_size=6))
def test_labels_are_those_that_were_told_last(worlds: list[World]) -> None:
    labels, now = Labels(), World()
    for world in worlds:
        labels, now = changed(labels, world), now | world
    expected = {
        name: sorted(row for row, names in now.items() if name in names)
        for name in set().union(*now.values())
    }
    assert told(labels) == expected
    assert {row: labels.carried_by(row) for row in now} == now


def test_names_that_nobody_gains_or_loses_are_not_touched() -> None:
    before = changed(Labels(), {0: frozenset("AB"), 300: frozenset("AC")})
    after = changed(before, {300: frozenset("AB")})
    assert told(after) == {"A": [0, 300], "B": [0, 300]}
    assert after.rows_of["A"] is before.rows_of["A"]
    assert after.names_of[0] is before.names_of[0]
    assert changed(after, {0: frozenset("AB")}) is after


def test_a_trait_changes_neither_trees_nor_who_serves_whom() -> None:
    providers = [(id_, None, id_) for id_ in ("lender", "host")]
    member = [(id_, "aggregate") for id_ in ("lender", "host")]
    whole = Lines(providers=providers, traits=[("lender", SHARING)], aggregates=member)
    before = Snapshot().with_lines(["lender", "host"], whole)
    assert [mask.tolist() for mask in before.shape.sharing.values()] == [[False, True]]
    one = Lines(providers=providers[1:], traits=[("host", "CUSTOM_A")], aggregates=member[1:])
    after = before.with_lines(["host"], one)
    assert after.shape.trees is before.shape.trees
    assert after.shape.sharing is before.shape.sharing
    left = Lines(providers=providers[1:])
    assert not after.with_lines(["host"], left).shape.sharing[0].any()
