"""Each cause is named by the first line with its remedy, and the remedy works."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from causes import CAUSES, Cause
from causes.case import World, settings
from fleet import MEMBER, fleet

pytestmark = pytest.mark.service

PAGE = Path(__file__).parents[2] / "docs/explain.md"


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with fleet(f"sqlite:///{tmp_path}/x.db", tmp_path, settings(), hosts=0) as made:
        yield World(made)


@pytest.mark.parametrize("cause", CAUSES, ids=lambda cause: cause.id)
def test_the_first_line_names_cause_and_remedy_and_the_remedy_works(
    world: World, cause: Cause
) -> None:
    asked = cause.make(world)
    for work in (world.explain, world.create):
        first, *_ = world.first_line(partial(work, asked)).splitlines() or [""]
        assert cause.says in first
        assert cause.helps in first
    if asked.host is None:  # only admins name hosts
        told = world.first_line(partial(world.explain, asked, MEMBER))
        assert told
        assert not re.search(r"\bh[0-9]\b|0000:|device_spec|agg[0-9]", told)
    asked = cause.mend(world, asked) or asked
    assert world.explain(asked).fits
    assert world.create(asked).host_id is not None


def test_the_page_lists_the_causes() -> None:
    listed = re.findall(r"^\| `([a-z-]+)` \| (.+) \| (.+) \| (.+) \|$", PAGE.read_text(), re.M)
    assert listed == [(one.id, one.what, f"… {one.says} …", f"… {one.helps} …") for one in CAUSES]
