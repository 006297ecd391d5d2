"""kill -9 of controller and agent at every point that matters: afterwards everything converges.

The stories (``crash_stories.py``) run side by side, since most of their time is waiting; a test
waits for its own and tells how it ended. Those in which an agent dies share one controller, each
with a host of its own; every other one has its own copy of everything.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from _pytest.mark import ParameterSet

import crash_stories
from crash import Ground, Stage, prepare, stage
from crash_books import assert_balanced
from postgres import PostgreSQL, programs

pytestmark = pytest.mark.service

_AT_ONCE = 10
AGENT_POINTS = (
    *("agent.define.before", "agent.define.after", "agent.start.before", "agent.start.after"),
    *("agent.report.before:2", "agent.report.after:2", "agent.destroy.before"),
    *("agent.destroy.after", "agent.clean.before", "agent.clean.after"),
)
CONTROLLER_POINTS = (  # one on the way up and one on the way down
    ("controller.claim.before", "controller.release.before"),
    ("controller.claim.written", "controller.release.after"),
    ("controller.claim.after", "controller.clean"),
    ("controller.report.before:2", "controller.report.changed:1"),
    ("controller.report.after:2", "controller.report.changed:2"),
)
OTHERS = ("both_die", "controller_restarts", "database_goes_back", "answer_is_lost")


@dataclass(frozen=True)
class Story:
    """One story: a function of ``crash_stories`` and what it is told beside its stage."""

    name: str
    told: tuple[str, ...] = ()
    database: str = "sqlite"

    @property
    def shares(self) -> bool:
        """Whether it has only a host of its own."""
        return self.name == "agent_dies"

    def __str__(self) -> str:
        return "-".join((self.name, *self.told, *([self.database] * (not self.shares))))


STORIES = (
    *(Story("agent_dies", (f"sim-{n}", point)) for n, point in enumerate(AGENT_POINTS, start=1)),
    *(Story("controller_dies", points) for points in CONTROLLER_POINTS),
    *(Story("controller_dies", points, "postgresql") for points in CONTROLLER_POINTS),
    *(Story(name) for name in OTHERS),
)


def _case(story: Story) -> ParameterSet:
    """All points on SQLite; on PostgreSQL, where they are the same, two of five pairs each time."""
    often = story.database == "sqlite" or story.told in (CONTROLLER_POINTS[1], CONTROLLER_POINTS[4])
    return pytest.param(story, id=str(story), marks=() if often else pytest.mark.long)


@pytest.mark.parametrize("story", map(_case, STORIES))
def test_killed_anywhere_everything_converges(
    story: Story, ends: Mapping[Story, Future[None]]
) -> None:
    if story not in ends:
        pytest.skip("PostgreSQL is not installed (Debian's package postgresql)")
    ends[story].result()


@pytest.fixture(scope="module")
def ends(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Mapping[Story, Future[None]]]:
    """Begin all stories that are asked for; each has an end, good or bad."""
    asked = [story for story in STORIES if _is_asked(request, story)]
    home = tmp_path_factory.mktemp("crash")
    with ExitStack() as stack:
        pool = stack.enter_context(ThreadPoolExecutor(_AT_ONCE))
        stack.callback(pool.shutdown, wait=True, cancel_futures=True)
        runs: dict[Story, Callable[[], None]] = {}
        if of_sqlite := [story for story in asked if story.database == "sqlite"]:
            ground = prepare(home / "sqlite" / "state", len(AGENT_POINTS))
            runs |= _runs(of_sqlite, ground, home, stack)
        if (of_postgresql := [s for s in asked if s.database == "postgresql"]) and programs():
            ground = _postgresql_ground(request, home)
            runs |= _runs(of_postgresql, ground, home, stack)
        yield {story: pool.submit(run) for story, run in runs.items()}


def _is_asked(request: pytest.FixtureRequest, story: Story) -> bool:
    return any(item.name.endswith(f"[{story}]") for item in request.session.items)


def _postgresql_ground(request: pytest.FixtureRequest, home: Path) -> Ground:
    cluster: PostgreSQL = request.getfixturevalue("postgresql")
    template = cluster.create()
    return prepare(
        home / "postgresql" / "state",
        1,
        cluster.url(template),
        lambda: cluster.url(cluster.create(template)),
    )


def _runs(
    stories: list[Story], ground: Ground, home: Path, stack: ExitStack
) -> dict[Story, Callable[[], None]]:
    """Return what to call for each story; a shared controller runs already."""
    shared: Stage | None = None
    runs: dict[Story, Callable[[], None]] = {}
    for story in stories:
        if not story.shares:
            runs[story] = partial(_alone, story, ground, home / str(story))
            continue
        if shared is None:
            shared = stack.enter_context(stage(ground, home / "shared"))
            shared.start_controller()
        runs[story] = partial(_tell, story, shared)
    return runs


def _alone(story: Story, ground: Ground, home: Path) -> None:
    with stage(ground, home) as own:
        _tell(story, own)
        assert_balanced(own.database_url)


def _tell(story: Story, on: Stage) -> None:
    tell: Callable[..., Any] = getattr(crash_stories, story.name)
    tell(on, *story.told)
