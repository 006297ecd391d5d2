"""Where programs keep their state when nobody says so."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from lanekeeper.cli.agent import DEFAULT_STATE
from lanekeeper.cli.state_dir import CONTROLLER, PLACEMENT, Home, owned
from lanekeeper.domain.errors import Invalid

UNITS = Path(__file__).parents[2] / "packaging/systemd"


@pytest.fixture(autouse=True)
def umask() -> Iterator[None]:
    """Whoever owns a state directory changes the process's, which is the other tests', too."""
    before = os.umask(0o022)
    yield
    os.umask(before)


def test_every_program_has_a_directory_of_its_own_and_the_units_name_it() -> None:
    homes = {"controller": CONTROLLER.path, "placement": PLACEMENT.path, "agent": DEFAULT_STATE}
    for program, path in homes.items():
        unit = (UNITS / f"lanekeeper-{program}.service").read_text()
        assert re.findall(r"--state-dir (\S+)", unit) == [str(path)]
    for path in homes.values():
        assert all(path not in other.parents for other in homes.values())


def test_state_in_the_former_default_directory_is_not_passed_over(tmp_path: Path) -> None:
    home = Home(path=tmp_path / "lanekeeper/controller", before=tmp_path / "lanekeeper")
    assert home.chosen(None) == home.path
    with owned(home.before):
        pass  # a controller has worked with it
    with pytest.raises(Invalid, match=f"{home.before}, where it was before, holds one") as refused:
        home.chosen(None)
    assert f"--state-dir {home.before}" in refused.value.hint
    assert home.chosen(home.before) == home.before
    with owned(home.path):
        pass
    assert home.chosen(None) == home.path
