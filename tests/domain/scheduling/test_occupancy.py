"""Who holds what on a host that is only thought of: no two holders, no PF beside its VFs."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.scheduling.hosts import pf, vf
from lanekeeper.domain.errors import Conflict, NotFound
from lanekeeper.domain.scheduling.host import Standing
from lanekeeper.domain.scheduling.occupancy import Occupancy

CARD = [pf("p"), vf("a", "p"), vf("b", "p")]
OTHER = [pf("q"), vf("c", "q")]
HOST = Occupancy({one.id: one for one in (*CARD, *OTHER)})


def test_a_pf_and_its_vfs_exclude_each_other() -> None:
    with_vf = HOST.claimed(["a"], "s1")
    assert with_vf.standing("p") is Standing.BLOCKED
    assert with_vf.standing("b") is Standing.FREE
    with pytest.raises(Conflict, match=r"device p is blocked .*\(a\), not free"):
        with_vf.claimed(["p"], "s2")
    with_pf = HOST.claimed(["p"], "s1")
    assert {with_pf.standing(one) for one in ("a", "b")} == {Standing.BLOCKED}
    assert with_pf.standing("c") is Standing.FREE


def test_hole_3_a_claim_that_fails_takes_nothing() -> None:
    with pytest.raises(Conflict):
        HOST.claimed(["c", "p", "a"], "s1")
    assert all(HOST.standing(one) is Standing.FREE for one in HOST.devices)


def test_hole_22_what_is_given_back_is_cleaned_before_it_or_its_card_is_free() -> None:
    given_back = HOST.claimed(["a"], "s1").released(["a"])
    assert given_back.standing("a") is Standing.CLEANING
    assert given_back.standing("p") is Standing.BLOCKED
    assert given_back.cleaned(["a"]) == HOST


def test_a_held_device_that_disappears_is_kept_until_it_is_given_back() -> None:
    gone = HOST.claimed(["a"], "s1").observed([CARD[0], *OTHER])
    assert gone.standing("a") is Standing.HELD
    assert gone.standing("p") is Standing.BLOCKED
    assert "a" not in {one.id for one in gone.views()}
    back = gone.released(["a"])
    assert back.standing("p") is Standing.FREE
    with pytest.raises(NotFound, match="no device a"):
        back.standing("a")


def test_what_is_not_held_cannot_be_given_back_and_what_is_not_withdrawn() -> None:
    with pytest.raises(Conflict, match="a is not held"):
        HOST.released(["a"])
    with pytest.raises(Conflict, match="a is held by s1"):
        HOST.claimed(["a"], "s1").withdrawn("a")
    assert "a" not in HOST.withdrawn("a").devices


ids = st.sampled_from(sorted(HOST.devices))
verbs = st.one_of(
    ids.map(lambda one: lambda now: now.claimed([one], "s")),
    ids.map(lambda one: lambda now: now.released([one])),
    ids.map(lambda one: lambda now: now.cleaned([one])),
    st.sets(ids).map(lambda some: lambda now: now.observed(HOST.devices[one] for one in some)),
)


@given(st.lists(verbs, max_size=12))
def test_whatever_happens_sides_of_a_card_exclude_each_other(
    steps: list[Callable[[Occupancy], Occupancy]],
) -> None:
    now = HOST
    for step in steps:
        before = now
        try:
            now = step(now)
        except (Conflict, NotFound):
            assert now == before
        taken = {*now.holders, *now.dirty}
        assert taken <= set(now.devices)
        assert not any(now.devices[one].pf_id in taken for one in taken)
        free = {view.id for view in now.views() if view.standing is Standing.FREE}
        assert not free & taken
        for view in now.views():
            assert view.parts_held == sum(
                1 for one in taken if view.pf_id and now.devices[one].pf_id == view.pf_id
            )
