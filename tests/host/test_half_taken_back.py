"""Undos that cannot be done: said, kept, tried again, given up; none locks the next change."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from host.boot.distribution import SYSTEMD_BOOT
from host.planted import OTHER_PF, PF, SAMPLE_POLICY, simulated, snapshot
from host.test_image import host, image
from host.test_rollback import TEXTS, World
from lanekeeper.domain.errors import Conflict
from lanekeeper.domain.hostplan.action import ReplaceText, TakeEdit
from lanekeeper.host import journal
from lanekeeper.host.file_actor import FileActor
from lanekeeper.host.journal import Course, StepState
from lanekeeper.host.simulated import SimulatedMachine
from lanekeeper.main import main

POLICY = "version: 1\nkernel_arguments: [intel_iommu=on]\npersist: false\n"
ENTRY = "efi/loader/entries/1-6.12.conf"
OTHER_ENTRY = "efi/loader/entries/2-mine.conf"
REWRITTEN = "linux /vmlinuz\noptions root=/dev/vda1 quiet intel_iommu=on mine\n"


@pytest.fixture
def booted(tmp_path: Path) -> Path:
    """An image with entry files that the policy has been applied to."""
    root = image(tmp_path / "image", SYSTEMD_BOOT)
    (tmp_path / "p.yaml").write_text(POLICY)
    assert host("apply", root, "--policy", str(tmp_path / "p.yaml")) == 0
    assert "intel_iommu=on" in (root / ENTRY).read_text()
    return root


def change_of(root: Path, number: int = 1) -> journal.Journal:
    return journal.load(journal.file_of(root / journal.DIRECTORY, number))


@pytest.mark.parametrize("name", ["1-6.12+3.conf", "1-6.12+2-1.conf"])
def test_an_entry_whose_tries_the_loader_counts_is_the_same_entry(booted: Path, name: str) -> None:
    before = (booted / OTHER_ENTRY).read_text()
    counted = (booted / ENTRY).rename((booted / ENTRY).with_name(name))
    assert host("rollback", booted) == 0
    assert "intel_iommu" not in counted.read_text()
    assert not (booted / ENTRY).exists()
    assert (booted / OTHER_ENTRY).read_text() != before
    assert change_of(booted).course is Course.TAKEN_BACK


def test_two_counted_entries_of_a_name_are_not_guessed_at(tmp_path: Path) -> None:
    entries = tmp_path / "boot/loader/entries"
    entries.mkdir(parents=True)
    for name in ("a+1.conf", "a+2.conf", "ab+1.conf"):
        (entries / name).write_text("options ro\n")
    change = ReplaceText("boot/loader/entries/a.conf", "options ro\n", "options rw\n")
    with pytest.raises(FileNotFoundError):
        FileActor(tmp_path).do(change)
    (entries / "a+2.conf").unlink()
    FileActor(tmp_path).do(change)
    assert (entries / "a+1.conf").read_text() == "options rw\n"
    assert (entries / "ab+1.conf").read_text() == "options ro\n"


def test_lines_in_a_file_that_is_gone_are_gone_with_it(booted: Path) -> None:
    """A kernel that was removed takes its entry along."""
    (booted / ENTRY).unlink()
    assert host("rollback", booted) == 0
    assert not (booted / ENTRY).exists()
    assert "intel_iommu" not in (booted / OTHER_ENTRY).read_text()


def test_what_others_wrote_anew_without_ours_is_left(booted: Path) -> None:
    text = "linux /vmlinuz\noptions root=/dev/vda1 quiet mine\n"
    (booted / ENTRY).write_text(text)
    assert host("rollback", booted) == 0
    assert (booted / ENTRY).read_text() == text


def test_what_others_rewrote_with_ours_is_named_and_tried_again(
    booted: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (booted / ENTRY).write_text(REWRITTEN)
    capsys.readouterr()
    assert host("rollback", booted) == 1
    told = capsys.readouterr().out
    assert "could not be taken back: step 1 of " in told
    assert f"somebody rewrote /{ENTRY}, which has intel_iommu=on (take that out by hand" in told
    assert "`lanekeeper host rollback --give-up` leaves as it is what cannot" in told
    assert (booted / ENTRY).read_text() == REWRITTEN
    (booted / ENTRY).write_text(REWRITTEN.replace("intel_iommu=on ", ""))
    assert host("rollback", booted) == 0
    assert change_of(booted).course is Course.TAKEN_BACK


def test_what_is_given_up_is_told_and_the_change_is_over(
    booted: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (booted / ENTRY).write_text(REWRITTEN)
    capsys.readouterr()
    assert host("rollback", booted, "--give-up") == 0
    told = capsys.readouterr().out
    assert f"could not be taken back: step 1 of 3, change lines in /{ENTRY}" in told
    assert "Change 1 is taken back but for that, which stays as it is." in told
    assert (booted / ENTRY).read_text() == REWRITTEN
    assert "intel_iommu" not in (booted / OTHER_ENTRY).read_text()
    change = change_of(booted)
    assert change.course is Course.TAKEN_BACK
    assert f"somebody rewrote /{ENTRY}" in change.reason
    assert change.states == [StepState.LEFT, StepState.UNDONE, StepState.UNDONE]
    assert host("rollback", booted) == 0
    assert "Nothing to take back" in capsys.readouterr().out


def test_an_image_is_changed_again_after_an_undo_that_failed(
    booted: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (booted / ENTRY).write_text(REWRITTEN)
    assert host("rollback", booted) == 1
    capsys.readouterr()
    other = tmp_path / "other.yaml"
    other.write_text(POLICY.replace("intel_iommu=on", "iommu=pt"))
    assert host("apply", booted, "--policy", str(other)) == 1
    told = capsys.readouterr().out
    assert "Change 1 stays half taken back; others can be made after it." in told
    assert change_of(booted, 2).course is Course.APPLIED
    assert "iommu=pt" in (booted / ENTRY).read_text()


def busy(world: World) -> SimulatedMachine:
    return SimulatedMachine(world.root, lambda path, _: 16 * path.endswith("41:00.0/sriov_numvfs"))


def test_rollback_to_the_first_gives_up_each_that_cannot_go_and_goes_on(tmp_path: Path) -> None:
    world = World(tmp_path / "machine")
    for text in TEXTS:
        world.apply(text)
    outcomes = world.executor(busy(world)).rollback_to(0, gives_up=True)
    assert [outcome.change for outcome in outcomes] == [3, 2, 1]
    assert {outcome.course for outcome in outcomes} == {Course.TAKEN_BACK}
    assert "Device or resource busy" in outcomes[0].left[0]
    assert world.machine.device(OTHER_PF).num_vfs == 2
    assert world.machine.device(PF).num_vfs == 0


def test_the_next_apply_tries_once_more_then_goes_on_and_rollback_still_can(
    tmp_path: Path,
) -> None:
    world = World(tmp_path / "machine")
    world.apply(TEXTS[2])
    (first,) = world.executor(busy(world)).rollback()
    assert first.course is Course.BACK
    left = world.executor(busy(world)).resume()
    assert left is not None
    assert left.course is Course.LEFT
    assert world.executor().resume() is None
    world.apply(TEXTS[0])
    assert [each.course for each in journal.journals(world.changes)] == [
        *(Course.LEFT, Course.APPLIED)
    ]
    (second,) = world.executor().rollback()
    assert second.change == 2
    (third,) = world.executor().rollback()
    assert (third.change, third.course) == (1, Course.TAKEN_BACK)
    assert world.state() == world.states[0]


def test_a_boot_applies_its_policy_over_an_undo_that_cannot_be_done(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The unit's own call, with a boot loader's file that somebody rewrote."""
    root = tmp_path / "machine"
    where = ("--simulate", str(root))
    simulated(root)
    policy = tmp_path / "p.yaml"
    for text in (SAMPLE_POLICY.read_text(), SAMPLE_POLICY.read_text().replace("vfs: 7", "vfs: 2")):
        policy.write_text(text)
        assert main(["host", "apply", *where, "--policy", str(policy)]) == 0
    change = journal.load(journal.file_of(root / journal.DIRECTORY, 2))
    undo = {"type": "ReplaceText", "path": "etc/mine", "old": "ours\n", "new": "mine\n"}
    # As it lies there when somebody rewrote the file before the host went down.
    (root / "etc/mine").write_text("ours and mine\n")
    lines = change.path.read_text().splitlines()
    head = json.loads(lines[0])
    head["steps"][0]["undo"] = [undo]
    back = json.dumps({"type": "course", "course": "back"})
    change.path.write_text("\n".join([json.dumps(head), *lines[1:], back]) + "\n")
    capsys.readouterr()
    kept = root / "etc/lanekeeper/host-policy.yaml"
    boot = ("--policy", str(kept), "--confirm-within", "0", "--leave-refused")
    assert main(["host", "apply", *where, *boot]) == 1  # told as no success
    told = capsys.readouterr().out
    assert "somebody rewrote /etc/mine, which has ours" in told
    assert SimulatedMachine(root).device(PF).num_vfs == 7
    assert main(["host", "check", *where]) in (0, 1)
    assert "change 2 is half taken back" in capsys.readouterr().out
    assert main(["host", "apply", *where, *boot]) == 0
    done = [step.do for each in journal.journals(root / journal.DIRECTORY) for step in each.steps]
    assert not [action for action in done if isinstance(action, TakeEdit)]  # nobody edited it


def test_lines_that_only_comments_had_are_asked_for_whole(tmp_path: Path) -> None:
    """Where nothing of ours says anything, what was commented out cannot be found again."""
    (tmp_path / "f").write_text("# something else\n")
    with pytest.raises(Conflict, match="are not there"):
        FileActor(tmp_path).undo(ReplaceText("f", "# note\n# options a=1\n", "options a=1\n"))
    assert snapshot(tmp_path) == {"f": "# something else\n"}
