"""Old journals go, but never one that a rollback of what is in effect needs."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lanekeeper.clock import utc_now
from lanekeeper.domain.hostplan.action import Change, RemoveFile, SetVfCount, WriteFile
from lanekeeper.domain.hostplan.step import Step
from lanekeeper.host import journal
from lanekeeper.host.apply import Executor
from lanekeeper.host.deadline import Moment
from lanekeeper.host.file_actor import FileActor
from lanekeeper.host.journal import KEPT, Course
from lanekeeper.host.proposal import Proposal

VFS = SetVfCount("0000:21:00.0", 7)


class Host:
    """Files below a directory, a number of VFs, and a boot that comes when it is told to."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.vfs = 0
        self.boots = 1
        self._files = FileActor(root)
        (root / "etc").mkdir()
        self.executor = Executor(
            self, root / journal.DIRECTORY, now=lambda: Moment(f"boot-{self.boots}", 1.0, utc_now())
        )

    def do(self, action: Change) -> None:
        if isinstance(action, SetVfCount):
            self.vfs = action.count
        elif isinstance(action, WriteFile | RemoveFile):
            self._files.do(action)

    def undo(self, action: Change) -> None:
        self.do(action)

    def keep_edit(self, path: str, known: Collection[str]) -> str | None:
        return self._files.keep_edit(path, known)

    def reboot(self) -> None:
        self.boots, self.vfs = self.boots + 1, 0

    def make_vfs(self, policy: str = "") -> None:
        self._apply(Step(VFS, (SetVfCount(VFS.pf, 0),), "why"), policy)

    def write(self, number: int, policy: str = "") -> None:
        path = f"etc/{number}"
        self._apply(Step(WriteFile(path, "x\n"), (RemoveFile(path),), "why"), policy)

    def _apply(self, step: Step, policy: str) -> None:
        self.executor.apply(lambda: Proposal([step], policy))

    def numbers(self) -> list[int]:
        return [each.id for each in journal.journals(self.executor.directory)]

    def files(self) -> list[str]:
        return sorted(path.name for path in (self.root / "etc").iterdir())


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)


def test_the_change_of_each_boot_goes_when_others_came(host: Host) -> None:
    host.write(1)
    for _ in range(KEPT + 30):
        host.make_vfs()
        host.reboot()
    host.make_vfs()
    last = KEPT + 32
    assert host.numbers() == [1, *range(last - KEPT, last + 1)]
    assert [each.change for each in host.executor.rollback_to(0)][-1] == 1
    assert (host.files(), host.vfs) == ([], 0)


def test_a_policy_that_each_boot_applied_still_goes_back_whole(host: Host) -> None:
    """What lacks of it by then is what other boots have undone."""
    host.write(1, "other")
    host.write(2, "kept")
    for _ in range(2 * KEPT):
        host.make_vfs("kept")
        host.reboot()
    host.make_vfs("kept")
    assert host.numbers()[:2] == [1, 2]
    assert len(host.numbers()) == KEPT + 3
    assert host.executor.rollback()[-1].change == 2
    assert (host.files(), host.vfs) == (["1"], 0)


def test_changes_in_effect_stay_however_many(host: Host) -> None:
    for number in range(KEPT + 10):
        host.write(number)
    for _ in range(KEPT + 10):
        host.make_vfs()  # in this boot: its undo is still one
    assert len(host.numbers()) == 2 * KEPT + 20
    host.executor.rollback_to(5)
    assert host.files() == ["0", "1", "2", "3", "4"]


def test_changes_taken_back_go_and_numbers_are_not_given_twice(host: Host) -> None:
    host.write(0)
    for number in range(1, KEPT + 10):
        host.write(number)
        host.executor.rollback()
    host.write(99)
    assert host.numbers() == [1, *range(11, KEPT + 12)]
    assert host.files() == ["0", "99"]


def test_the_last_applied_stays_as_what_drift_is_told_from(host: Host) -> None:
    host.make_vfs()
    host.reboot()
    for number in range(KEPT + 5):
        host.write(number)
        host.executor.rollback()
    changes = journal.journals(host.executor.directory)
    assert [each.id for each in changes if each.course is Course.APPLIED] == [1]


@given(st.lists(st.sampled_from(["write", "vfs", "same vfs", "reboot", "back"]), max_size=80))
def test_whatever_happened_going_back_to_the_start_leaves_nothing(
    tmp_path_factory: pytest.TempPathFactory, events: list[str]
) -> None:
    host = Host(tmp_path_factory.mktemp("host"))
    for number, event in enumerate(events):
        match event:
            case "write":
                host.write(number)
            case "vfs":
                host.make_vfs()
            case "same vfs":
                host.make_vfs("policy")
            case "reboot":
                host.reboot()
            case _:
                host.executor.rollback()
    host.executor.rollback_to(0)
    assert (host.files(), host.vfs) == ([], 0)
