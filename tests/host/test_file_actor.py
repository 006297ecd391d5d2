"""Files of the operator that a plan changes: whole or not at all, and back byte for byte."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from host.carry import apply
from host.planted import simulated
from lanekeeper.domain.errors import Conflict, HostFault
from lanekeeper.domain.hostplan.action import (
    Change,
    RemoveFile,
    ReplaceText,
    Respell,
    RunProgram,
    WriteFile,
)
from lanekeeper.domain.hostplan.persistence import ORIGINALS
from lanekeeper.domain.hostplan.step import Step
from lanekeeper.host.actor import Actor
from lanekeeper.host.file_actor import FileActor
from lanekeeper.host.journal import Course

NAME = "etc/settings"
BLOCK = "# note\nB=1\n"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / NAME
    path.parent.mkdir()
    path.write_text("A=1\nB=0\n")
    return path


def do(root: Path, *actions: WriteFile | RemoveFile | ReplaceText | Respell) -> None:
    for action in actions:
        FileActor(root).do(action)


def test_lines_are_put_in_place_of_others_and_back(tmp_path: Path, path: Path) -> None:
    change, back = ReplaceText(NAME, "B=0\n", BLOCK), ReplaceText(NAME, BLOCK, "B=0\n")
    do(tmp_path, change, change)
    assert path.read_text() == "A=1\n# note\nB=1\n"
    path.write_text(path.read_text() + "C=mine\n")
    do(tmp_path, back, back)
    assert path.read_text() == "A=1\nB=0\nC=mine\n"


def test_a_line_is_no_part_of_another(tmp_path: Path, path: Path) -> None:
    path.write_text("XB=0\nB=01\nB=0")
    do(tmp_path, ReplaceText(NAME, "B=0", "B=0\n# note\n"))
    assert path.read_text() == "XB=0\nB=01\nB=0\n# note\n"


@pytest.mark.parametrize(
    ("text", "what"),
    [("A=1\nB=0 mine\n", "are not there"), ("B=0\nB=0\n", "stand there 2 times")],
)
def test_lines_that_somebody_changed_are_left(
    tmp_path: Path, path: Path, text: str, what: str
) -> None:
    path.write_text(text)
    with pytest.raises(Conflict, match=f"/etc/settings that begin with 'B=0' {what}"):
        do(tmp_path, ReplaceText(NAME, "B=0\n", BLOCK))
    assert path.read_text() == text


@given(st.text(st.sampled_from("AB\n# é"), max_size=12))
def test_what_was_added_is_taken_out_and_nothing_else(
    tmp_path_factory: pytest.TempPathFactory, text: str
) -> None:
    root = tmp_path_factory.mktemp("root")
    (root / "f").write_text(text)
    last = text.rpartition("\n")[2]
    change = ReplaceText("f", last, f"{last}\n# mine\n" if last else "# mine\n")
    do(root, change, change)
    assert (root / "f").read_text().endswith("# mine\n")
    do(root, ReplaceText("f", change.new, change.old))
    assert (root / "f").read_text() == text


def test_owner_and_mode_stay_and_the_original_is_kept_once(tmp_path: Path, path: Path) -> None:
    path.chmod(0o640)
    if os.geteuid() == 0:
        os.chown(path, 12, 34)
    before = path.stat()
    do(tmp_path, ReplaceText(NAME, "B=0\n", BLOCK), WriteFile(NAME, "other\n"))
    after = path.stat()
    assert (after.st_mode, after.st_uid, after.st_gid) == (
        before.st_mode,
        before.st_uid,
        before.st_gid,
    )
    assert (tmp_path / ORIGINALS / NAME).read_text() == "A=1\nB=0\n"


def test_a_new_file_has_the_mode_that_is_asked(tmp_path: Path, path: Path) -> None:
    do(tmp_path, WriteFile("etc/script", "#!/bin/sh\n", 0o755))
    assert (tmp_path / "etc/script").stat().st_mode & 0o777 == 0o755


def test_spelling_comes_back_only_where_the_words_are_the_same(tmp_path: Path, path: Path) -> None:
    path.write_text("B=0  A=1")
    do(tmp_path, Respell(NAME, "A=1\nB=0\n"))
    assert path.read_text() == "A=1\nB=0\n"
    path.write_text("A=1 B=0 mine")
    do(tmp_path, Respell(NAME, "A=1\nB=0\n"), Respell("etc/gone", "A"))
    assert path.read_text() == "A=1 B=0 mine"


@pytest.mark.parametrize("way", ["settings", "/etc/settings", "../../../../etc/settings"])
def test_a_link_of_the_operators_is_kept_and_what_it_leads_to_is_changed(
    tmp_path: Path, path: Path, way: str
) -> None:
    """Within the root, wherever an absolute one would lead outside of it."""
    link = tmp_path / "etc/link"
    link.symlink_to(way)
    do(tmp_path, ReplaceText("etc/link", "B=0\n", BLOCK))
    assert (str(link.readlink()), path.read_text()) == (way, "A=1\n# note\nB=1\n")
    assert (tmp_path / ORIGINALS / NAME).read_text() == "A=1\nB=0\n"
    FileActor(tmp_path).undo(ReplaceText("etc/link", BLOCK, "B=0\n"))
    assert (str(link.readlink()), path.read_text()) == (way, "A=1\nB=0\n")
    do(tmp_path, Respell("etc/link", "B=0\nA=1\n"))
    assert (str(link.readlink()), path.read_text()) == (way, "B=0\nA=1\n")


def test_a_link_to_what_is_no_file_is_refused(tmp_path: Path, path: Path) -> None:
    (tmp_path / "null").mkdir()
    (tmp_path / "etc/link").symlink_to("/null")
    with pytest.raises(Conflict, match="/etc/link leads to /null, which is no regular file"):
        do(tmp_path, ReplaceText("etc/link", "", BLOCK))
    assert list((tmp_path / "null").iterdir()) == []


def test_what_a_program_changes_is_kept_before_it_runs(tmp_path: Path, path: Path) -> None:
    said: list[object] = []
    actor = Actor(tmp_path, simulated(tmp_path / "machine"), said.append)
    actor.do(RunProgram(("grubby", "--x"), (NAME, "etc/none")))
    assert said == [("grubby", "--x")]
    assert (tmp_path / ORIGINALS / NAME).read_text() == "A=1\nB=0\n"


@pytest.fixture
def full_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system with room for little."""
    place = tmp_path / "full"
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=16k", "tmpfs", str(place)]
    if os.geteuid() != 0 or subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("mounting needs root")
    yield place
    subprocess.run(["umount", str(place)], check=True)


def test_a_full_disk_takes_all_back(tmp_path: Path, full_disk: Path) -> None:
    (full_disk / "a").write_text("A=1\n")
    (full_disk / "b").write_text("mine\n")
    steps: list[Step] = []
    changes: list[tuple[Change, Change]] = [
        (ReplaceText("full/a", "A=1\n", "A=2\n"), ReplaceText("full/a", "A=2\n", "A=1\n")),
        (WriteFile("full/new", "x" * 100), RemoveFile("full/new")),
        (WriteFile("full/b", "x" * 20_000), WriteFile("full/b", "mine\n")),
    ]
    steps = [Step(change, (undo,), "why") for change, undo in changes]
    outcome = apply(steps, Actor(tmp_path, simulated(tmp_path / "m")), tmp_path / "changes")
    assert outcome is not None
    assert outcome.course is Course.TAKEN_BACK
    assert "write /full/b: cannot write /full/b: No space left on device" in outcome.failure
    assert {p.name: p.read_text() for p in full_disk.iterdir()} == {"a": "A=1\n", "b": "mine\n"}


@pytest.fixture
def read_only(full_disk: Path) -> Path:
    (full_disk / "a").write_text("A=1\n")
    subprocess.run(["mount", "-o", "remount,ro", str(full_disk)], check=True)
    return full_disk


def test_what_was_never_written_is_removed_where_nothing_can_be(
    tmp_path: Path, read_only: Path
) -> None:
    Actor(tmp_path, simulated(tmp_path / "m")).do(RemoveFile("full/none"))
    assert [path.name for path in read_only.iterdir()] == ["a"]


def test_a_file_that_cannot_be_written_is_named_and_stays(tmp_path: Path, read_only: Path) -> None:
    actor = Actor(tmp_path, simulated(tmp_path / "m"))
    with pytest.raises(HostFault, match="cannot change lines in /full/a: Read-only file system"):
        actor.do(ReplaceText("full/a", "A=1\n", "A=2\n"))
    assert (read_only / "a").read_text() == "A=1\n"


@pytest.mark.parametrize("name", [NAME, "etc/link"])
def test_each_change_and_its_undo_are_on_disk_with_their_names(
    tmp_path: Path, path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "kept").mkdir()
    path.rename(tmp_path / "kept/settings")
    target = f"../kept/{path.name}"
    path.symlink_to(target)
    (tmp_path / "etc/link").symlink_to(path.name)
    change, back = ReplaceText(name, "B=0\n", BLOCK), ReplaceText(name, BLOCK, "B=0\n")
    synced: list[Path] = []
    monkeypatch.setattr(
        os, "fsync", lambda fd: synced.append(Path(f"/proc/self/fd/{fd}").readlink())
    )
    actor = FileActor(tmp_path)
    for step, action in ((actor.do, change), (actor.undo, back), (actor.do, change)):
        synced.clear()
        step(action)
        assert synced[-1] == tmp_path / "kept"
    synced.clear()
    actor.do(change)  # once more, as after a crash in between
    assert synced == [tmp_path / "kept"]
