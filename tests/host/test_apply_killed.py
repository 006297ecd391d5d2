"""Kill -9 before and after every line of the journal, on the way forward and back."""

from __future__ import annotations

import os
import signal
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from host.planted import PF, SAMPLE_POLICY, simulated, snapshot
from lanekeeper import crash
from lanekeeper.domain.hostplan.plan import plan
from lanekeeper.domain.hostplan.policy.policy import Policy
from lanekeeper.host import journal
from lanekeeper.host.actor import Actor
from lanekeeper.host.apply import Executor
from lanekeeper.host.facts import read_host
from lanekeeper.host.journal import Course
from lanekeeper.host.policy_file import load_policy
from lanekeeper.host.proposal import Proposal

RESIZED = """\
version: 1
kernel_arguments: [hugepages=8]
pfs:
  - {pf: "0000:21:00.0", vfs: 3, vf_driver: igbvf}
  - {pf: "0000:41:00.0", vfs: 2}
"""
CASES = (
    pytest.param(SAMPLE_POLICY.read_text(), "host-journal-write", id="fresh, before a line"),
    pytest.param(RESIZED, "host-journal-write", id="resized, before a line"),
    # What is there before the next line is written is little more than after the last one.
    pytest.param(
        RESIZED, "host-journal-written", id="resized, after a line", marks=pytest.mark.long
    ),
)
_STEPS_MAX = 200


class World:
    """A simulated machine that somebody set up before, and one policy for it."""

    def __init__(self, shelf: Path, text: str) -> None:
        self.root = Path(tempfile.mkdtemp(dir=shelf))
        self.machine = simulated(self.root)
        if text == RESIZED:
            self.machine.create_vfs(PF, 5)
        self.policy: Policy = load_policy(text, "p")
        self.executor = Executor(
            Actor(self.root, self.machine, self.machine.run), self.root / journal.DIRECTORY
        )
        self.before = self.state()

    def apply(self) -> None:
        steps = plan(self.policy, read_host(self.root)).steps
        self.executor.apply(lambda: Proposal(steps, self.policy.text))

    def is_applied(self) -> bool:
        return plan(self.policy, read_host(self.root)).is_empty

    def state(self) -> dict[str, str]:
        left_behind = ("simulated", "sys/module")
        return {k: v for k, v in snapshot(self.root).items() if not k.startswith(left_behind)}


@pytest.fixture
def shelf(tmp_path: Path) -> Iterator[Path]:
    """A place for many machines, in memory if there is one: a kill needs no disk to be survived."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else tmp_path) as name:
        yield Path(name)


def killed(work: Callable[[], object], point: str, times: int) -> bool:
    """Run *work* in a child that dies as it passes *point* so often; False if it got through."""
    child = os.fork()
    if child == 0:
        os.environ[crash.VARIABLE] = f"{point}:{times}"
        try:
            work()
        finally:
            os._exit(0)
    _, status = os.waitpid(child, 0)
    return os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL


@pytest.mark.parametrize(("text", "point"), CASES)
@pytest.mark.parametrize("then", ["resume", "rollback"])
def test_forward(shelf: Path, text: str, point: str, then: str) -> None:
    for times in range(1, _STEPS_MAX):
        world = World(shelf, text)
        if not killed(world.apply, point, times):
            break
        if then == "resume":
            world.executor.resume()
            assert world.is_applied()
        else:
            (outcome,) = world.executor.rollback()
            assert not outcome.left
            assert world.state() == world.before
        assert world.executor.resume() is None
    assert 2 * len(journal.journals(world.executor.directory)[0].steps) + 1 == times - 1


@pytest.mark.parametrize(("text", "point"), CASES)
@pytest.mark.parametrize("then", ["resume", "rollback"])
def test_back(shelf: Path, text: str, point: str, then: str) -> None:
    for times in range(1, _STEPS_MAX):
        world = World(shelf, text)
        world.apply()
        if not killed(world.executor.rollback, point, times):
            break
        change = journal.journals(world.executor.directory)[0]
        if change.course is Course.APPLIED:  # killed before a word of going back was written
            assert world.executor.resume() is None
            assert world.is_applied()
        if then == "resume":
            world.executor.resume()
        else:
            world.executor.rollback()
        if then == "rollback" or change.course is not Course.APPLIED:
            assert world.state() == world.before
    assert len(change.steps) + 2 == times - 1
