"""Going back over several changes, and journals that are old, newer, damaged or in the way."""

from __future__ import annotations

import errno
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Collection
from pathlib import Path

import msgspec
import pytest

from host.planted import OTHER_PF, PF, SAMPLE_POLICY, simulated, snapshot
from lanekeeper.domain.errors import Conflict, HostFault, NotFound
from lanekeeper.domain.hostplan.action import Change, SetVfCount, WriteFile
from lanekeeper.domain.hostplan.persistence import HEAD
from lanekeeper.domain.hostplan.plan import plan
from lanekeeper.domain.hostplan.step import Step
from lanekeeper.domain.pci.vf_change import VfChange
from lanekeeper.domain.pci.vf_settings import NO_MAC
from lanekeeper.host import journal
from lanekeeper.host.actor import Actor
from lanekeeper.host.apply import Executor
from lanekeeper.host.facts import read_host
from lanekeeper.host.file_actor import FileActor
from lanekeeper.host.journal import Course, Head, StepState
from lanekeeper.host.policy_file import load_policy
from lanekeeper.host.proposal import Proposal
from lanekeeper.host.simulated import SimulatedMachine
from lanekeeper.main import main

TEXTS = (
    "version: 1\nkernel_arguments: [hugepages=8]\npersist: false\n",
    'version: 1\npfs:\n  - {pf: "0000:21:00.0", vfs: 3, vf_driver: igbvf}\npersist: false\n',
    'version: 1\npfs:\n  - {pf: "0000:21:00.0", vfs: 5}\n  - {pf: "0000:41:00.0", vfs: 2}\n',
)


class World:
    """A simulated machine, and what it was after each change."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.machine = simulated(root)
        self.changes = root / journal.DIRECTORY
        self.states = [self.state()]

    def executor(self, machine: SimulatedMachine | None = None) -> Executor:
        machine = machine or self.machine
        return Executor(Actor(self.root, machine, machine.run), self.changes)

    def apply(self, text: str) -> None:
        policy = load_policy(text, "p")
        self.executor().apply(lambda: Proposal(plan(policy, read_host(self.root)).steps, text))
        self.states.append(self.state())

    def state(self) -> dict[str, str]:
        left_behind = ("simulated", "sys/module")
        return {k: v for k, v in snapshot(self.root).items() if not k.startswith(left_behind)}


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path / "machine")


@pytest.mark.parametrize("number", [0, 1, 2, 3])
def test_every_change_after_the_one_named_goes_back(world: World, number: int) -> None:
    for text in TEXTS:
        world.apply(text)
    outcomes = world.executor().rollback_to(number)
    assert [outcome.change for outcome in outcomes] == list(range(3, number, -1))
    assert all(outcome.course is Course.TAKEN_BACK for outcome in outcomes)
    assert world.state() == world.states[number]


def test_changes_taken_back_before_are_passed_over(world: World) -> None:
    world.apply(TEXTS[0])
    world.apply(TEXTS[1])
    world.executor().rollback()
    world.apply(TEXTS[2])
    assert [outcome.change for outcome in world.executor().rollback_to(1)] == [3]
    assert world.state() == world.states[1]
    assert world.executor().rollback_to(1) == []


def test_a_policy_that_was_applied_again_goes_back_whole(world: World) -> None:
    """As at each boot, whose change alone would leave the policy that the next boot applies."""
    world.apply(TEXTS[0])
    world.apply(TEXTS[1])
    for _ in range(2):
        world.machine.create_vfs(PF, 0)
        world.apply(TEXTS[1])
    outcomes = world.executor().rollback()
    assert [outcome.change for outcome in outcomes] == [4, 3, 2]
    assert {outcome.course for outcome in outcomes} == {Course.TAKEN_BACK}
    courses = [each.course for each in journal.journals(world.changes)]
    assert courses == [Course.APPLIED, *[Course.TAKEN_BACK] * 3]
    assert world.state() == world.states[1]


def test_a_change_that_does_not_stand_is_nowhere_to_go_back_to(world: World) -> None:
    assert world.executor().rollback_to(0) == []
    with pytest.raises(NotFound, match="no change 1: nothing was ever applied here"):
        world.executor().rollback_to(1)
    world.apply(TEXTS[0])
    world.apply(TEXTS[1])
    world.executor().rollback()
    with pytest.raises(Conflict, match="change 2 is not applied but taken back") as caught:
        world.executor().rollback_to(2)
    assert caught.value.hint == "these stand: 1; 0 is the host before the first"
    with pytest.raises(NotFound, match="there is no change 9"):
        world.executor().rollback_to(9)
    with pytest.raises(NotFound, match="there is no change -1"):
        world.executor().rollback_to(-1)
    assert world.state() == world.states[1]


def test_it_ends_where_something_could_not_be_taken_back(world: World) -> None:
    for text in TEXTS:
        world.apply(text)
    busy = SimulatedMachine(
        world.root,
        lambda path, text: errno.EBUSY if path.endswith(f"{OTHER_PF}/sriov_numvfs") else 0,
    )
    outcomes = world.executor(busy).rollback_to(0)
    assert [outcome.course for outcome in outcomes] == [Course.BACK]
    assert "Device or resource busy" in outcomes[0].left[0]
    outcomes = world.executor().rollback_to(0)
    assert [outcome.change for outcome in outcomes] == [3, 2, 1]
    assert world.state() == world.states[0]


class Disturbed:
    """Does actions, and lets something happen just before one of them."""

    def __init__(self, actor: Actor, before: Change, happens: Callable[[], object]) -> None:
        self._actor, self._before, self._happens = actor, before, happens

    def do(self, action: Change) -> None:
        if action == self._before:
            self._happens()
        self._actor.do(action)

    def undo(self, action: Change) -> None:
        self.do(action)

    def keep_edit(self, path: str, known: Collection[str]) -> str | None:
        return self._actor.keep_edit(path, known)


def test_a_device_that_vanishes_in_the_middle_takes_the_rest_back(world: World) -> None:
    steps = plan(load_policy(SAMPLE_POLICY.read_text(), "p"), read_host(world.root)).steps
    link = world.root / "sys/bus/pci/devices" / str(OTHER_PF)
    home = link.resolve()

    def pulled() -> None:
        link.unlink()
        shutil.rmtree(home)

    actor = Actor(world.root, world.machine, world.machine.run)
    doer = Disturbed(actor, SetVfCount(str(OTHER_PF), 7), pulled)
    outcome = Executor(doer, world.changes).apply(lambda: Proposal(steps))
    assert outcome is not None
    assert "create 7 VFs on 0000:41:00.0" in outcome.failure
    assert world.machine.device(PF).num_vfs == 0
    assert all("0000:41:00.0" in left for left in outcome.left)


def test_a_driver_that_refuses_in_the_middle_takes_the_rest_back(world: World) -> None:
    busy = SimulatedMachine(
        world.root,
        lambda path, text: (
            errno.EIO if path.endswith(f"{OTHER_PF}/sriov_numvfs") and text != "0" else 0
        ),
    )
    steps = plan(load_policy(SAMPLE_POLICY.read_text(), "p"), read_host(world.root)).steps
    outcome = world.executor(busy).apply(lambda: Proposal(steps))
    assert outcome is not None
    assert (outcome.course, outcome.left) == (Course.TAKEN_BACK, ())
    assert "Input/output error" in outcome.failure
    assert world.state() == world.states[0]


def test_format_1_is_read_and_taken_back(world: World) -> None:
    """As the first release wrote it: no time, no version, no policy."""
    world.changes.mkdir(parents=True)
    (world.root / "etc/made").write_text("new\n")
    steps = [
        {
            "do": {"type": "WriteFile", "path": "etc/made", "text": "new\n"},
            "undo": [{"type": "RemoveFile", "path": "etc/made"}],
            "why": "test",
            "impact": "none",
        }
    ]
    lines = [
        {"steps": steps, "format": 1},
        {"type": "step", "step": 0, "state": "doing"},
        {"type": "step", "step": 0, "state": "done"},
        {"type": "course", "course": "applied"},
    ]
    text = "".join(json.dumps(line) + "\n" for line in lines)
    (world.changes / "000001.jsonl").write_text(text)
    found = journal.journals(world.changes)[0]
    assert (found.course, found.head.began, found.is_held) == (Course.APPLIED, None, False)
    world.executor().rollback()
    assert world.state() == world.states[0]


@pytest.mark.parametrize("number", [1, 2])
def test_actions_without_the_fields_that_came_later_are_taken_back(
    world: World, number: int
) -> None:
    """Journals outlive releases; a field that an action got since has its default in them."""
    world.machine.create_vfs(PF, 2)
    before = world.state()
    clean = world.machine.vf_settings(PF, 0)
    world.machine.write_vf_settings(PF, 0, VfChange(mac="02:00:00:00:00:01", trust=True))
    (world.root / "etc/made").write_text("new\n")
    where = {"pf": str(PF), "index": 0}
    settings = {"type": "WriteVfSettings", **where, "mac": "02:00:00:00:00:01", "trust": True}
    undo = {"type": "WriteVfSettings", **where, "mac": NO_MAC, "trust": False}
    steps = [
        {"do": settings, "undo": [undo], "why": "test"},
        {
            "do": {"type": "WriteFile", "path": "etc/made", "text": "new\n"},
            "undo": [{"type": "RemoveFile", "path": "etc/made"}, {"type": "UpdateBootLoader"}],
            "why": "test",
        },
    ]
    lines: list[dict[str, object]] = [{"steps": steps, "format": number}]
    lines += [{"type": "step", "step": at, "state": "done"} for at in range(2)]
    lines.append({"type": "course", "course": "applied"})
    world.changes.mkdir(parents=True)
    text = "".join(json.dumps(line) + "\n" for line in lines)
    (world.changes / "000001.jsonl").write_text(text)
    (outcome,) = world.executor().rollback()
    assert (outcome.course, outcome.left) == (Course.TAKEN_BACK, ())
    assert world.machine.vf_settings(PF, 0) == clean
    assert world.state() == before


def test_a_newer_format_is_refused(world: World) -> None:
    world.changes.mkdir(parents=True)
    (world.changes / "000001.jsonl").write_text('{"steps":[],"format":3}\n')
    with pytest.raises(HostFault, match="has format 3; this version reads up to 2"):
        world.executor().rollback()


def test_a_damaged_journal_stops_every_change(world: World) -> None:
    world.apply(TEXTS[0])
    (world.changes / "000001.jsonl").write_bytes(b"\0" * 40 + b"\n")
    for change in (world.executor().resume, world.executor().rollback):
        with pytest.raises(HostFault, match=r"000001\.jsonl is damaged") as caught:
            change()
        assert "move the file away" in caught.value.hint
    assert world.state() == world.states[1]


def test_a_reader_repairs_nothing(tmp_path: Path) -> None:
    """The line may be cut off only because somebody is writing it."""
    change = journal.begin(tmp_path, Head((Step(WriteFile("etc/x", "y"), (), "why"),)))
    with change.path.open("ab") as file:
        file.write(b'{"type":"step","st')
    torn = change.path.read_bytes()
    assert journal.journals(tmp_path)[0].states == [StepState.WAITING]
    assert change.path.read_bytes() == torn


SCRIPT = """
import errno, os, resource, sys
sys.dont_write_bytecode = True  # a limited one would be cut off, and met by every later start
from pathlib import Path
from lanekeeper.domain.errors import HostFault
from lanekeeper.main import main
size = int(sys.argv[1])
def none_beforehand(*_): raise OSError(errno.EOPNOTSUPP, "not supported")
if sys.argv[2] == "marks":
    os.posix_fallocate = none_beforehand  # as on a file system that knows no such thing
sys.dont_write_bytecode = True  # half a .pyc would be left for everybody (CPython issue 126606)
resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
sys.exit(main(["host", *sys.argv[3:]]))
"""


@pytest.mark.parametrize("holds_head", [False, True])
def test_a_disk_that_is_full_for_the_journal(world: World, holds_head: bool) -> None:
    """Without room for all nothing is done; where it runs out at a mark apply can go on."""
    arguments = ("--simulate", str(world.root))
    policy = ("--policy", str(SAMPLE_POLICY))
    limit = _head_size(world) + 300
    disk = "marks" if holds_head else "whole"
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(limit), disk, "apply", *arguments, *policy],
        env={**os.environ, "PATH": "/usr/bin:/bin"},  # where this test's own plan looks, too
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "000001.jsonl: File too large" in done.stderr
    if not holds_head:
        assert world.state() == world.states[0]
        assert journal.journals(world.changes) == []
        return
    assert "hint: make room or the disk writable; `host apply` then goes on" in done.stderr
    assert world.state() != world.states[0]
    outcome = world.executor().resume()
    assert outcome is not None
    assert outcome.course is Course.APPLIED
    assert plan(load_policy(SAMPLE_POLICY.read_text(), "p"), read_host(world.root)).steps == ()
    world.executor().rollback()
    assert world.state() == world.states[0]


def _head_size(world: World) -> int:
    steps = plan(load_policy(SAMPLE_POLICY.read_text(), "p"), read_host(world.root)).steps
    return len(msgspec.json.encode(Head(steps, policy=SAMPLE_POLICY.read_text())))


MOUNTED = 'mount -t tmpfs -o "$1" tmpfs "$2/var" && shift 2 && exec "$@"'


def _may_mount() -> bool:
    done = subprocess.run(["unshare", "-rm", "true"], check=False, capture_output=True)
    return done.returncode == 0


def apply_below(
    world: World, mount: str, *arguments: str, policy: Path = SAMPLE_POLICY
) -> subprocess.CompletedProcess[str]:
    """Apply *policy* in a namespace of its own, in which the script *mount* was run before."""
    program = (sys.executable, "-P", "-m", "lanekeeper.main", "host", "apply")
    where = ("--simulate", str(world.root), "--policy", str(policy))
    return subprocess.run(
        [*("unshare", "-rm", "sh", "-ec", mount, "sh", *arguments), *program, *where],
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.skipif(not _may_mount(), reason="needs a mount namespace of its own")
@pytest.mark.parametrize(
    ("options", "message"),
    [("ro", "Read-only file system"), ("size=4k", "No space left on device")],
)
def test_var_on_a_file_system_that_takes_nothing(world: World, options: str, message: str) -> None:
    (world.root / "var").mkdir()
    done = apply_below(world, MOUNTED, options, str(world.root))
    assert done.returncode == 1
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    (world.root / "var").rmdir()
    assert world.state() == world.states[0]


READ_ONLY = 'mount --bind "$1" "$1" && mount -o remount,bind,ro "$1" && shift && exec "$@"'


@pytest.mark.skipif(not _may_mount(), reason="needs a mount namespace of its own")
def test_an_etc_that_takes_nothing_leaves_nothing_to_mend(world: World) -> None:
    """Nothing was changed, so nothing is left that could not be taken back."""
    directory = world.root / "etc/modprobe.d"
    shutil.rmtree(directory, ignore_errors=True)
    policy = world.root.parent / "policy.yaml"
    policy.write_text("version: 1\nblacklist: [igbvf]\npersist: false\n")
    before = world.state()
    done = apply_below(world, READ_ONLY, str(world.root / "etc"), policy=policy)
    assert done.returncode == 1
    assert "make directory /etc/modprobe.d" in done.stdout
    assert "Read-only file system" in done.stdout
    assert "could not be taken back" not in done.stdout
    assert "Change 1 is taken back: the host is as it was before." in done.stdout
    assert world.state() == before
    assert [each.course for each in journal.journals(world.changes)] == [Course.TAKEN_BACK]


def test_an_edit_of_the_kept_policy_goes_back_with_what_it_changed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Otherwise the next boot would apply what was taken back."""
    machine = ("--simulate", str(tmp_path))
    assert main(["host", "apply", *machine, "--policy", str(SAMPLE_POLICY)]) == 0
    kept = tmp_path / "etc/lanekeeper/host-policy.yaml"
    first = kept.read_text()
    kept.write_text(first.replace("vfs: 7", "vfs: 2"))
    assert main(["host", "apply", *machine]) == 0
    assert "write /etc/lanekeeper/host-policy.yaml" in capsys.readouterr().out
    assert main(["host", "drift", *machine]) == 0
    assert main(["host", "apply", *machine]) == 0
    assert "write /etc/lanekeeper/host-policy.yaml" not in capsys.readouterr().out
    assert main(["host", "rollback", *machine]) == 0
    assert kept.read_text() == first
    assert main(["host", "plan", *machine]) == 0
    assert main(["host", "rollback", *machine]) == 0
    assert not kept.exists()


EDITED = 'version: 1\npfs:\n  - {pf: "0000:21:00.0", vfs: 2}\n# mine\n'
KEPT_POLICY = "etc/lanekeeper/host-policy.yaml"
RULES = "etc/udev/rules.d/60-lanekeeper.rules"


def test_what_was_edited_since_is_kept_beside_when_it_goes_back(world: World) -> None:
    world.apply(TEXTS[2])
    for name in (KEPT_POLICY, RULES):
        (world.root / name).write_text(EDITED)
    (outcome,) = world.executor().rollback()
    assert outcome.course is Course.TAKEN_BACK
    for name in (KEPT_POLICY, RULES):
        assert not (world.root / name).exists()
        assert (world.root / f"{name}.edited-1").read_text() == EDITED
        assert f"/{name} was edited; a copy of that is /{name}.edited-1" in outcome.kept
    # An apply that replaces an edit keeps it, too; the same text serves once, another has its own.
    world.apply(TEXTS[2])
    texts = [EDITED, HEAD + "# one\n", HEAD + "# two\n"]
    for text in (*texts[1:], texts[1]):
        (world.root / RULES).write_text(text)
        world.apply(TEXTS[2])
    copies = sorted((world.root / RULES).parent.glob("*.edited-*"))
    assert [copy.read_text() for copy in copies] == texts


def test_an_edit_that_was_applied_where_it_stands_is_kept_when_it_goes_back(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    where = ("--simulate", str(tmp_path / "machine"))
    named = tmp_path / "p.yaml"
    named.write_text(TEXTS[2])
    assert main(["host", "apply", "--policy", str(named), *where]) == 0
    kept = tmp_path / "machine" / KEPT_POLICY
    kept.write_text(EDITED)
    assert main(["host", "apply", *where]) == 0
    assert not list(kept.parent.glob("*.edited-*"))
    assert main(["host", "rollback", *where]) == 0
    assert kept.read_text() == TEXTS[2]
    assert kept.with_name(f"{kept.name}.edited-1").read_text() == EDITED
    assert f"kept: /{KEPT_POLICY} was edited" in capsys.readouterr().out


def test_every_copy_is_told_where_several_changes_go_back(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The boot applied the policy anew, and that change goes back with the one before it."""
    where = ("--simulate", str(tmp_path / "machine"))
    rules = tmp_path / "machine" / RULES
    named = tmp_path / "p.yaml"
    named.write_text(TEXTS[2])
    assert main(["host", "apply", "--policy", str(named), *where]) == 0
    rules.write_text(HEAD + "# one\n")
    assert main(["host", "apply", *where]) == 0
    rules.write_text(HEAD + "# two\n")
    (tmp_path / "machine" / KEPT_POLICY).write_text(EDITED)
    capsys.readouterr()
    assert main(["host", "rollback", *where]) == 0
    told = capsys.readouterr().out
    assert f"kept: /{RULES} was edited; a copy of that is /{RULES}.edited-2" in told
    assert f"kept: /{KEPT_POLICY} was edited; a copy of that is /{KEPT_POLICY}.edited-1" in told
    assert [line for line in told.splitlines() if "is taken back" in line] == [
        f"Change {number} is taken back: the host is as it was before." for number in (2, 1)
    ]


def test_the_copy_of_an_edited_program_is_none(tmp_path: Path) -> None:
    """GRUB runs every program among its scripts."""
    script = tmp_path / "11_lanekeeper"
    script.write_text("#!/bin/sh\n")
    script.chmod(0o755)
    copy = FileActor(tmp_path).keep_edit(script.name, ())
    assert copy is not None
    assert (tmp_path / copy).stat().st_mode & 0o777 == 0o644
