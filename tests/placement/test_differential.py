"""The same worlds, writes and questions to OpenStack Placement and to Lanekeeper: one answer.

A campaign of another seed: ``LANEKEEPER_SEED=7 ./dev test --long service -- -s -k placement_and``;
the seed is printed first, and named again with the difference that it has found.
"""

from __future__ import annotations

import os
import random
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, seed, settings

from campaign import size
from placement.pair import Pair, Parted
from placement.story import Step, Teller, start, steps
from placement.world import World, worlds
from placement_servers import lanekeeper_placement, line, placement

pytestmark = pytest.mark.service

_FEW, _MANY = size(16, 40), 1000
_ENDED_MOST = 0.1
"""Share of stories that may end early."""
_quietly = settings(
    deadline=None,
    database=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    """Both servers on SQLite, which is all that one request at a time needs."""
    home = tmp_path_factory.mktemp("pair")
    with (
        placement(home / "placement", f"sqlite:///{home}/placement.db") as theirs,
        lanekeeper_placement(home / "lanekeeper") as ours,
        line(theirs) as one,
        line(ours) as other,
    ):
        yield Pair(one, other)


def answer_alike(pair: Pair, world: World) -> None:
    pair.clear()
    pair.build(world)
    for query in world.queries:
        pair.ask(query)


def write_alike(pair: Pair, told: list[Step]) -> None:
    pair.clear()
    teller = Teller(pair)
    pair.stories += 1
    try:
        for step in [*start(), *told]:
            teller.tell(step)
        pair.look()
    except Parted as parted:
        pair.ended[str(parted)] += 1


def stories_were_told(pair: Pair) -> None:
    """Few stories may end early, since what comes after is not looked at; then this test is blind.

    The only reason is Placement's: it breaks, or has done what it refused to answer.
    """
    ended = sum(pair.ended.values())
    assert set(pair.ended) <= {"Placement breaks (500)"}, pair.ended
    assert ended <= pair.stories * _ENDED_MOST, (pair.stories, pair.ended)


@settings(_quietly, max_examples=_FEW)
@given(world=worlds())
def test_placement_and_lanekeeper_find_the_same_candidates(pair: Pair, world: World) -> None:
    answer_alike(pair, world)


@settings(_quietly, max_examples=_FEW // 2)
@given(told=steps)
def test_placement_and_lanekeeper_write_the_same(pair: Pair, told: list[Step]) -> None:
    write_alike(pair, told)


def test_few_stories_end_before_their_end(pair: Pair) -> None:
    """Looks at what the tests before it have told."""
    stories_were_told(pair)


@pytest.mark.long
@pytest.mark.parametrize("what", ["candidates", "writes"])
def test_placement_and_lanekeeper_for_long(pair: Pair, what: str) -> None:
    number = int(os.environ.get("LANEKEEPER_SEED") or random.randrange(2**32))
    print(f"\nLANEKEEPER_SEED={number}")
    lengthy = settings(_quietly, max_examples=_MANY, derandomize=False)

    @seed(number)
    @lengthy
    @given(world=worlds())
    def candidates(world: World) -> None:
        answer_alike(pair, world)

    @seed(number)
    @lengthy
    @given(told=steps)
    def writes(told: list[Step]) -> None:
        write_alike(pair, told)

    candidates() if what == "candidates" else writes()
    for reason, times in sorted(pair.reasons.items()):
        print(f"{times:6} times: {reason}")
    stories_were_told(pair)
