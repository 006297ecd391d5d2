"""Every change to a host: each step twice, a failure at each step, each undo twice, kill -9."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Collection, Iterator
from functools import partial
from pathlib import Path

import pytest

from host.carry import apply, resume, rollback
from host.planted import OTHER_PF, PF, SAMPLE_POLICY, simulated, snapshot
from lanekeeper.domain.errors import Conflict, HostFault
from lanekeeper.domain.hostplan.action import Change, SetVfCount
from lanekeeper.domain.hostplan.plan import plan
from lanekeeper.domain.hostplan.policy.policy import Policy
from lanekeeper.domain.hostplan.step import Plan, Step
from lanekeeper.host import journal
from lanekeeper.host.actor import Actor, run_program
from lanekeeper.host.apply import Executor
from lanekeeper.host.facts import read_host
from lanekeeper.host.journal import Course, Head, StepState
from lanekeeper.host.lock import locked
from lanekeeper.host.policy_file import load_policy
from lanekeeper.host.simulated import SimulatedMachine
from lanekeeper.host.stage import Stage, Verb

SAMPLE = SAMPLE_POLICY.read_text()
FROM_NOTHING = SAMPLE
RESIZED = 'version: 1\npfs:\n  - {pf: "0000:21:00.0", vfs: 3, vf_driver: igbvf}\npersist: false\n'
NEW_ARGUMENTS = "version: 1\nkernel_arguments: [iommu=pt, hugepages=8]\npersist: false\n"
TO_NONE = 'version: 1\npfs:\n  - {pf: "0000:21:00.0", vfs: 0, link: leave}\n'
IDS = ("from nothing", "resized", "new arguments", "to none")


class World:
    """One simulated machine and what is applied to it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.machine = simulated(root)
        self.changes = root / journal.DIRECTORY

    def prepare(self) -> None:
        """Give PF VFs on igbvf, as on a host that somebody set up before."""
        self.machine.create_vfs(PF, 5)

    def plan(self, text: str) -> Plan:
        return plan(self.policy(text), read_host(self.root))

    def policy(self, text: str) -> Policy:
        return load_policy(text, "p")

    def actor(self, machine: SimulatedMachine | None = None) -> Actor:
        machine = machine or self.machine
        return Actor(self.root, machine, machine.run)

    def state(self) -> dict[str, str]:
        left_behind = ("simulated", "sys/module")
        return {k: v for k, v in snapshot(self.root).items() if not k.startswith(left_behind)}


@pytest.fixture(params=[FROM_NOTHING, RESIZED, NEW_ARGUMENTS, TO_NONE], ids=IDS)
def text(request: pytest.FixtureRequest) -> str:
    found: str = request.param
    return found


@pytest.fixture
def world(tmp_path: Path, text: str) -> World:
    world = World(tmp_path)
    if text is not FROM_NOTHING:
        world.prepare()
    return world


@pytest.fixture
def shelf(tmp_path: Path) -> Iterator[Path]:
    """A place for many machines, in memory if there is one: a kill needs no disk to be survived."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else tmp_path) as name:
        yield Path(name)


class FailsAt:
    """Does actions until one that is to fail; it may fail before or after it is done."""

    def __init__(self, actor: Actor, wanted: Change, *, after: bool) -> None:
        self._actor, self._wanted, self._after = actor, wanted, after
        self._armed = True

    def do(self, action: Change) -> None:
        fails = self._armed and action == self._wanted
        if fails:
            self._armed = False
        if not fails or self._after:
            self._actor.do(action)
        if fails:
            raise HostFault("the disk is full")

    def undo(self, action: Change) -> None:
        self.do(action)

    def keep_edit(self, path: str, known: Collection[str]) -> str | None:
        return self._actor.keep_edit(path, known)


def test_after_apply_the_plan_is_empty(world: World, text: str) -> None:
    outcome = apply(world.plan(text).steps, world.actor(), world.changes)
    assert outcome is not None
    assert outcome.course is Course.APPLIED
    assert world.plan(text).is_empty
    assert apply((), world.actor(), world.changes) is None


def test_each_step_can_be_done_twice(world: World, text: str) -> None:
    for step in world.plan(text).steps:
        world.actor().do(step.do)
        world.actor().do(step.do)
    assert world.plan(text).is_empty


def test_each_undo_can_be_done_twice(world: World, text: str) -> None:
    before = world.state()
    steps = world.plan(text).steps
    for step in steps:
        world.actor().do(step.do)
    for step in reversed(steps):
        for action in step.undo * 2:
            world.actor().do(action)
    assert world.state() == before


@pytest.mark.parametrize("after", [False, True])
def test_a_failure_at_each_step_takes_back_all_before_it(
    shelf: Path, text: str, after: bool
) -> None:
    count = len(_fresh(shelf, text).plan(text).steps)
    for number in range(count):
        world = _fresh(shelf, text)
        before = world.state()
        steps = world.plan(text).steps
        doer = FailsAt(world.actor(), steps[number].do, after=after)
        outcome = apply(steps, doer, world.changes)
        assert outcome is not None
        assert (outcome.course, outcome.left) == (Course.TAKEN_BACK, ())
        assert outcome.failure == f"{steps[number].do}: the disk is full"
        assert world.state() == before
        assert world.plan(text).steps == steps


def _fresh(shelf: Path, text: str) -> World:
    world = World(Path(tempfile.mkdtemp(dir=shelf)))
    if text is not FROM_NOTHING:
        world.prepare()
    return world


def test_rollback_gives_back_what_was(world: World, text: str) -> None:
    before = world.state()
    apply(world.plan(text).steps, world.actor(), world.changes)
    outcome = rollback(world.actor(), world.changes)
    assert outcome is not None
    assert outcome.course is Course.TAKEN_BACK
    assert world.state() == before
    assert rollback(world.actor(), world.changes) is None


def test_rollback_walks_back_change_by_change(tmp_path: Path) -> None:
    world = World(tmp_path)
    states = [world.state()]
    for text in (SAMPLE, NEW_ARGUMENTS):
        apply(world.plan(text).steps, world.actor(), world.changes)
        states.append(world.state())
    for expected in (1, 0):
        rollback(world.actor(), world.changes)
        assert world.state() == states[expected]


def _killed(work: Callable[[], object]) -> None:
    """Run *work* in a child that is expected to kill itself."""
    child = os.fork()
    if child == 0:
        try:
            work()
        finally:
            os._exit(7)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status)
    assert os.WTERMSIG(status) == signal.SIGKILL


class DiesAt:
    """Kills its process before or after one action."""

    def __init__(self, actor: Actor, at: int, *, after: bool) -> None:
        self._actor, self._left, self._after = actor, at, after

    def do(self, action: Change) -> None:
        dies = self._left == 0
        self._left -= 1
        if dies and not self._after:
            os.kill(os.getpid(), signal.SIGKILL)
        self._actor.do(action)
        if dies:
            os.kill(os.getpid(), signal.SIGKILL)

    def undo(self, action: Change) -> None:
        self.do(action)

    def keep_edit(self, path: str, known: Collection[str]) -> str | None:
        return self._actor.keep_edit(path, known)


@pytest.mark.parametrize("text", [FROM_NOTHING, RESIZED])
@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("then", ["finish", "take back"])
def test_kill_9_at_each_step_is_finished_or_taken_back(
    shelf: Path, text: str, after: bool, then: str
) -> None:
    count = len(_fresh(shelf, text).plan(text).steps)
    for number in range(count):
        world = _fresh(shelf, text)
        before, steps = world.state(), world.plan(text).steps
        doer = DiesAt(world.actor(), number, after=after)
        _killed(partial(apply, steps, doer, world.changes))
        if then == "finish":
            outcome = resume(world.actor(), world.changes)
            assert world.plan(text).is_empty
        else:
            outcome = rollback(world.actor(), world.changes)
            assert world.state() == before
        assert outcome is not None
        assert not outcome.left
        assert resume(world.actor(), world.changes) is None


@pytest.mark.parametrize("text", [FROM_NOTHING, RESIZED])
@pytest.mark.parametrize("after", [False, True])
def test_kill_9_on_the_way_back_goes_on_back(shelf: Path, text: str, after: bool) -> None:
    count = sum(len(step.undo) for step in _fresh(shelf, text).plan(text).steps)
    for number in range(count):
        world = _fresh(shelf, text)
        before = world.state()
        apply(world.plan(text).steps, world.actor(), world.changes)
        doer = DiesAt(world.actor(), number, after=after)
        _killed(partial(rollback, doer, world.changes))
        resume(world.actor(), world.changes)
        assert world.state() == before


def test_an_undo_that_fails_does_not_stop_the_others(tmp_path: Path) -> None:
    world = World(tmp_path)
    apply(world.plan(SAMPLE).steps, world.actor(), world.changes)
    stuck = SimulatedMachine(
        tmp_path,
        lambda path, text: (
            errno.EBUSY if path.endswith(f"{PF}/sriov_numvfs") and text == "0" else 0
        ),
    )
    outcome = rollback(world.actor(stuck), world.changes)
    assert outcome is not None
    assert outcome.course is Course.BACK
    assert [left for left in outcome.left if "Device or resource busy" in left] == [*outcome.left]
    assert world.machine.device(OTHER_PF).num_vfs == 0
    again = rollback(world.actor(), world.changes)
    assert again is not None
    assert again.course is Course.TAKEN_BACK
    assert world.machine.device(PF).num_vfs == 0


def test_vfs_that_somebody_else_made_meanwhile_are_not_taken_away(tmp_path: Path) -> None:
    world = World(tmp_path)
    steps = world.plan(SAMPLE).steps
    world.machine.create_vfs(PF, 2)
    outcome = apply(steps, world.actor(), world.changes)
    assert outcome is not None
    assert "has 2 VFs; remove them" in outcome.failure
    assert outcome.course is Course.TAKEN_BACK
    assert world.machine.device(PF).num_vfs == 2


def test_two_at_once_are_refused(tmp_path: Path) -> None:
    world = World(tmp_path)
    with locked(world.changes, 0.0), pytest.raises(Conflict, match="is at work here"):
        Executor(world.actor(), world.changes, patience_s=0.1).rollback()


def test_progress_tells_each_action(tmp_path: Path) -> None:
    world = World(tmp_path)
    told: list[Stage] = []
    steps = world.plan(SAMPLE).steps
    apply(steps, world.actor(), world.changes, told.append)
    stages = enumerate(steps, 1)
    assert told == [Stage(Verb.DO, step.do, number, len(steps)) for number, step in stages]


def test_a_line_cut_off_by_a_crash_is_not_read(tmp_path: Path) -> None:
    steps = (Step(SetVfCount("0000:21:00.0", 7), (), "why"),)
    tmp_path.joinpath("changes").mkdir()
    fresh = journal.begin(tmp_path / "changes", Head(steps))
    fresh.mark_step(0, StepState.DOING)
    with fresh.path.open("ab") as file:
        file.write(b'{"type":"step","st')
    found = journal.journals(tmp_path / "changes")[0]
    assert found.states == [StepState.DOING]
    found.mark_step(0, StepState.DONE)
    assert journal.journals(tmp_path / "changes")[0].states == [StepState.DONE]


@pytest.mark.parametrize("spoiled", [b"", b"what\n", b'{"steps":[]}\n{"type":"step","step":3}\n'])
def test_a_damaged_journal_is_named(tmp_path: Path, spoiled: bytes) -> None:
    (tmp_path / "000001.jsonl").write_bytes(spoiled)
    with pytest.raises(HostFault, match=r"000001\.jsonl is damaged"):
        journal.journals(tmp_path)


def test_changes_are_numbered_and_only_the_last_unfinished_is_gone_on_with(tmp_path: Path) -> None:
    world = World(tmp_path)
    for text in (SAMPLE, NEW_ARGUMENTS):
        apply(world.plan(text).steps, world.actor(), world.changes)
    assert [change.id for change in journal.journals(world.changes)] == [1, 2]
    assert resume(world.actor(), world.changes) is None


def test_nothing_to_resume_or_take_back_makes_no_directory(tmp_path: Path) -> None:
    world = World(tmp_path)
    assert resume(world.actor(), world.changes) is None
    assert rollback(world.actor(), world.changes) is None
    assert not (tmp_path / "var").exists()


def test_a_file_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    world = World(tmp_path)
    steps = world.plan(SAMPLE).steps
    (tmp_path / "etc/lanekeeper").write_text("in the way")  # since it was planned
    outcome = apply(steps, world.actor(), world.changes)
    assert outcome is not None
    assert "make directory /etc/lanekeeper" in outcome.failure
    assert "File exists" in outcome.failure


def test_a_disk_that_is_full_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    world = World(tmp_path)
    kept = tmp_path / "etc/kept"
    kept.write_text("old")
    script = (
        "import resource, sys; from pathlib import Path; sys.dont_write_bytecode = True;"
        "from lanekeeper.host.actor import Actor; from lanekeeper.host.linux import LinuxMachine;"
        "from lanekeeper.domain.hostplan.action import WriteFile;"
        "import signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN);"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (10, 10)); root = Path(sys.argv[1]);"
        "Actor(root, LinuxMachine(root)).do(WriteFile('etc/kept', 'x' * 100))"
    )
    source = str(Path(__file__).parents[2] / "src")
    done = subprocess.run(
        [sys.executable, "-c", script, str(world.root)],
        env={**os.environ, "PYTHONPATH": source},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "HostFault: cannot write /etc/kept: File too large" in done.stderr
    assert kept.read_text() == "old"
    assert sorted(path.name for path in (tmp_path / "etc").glob(".*")) == []


def test_a_program_that_fails_says_its_last_words() -> None:
    with pytest.raises(HostFault, match=r"sh -c .* ended with 3: no room"):
        run_program(["sh", "-c", "echo no room >&2; exit 3"])
    with pytest.raises(HostFault, match="no-such-program is not installed"):
        run_program(["no-such-program"])
    run_program(["true"])
