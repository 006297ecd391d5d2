"""A policy that an operator keeps elsewhere, with a link in its place: it stays one."""

from __future__ import annotations

from pathlib import Path

import pytest

from host.planted import SAMPLE_POLICY, simulated, snapshot
from lanekeeper.domain.hostplan.action import TakeEdit, WriteFile
from lanekeeper.domain.hostplan.persistence import ORIGINALS, POLICY_FILE
from lanekeeper.host.file_actor import FileActor
from lanekeeper.main import main

KEPT = "srv/checkout/policy.yaml"
WAYS = ("../../srv/checkout/policy.yaml", "/srv/checkout/policy.yaml")
TEXT = SAMPLE_POLICY.read_text()
GOING = TEXT.replace("persist: true", "persist: false")
OTHER, ANOTHER = TEXT + "# edited\n", TEXT + "# edited once more\n"


def call(root: Path, verb: str, *arguments: str) -> int:
    held = ("--confirm-within", "0") if verb == "apply" else ()
    return main(["host", verb, "--simulate", str(root), *held, *arguments])


def applied(root: Path, text: str) -> None:
    given = root.parent / "given.yaml"
    given.write_text(text)
    assert call(root, "apply", "--policy", str(given)) == 0


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A machine whose policy was applied, and then put elsewhere."""
    root = tmp_path / "machine"
    simulated(root)
    applied(root, TEXT)
    moved = root / KEPT
    moved.parent.mkdir(parents=True)
    (root / POLICY_FILE).rename(moved)
    (root / POLICY_FILE).symlink_to(WAYS[0])
    return root


def linked(root: Path) -> str:
    assert str((root / POLICY_FILE).readlink()) in WAYS
    return (root / KEPT).read_text()


def test_an_edit_is_taken_where_it_stands_and_goes_back_through_the_link(root: Path) -> None:
    (root / KEPT).write_text(OTHER)
    assert call(root, "apply") == 0
    assert linked(root) == OTHER
    before = snapshot(root)
    (root / KEPT).write_text(ANOTHER)
    assert call(root, "apply") == 0
    assert linked(root) == ANOTHER
    assert call(root, "rollback") == 0
    copy = f"{POLICY_FILE}.edited-1"
    assert snapshot(root) == before | {copy: ANOTHER}


@pytest.mark.parametrize("way", WAYS)
def test_another_policy_is_written_to_where_the_link_leads(tmp_path: Path, way: str) -> None:
    (tmp_path / POLICY_FILE).parent.mkdir(parents=True)
    (tmp_path / KEPT).parent.mkdir(parents=True)
    (tmp_path / KEPT).write_text(OTHER)
    (tmp_path / POLICY_FILE).symlink_to(way)
    FileActor(tmp_path).do(WriteFile(POLICY_FILE, TEXT))
    assert linked(tmp_path) == TEXT
    assert (tmp_path / ORIGINALS / KEPT).read_text() == OTHER
    FileActor(tmp_path).undo(WriteFile(POLICY_FILE, OTHER))
    assert linked(tmp_path) == OTHER


def test_another_policy_goes_back_byte_for_byte(root: Path) -> None:
    before = snapshot(root)
    applied(root, OTHER)
    assert linked(root) == OTHER
    assert call(root, "rollback") == 0
    assert snapshot(root) == before


def test_a_link_that_is_taken_away_comes_back(root: Path) -> None:
    before = snapshot(root)
    applied(root, GOING)
    assert not (root / POLICY_FILE).is_symlink()
    assert (root / KEPT).read_text() == TEXT
    assert call(root, "rollback") == 0
    assert snapshot(root) == before


def test_what_was_written_in_the_place_of_the_link_is_kept_beside_it(root: Path) -> None:
    applied(root, GOING)
    (root / POLICY_FILE).parent.mkdir()
    (root / POLICY_FILE).write_text("mine: all of it\n")
    assert call(root, "rollback") == 0
    assert linked(root) == TEXT
    assert (root / f"{POLICY_FILE}.edited-1").read_text() == "mine: all of it\n"


def test_an_edit_that_is_counted_is_not_written(tmp_path: Path) -> None:
    """Somebody may write on between the plan and the step."""
    (tmp_path / "policy").write_text("newer\n")
    FileActor(tmp_path).do(TakeEdit("policy", "as it was read\n"))
    assert (tmp_path / "policy").read_text() == "newer\n"
