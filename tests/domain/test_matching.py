from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lanekeeper.domain.matching import match_all, most_matched

wishes = st.lists(
    st.lists(st.integers(0, 5), max_size=5, unique=True), max_size=5
)  # things 0..5, each wish naming some of them


def brute_most(wanted: list[list[int]]) -> int:
    """Try everything: each wish gets one of its things, or nothing."""
    best = 0
    for choice in product(*([*things, None] for things in wanted)):
        given_out = [thing for thing in choice if thing is not None]
        if len(set(given_out)) == len(given_out):
            best = max(best, len(given_out))
    return best


@given(wishes)
def test_as_many_wishes_are_met_as_can_be(wanted: list[list[int]]) -> None:
    most = brute_most(wanted)
    assert most_matched(wanted) == most
    assert (match_all(wanted) is not None) == (most == len(wanted))


@given(wishes)
def test_everybody_gets_something_of_their_own_that_they_named(wanted: list[list[int]]) -> None:
    found = match_all(wanted)
    if found is not None:
        assert len(set(found)) == len(wanted)
        assert all(thing in things for thing, things in zip(found, wanted, strict=True))


@given(wishes, st.randoms(use_true_random=False))
def test_the_order_of_wishes_never_decides(wanted: list[list[int]], random: object) -> None:
    shuffled = list(wanted)
    random.shuffle(shuffled)  # type: ignore[attr-defined]  # Hypothesis types it as object
    assert (match_all(shuffled) is None) == (match_all(wanted) is None)


@pytest.mark.parametrize(
    ("wanted", "given_out"),
    [
        ([], []),
        ([[2, 1]], [2]),  # the best one
        ([[0, 1], [0]], [1, 0]),  # the first gives way
        ([[0, 1], [1, 2], [0]], [1, 2, 0]),  # a chain of two
        ([[0], [0]], None),
        ([[]], None),
    ],
)
def test_examples(wanted: list[list[int]], given_out: list[int] | None) -> None:
    assert match_all(wanted) == given_out


def test_a_chain_as_long_as_a_host_has_devices() -> None:
    number = 3000
    wanted = [[thing, thing + 1] for thing in range(number)]
    assert match_all([*wanted, [0]]) == [*range(1, number + 1), 0]
