"""A change that may cut the host off goes back by itself, whoever dies, whatever the clocks say."""

from __future__ import annotations

import fcntl
import json
import os
import resource
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from host.planted import OTHER_PF, PF, simulated, snapshot
from lanekeeper import crash
from lanekeeper.domain.errors import Conflict, HostFault, NotFound
from lanekeeper.domain.hostplan.management import management_touched
from lanekeeper.domain.hostplan.plan import plan
from lanekeeper.host import journal
from lanekeeper.host.actor import Actor
from lanekeeper.host.apply import Executor, never
from lanekeeper.host.deadline import Moment, deadline, moment
from lanekeeper.host.facts import read_host
from lanekeeper.host.hold import confirm, guard, guard_file, guardian_for
from lanekeeper.host.journal import Course
from lanekeeper.host.lock import is_watched, locked, watching
from lanekeeper.host.outcome import Outcome
from lanekeeper.host.policy_file import load_policy
from lanekeeper.host.proposal import Hold, Proposal
from lanekeeper.host.unfinished import Standing, unfinished

POLICY = """\
version: 1
kernel_arguments: [iommu=pt]
pfs:
  - {pf: "0000:21:00.0", vfs: 3, vf_driver: igbvf}
manage_management: true
"""
OTHER = 'version: 1\npfs:\n  - {pf: "0000:41:00.0", vfs: 2}\npersist: false\n'
ROUTES = """\
Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT
ens1\t00000000\t0202000A\t0003\t0\t0\t0\t00000000\t0\t0\t0
ens1\t0002000A\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0
"""
BOOT_ID = "proc/sys/kernel/random/boot_id"
NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)
UNDONE_WITHIN_S = 20


class Clock:
    """Hands that a test turns."""

    def __init__(self) -> None:
        self.moment = Moment("boot-1", 1000.0, NOON)

    def __call__(self) -> Moment:
        return self.moment

    def sleep(self, seconds: float) -> None:
        now = self.moment
        self.moment = Moment(now.boot, now.uptime_s + seconds, now.wall)


class World:
    """A simulated machine whose default route leads through the PF that is changed."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.machine = simulated(root)
        (root / "proc/net").mkdir(parents=True, exist_ok=True)
        (root / "proc/net/route").write_text(ROUTES)
        (root / BOOT_ID).parent.mkdir(parents=True, exist_ok=True)
        (root / BOOT_ID).write_text("boot-1\n")
        self.machine.create_vfs(PF, 2)
        self.changes = root / journal.DIRECTORY
        self.clock = Clock()
        self.before = self.state()

    def executor(self) -> Executor:
        actor = Actor(self.root, self.machine, self.machine.run)
        return Executor(actor, self.changes, now=self.clock)

    def apply(self, seconds: float = 120.0, text: str = POLICY) -> Outcome:
        policy = load_policy(text, "p")
        steps = plan(policy, read_host(self.root)).steps
        outcome = self.executor().apply(
            lambda: Proposal(steps, text, Hold(seconds, lambda _: None))
        )
        assert outcome is not None
        return outcome

    def guard(self, number: int = 1) -> Outcome | None:
        return guard(self.executor(), number, never, self.clock.sleep)

    def change(self) -> journal.Journal:
        return journal.journals(self.changes)[-1]

    def state(self) -> dict[str, str]:
        left_behind = ("simulated", "sys/module", BOOT_ID)
        return {k: v for k, v in snapshot(self.root).items() if not k.startswith(left_behind)}


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path / "machine")


def test_a_deadline_comes_by_uptime_or_with_another_boot_whatever_the_clock_says() -> None:
    now = Moment("boot-1", 1000.0, NOON)
    until = deadline(now, 120)
    assert until.wall == NOON + timedelta(seconds=120)
    for jump in (timedelta(days=-9), timedelta(0), timedelta(days=9)):
        assert until.left_s(Moment("boot-1", 1030.0, NOON + jump)) == 90
        assert until.left_s(Moment("boot-1", 1120.0, NOON + jump)) == 0
        assert until.left_s(Moment("boot-1", 9999.0, NOON + jump)) == 0
        assert until.left_s(Moment("boot-2", 1030.0, NOON + jump)) == 0
    assert until.left_s(Moment("boot-1", 3.0, NOON)) == 0  # an uptime that fell: another boot


def test_what_nobody_confirms_goes_back(world: World) -> None:
    outcome = world.apply()
    assert (outcome.course, outcome.confirm_by) == (
        Course.UNCONFIRMED,
        NOON + timedelta(seconds=120),
    )
    assert world.state() != world.before
    undone = world.guard()
    assert undone is not None
    assert undone.course is Course.TAKEN_BACK
    assert world.clock.moment.uptime_s >= 1120
    assert world.state() == world.before
    assert world.change().reason == "nobody confirmed it in time"


def test_what_is_confirmed_in_time_stays(world: World) -> None:
    world.apply()
    applied = world.state()
    world.clock.sleep(119)
    confirm(world.executor(), 1)
    assert world.guard() is None
    world.clock.sleep(1000)
    assert world.executor().resume() is None
    assert (world.state(), world.change().course) == (applied, Course.APPLIED)
    assert world.change().reason == "confirmed"
    world.executor().rollback()
    assert (world.state(), world.change().reason) == (world.before, "")


def test_a_clock_that_jumps_confirms_nothing_and_ends_nothing(world: World) -> None:
    world.apply()
    world.clock.moment = Moment("boot-1", 1001.0, NOON + timedelta(days=400))
    with pytest.raises(Conflict, match="waits for its confirmation"):
        world.executor().resume()
    world.clock.moment = Moment("boot-1", 1121.0, NOON - timedelta(days=400))
    late = confirm(world.executor(), 1)
    assert late is not None
    assert "nobody confirmed it in time: it had until 12:02:00 UTC" in late.failure
    assert world.guard() is None
    assert world.state() == world.before


def test_confirming_what_does_not_wait_is_refused(world: World) -> None:
    def refused(kind: type[Exception], number: int, message: str, hint: str) -> None:
        with pytest.raises(kind, match=message) as caught:
            confirm(world.executor(), number)
        assert hint in getattr(caught.value, "hint", "")

    refused(NotFound, 1, "nothing was ever applied here", "")
    world.apply(text=OTHER)
    confirm(world.executor(), 1)
    refused(Conflict, 1, r"it is applied \(confirmed\)", "no change waits for it")
    world.apply()
    refused(Conflict, 1, "change 1 waits for no confirmation", "change 2 waits for it")
    refused(NotFound, 7, "there is no change 7 to confirm", "change 2 waits for it")
    world.guard(2)
    refused(Conflict, 2, "it is taken back", "no change waits for it")


def test_while_one_waits_no_other_begins_and_rollback_takes_it_back_at_once(world: World) -> None:
    world.apply()
    for another in (world.executor().resume, partial(world.apply, text=OTHER)):
        with pytest.raises(Conflict, match="change 1 waits for its confirmation until") as caught:
            another()
        assert "lanekeeper host confirm 1" in caught.value.hint
    assert world.executor().rollback()
    assert world.state() == world.before
    assert world.guard() is None


def test_after_a_reboot_what_was_not_confirmed_goes_back(world: World) -> None:
    world.apply()
    world.clock.moment = Moment("boot-2", 5.0, NOON)
    outcome = world.executor().resume()
    assert outcome is not None
    assert outcome.course is Course.TAKEN_BACK
    assert world.state() == world.before


@pytest.mark.parametrize("verb", ["rollback", "rollback_to", "resume", "confirm"])
def test_whoever_comes_while_the_guardian_looks_waits_for_it(world: World, verb: str) -> None:
    """It has the lock for a moment, again and again, as long as the change waits."""
    world.apply()
    if verb == "resume":
        world.clock.sleep(1000)
    executor = world.executor()
    calls: dict[str, Callable[[], object]] = {
        "rollback": executor.rollback,
        "rollback_to": partial(executor.rollback_to, 0),
        "resume": executor.resume,
        "confirm": partial(confirm, executor, 1),
    }
    looks = threading.Event()

    def look() -> None:
        with locked(world.changes, None):
            looks.set()
            time.sleep(0.2)

    guardian = threading.Thread(target=look)
    guardian.start()
    looks.wait()
    calls[verb]()
    guardian.join()
    is_kept = verb == "confirm"
    assert world.change().course is (Course.APPLIED if is_kept else Course.TAKEN_BACK)


def test_a_guardian_reads_no_journal_but_its_own(world: World) -> None:
    """A damaged one must not keep the host cut off."""
    world.apply(text=OTHER)
    confirm(world.executor(), 1)
    world.apply(text=POLICY.replace("kernel_arguments: [iommu=pt]\n", "persist: false\n"))
    journal.file_of(world.changes, 1).write_text("what\n")
    undone = world.guard(2)
    assert undone is not None
    assert undone.course is Course.TAKEN_BACK
    assert [world.machine.device(pf).num_vfs for pf in (PF, OTHER_PF)] == [2, 2]


def test_a_guardian_of_no_change_says_so(world: World) -> None:
    world.changes.mkdir(parents=True)
    with pytest.raises(NotFound, match="there is no change 4 to watch"):
        world.guard(4)


def test_without_a_guardian_nothing_is_changed(world: World) -> None:
    def nobody(_number: int) -> None:
        raise HostFault("nobody would take change 1 back")

    steps = plan(load_policy(POLICY, "p"), read_host(world.root)).steps
    with pytest.raises(HostFault, match="nobody would"):
        world.executor().apply(lambda: Proposal(steps, POLICY, Hold(120, nobody)))
    assert world.state() == world.before
    assert world.change().course is Course.TAKEN_BACK
    assert world.change().reason == "nobody would take change 1 back"


def test_a_guardian_that_does_not_start_is_told(world: World) -> None:
    world.changes.mkdir(parents=True)
    guardian = guardian_for(world.changes, ("--simulate", str(world.root)))
    with pytest.raises(HostFault, match=r"nobody would take change 9 back.* ended with 1"):
        guardian.watch(9)
    assert not guard_file(world.changes, 9).exists()


def test_a_machine_that_goes_down_takes_it_back_first(world: World) -> None:
    world.apply()
    outcome = guard(world.executor(), 1, lambda: "SIGTERM", world.clock.sleep)
    assert outcome is not None
    assert outcome.failure == "SIGTERM came to its guardian before it was confirmed"
    assert world.state() == world.before


def test_an_undo_that_fails_is_tried_again(world: World) -> None:
    world.apply()
    refusals = iter([16, 16, 16])
    world.machine.kernel._refuse = lambda path, _text: (
        next(refusals, 0) if path.endswith("sriov_numvfs") else 0
    )
    outcome = world.guard()
    assert outcome is not None
    assert (outcome.course, outcome.left) == (Course.TAKEN_BACK, ())
    assert world.state() == world.before


def test_it_goes_back_even_when_the_journal_cannot_be_written(world: World) -> None:
    world.apply()
    with _disk_full_at(len(world.change().path.read_bytes().rstrip(b"\0"))):
        outcome = world.executor().settle(world.change())
    assert outcome.course is Course.BACK
    assert "File too large" in outcome.left[0]
    assert len(outcome.left) == 1
    assert world.state() == world.before
    world.clock.sleep(1000)
    again = world.executor().resume()
    assert again is not None
    assert again.course is Course.TAKEN_BACK
    assert world.state() == world.before


@contextmanager
def _disk_full_at(size: int) -> Iterator[None]:
    """Let no file grow beyond *size*; Python ignores the signal, so write(2) fails."""
    before, writes = resource.getrlimit(resource.RLIMIT_FSIZE), sys.dont_write_bytecode
    sys.dont_write_bytecode = True
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        sys.dont_write_bytecode = writes


def test_only_what_names_the_management_interface_touches_it(world: World) -> None:
    host = read_host(world.root)
    touched = management_touched(plan(load_policy(POLICY, "p"), host).steps, host)
    assert [interface.name for interface in touched] == ["ens1"]
    assert management_touched(plan(load_policy(OTHER, "p"), host).steps, host) == ()


# What follows starts the program itself, and kills it.


class Program:
    """The command line on a world."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.policy = world.root.parent / "policy.yaml"
        self.policy.write_text(POLICY)

    def arguments(self, verb: str, *more: str) -> list[str]:
        program = [sys.executable, "-P", "-m", "lanekeeper.main", "host", verb]
        return [*program, "--simulate", str(self.world.root), *more]

    def run(self, verb: str, *more: str, **env: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.arguments(verb, *more),
            env={**os.environ, **env},
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

    def apply(self, *more: str, **env: str) -> subprocess.CompletedProcess[str]:
        return self.run("apply", "--policy", str(self.policy), *more, **env)

    def changes(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = json.loads(self.run("changes", "--json").stdout)["changes"]
        return found

    def until(self, holds: Callable[[], bool]) -> None:
        give_up = time.monotonic() + UNDONE_WITHIN_S
        while not holds():
            assert time.monotonic() < give_up, self.changes()
            time.sleep(0.05)

    def until_taken_back(self) -> None:
        self.until(lambda: bool(journal.journals(self.world.changes)))
        self.until(lambda: self.world.change().course is Course.TAKEN_BACK)
        self.until(lambda: not guard_file(self.world.changes, 1).exists())
        assert self.world.state() == self.world.before

    def guardian(self, number: int = 1) -> int:
        """Return the process id of the guardian, which holds a lock on its file."""
        inode = guard_file(self.world.changes, number).stat().st_ino
        for line in Path("/proc/locks").read_text().splitlines():
            words = line.split()
            if words[1] == "FLOCK" and words[5].endswith(f":{inode}"):
                return int(words[4])
        raise AssertionError("nobody watches")


@pytest.fixture
def program(world: World) -> Program:
    return Program(world)


def test_the_program_holds_what_touches_the_management_interface(program: Program) -> None:
    done = program.apply()
    assert done.returncode == 0, done.stderr
    assert "lanekeeper host confirm 1" in done.stdout
    change = program.changes()[0]
    assert (change["course"], change["watched"]) == ("waiting for confirmation", True)
    assert 100 < change["confirm_left_s"] <= 120
    assert "waits for its confirmation" in program.apply().stderr
    kept = program.run("confirm", "1")
    assert (kept.returncode, kept.stdout.split(";")[0]) == (0, "Change 1 is confirmed")
    program.until(lambda: not guard_file(program.world.changes, 1).exists())
    assert program.world.change().course is Course.APPLIED
    late = program.run("confirm", "1")
    assert (late.returncode, late.stdout) == (1, "")
    assert "change 1 waits for no confirmation" in late.stderr


def test_the_program_holds_nothing_when_told_so(program: Program) -> None:
    done = program.apply("--confirm-within", "0")
    assert "Change 1 is applied; `lanekeeper host rollback` takes it back." in done.stdout
    assert not list(program.world.changes.glob("*.guard"))


@pytest.mark.parametrize("wrong", ["-1", "0.5", "soon", "nan", "1e9"])
def test_a_wrong_time_is_a_usage_error(program: Program, wrong: str) -> None:
    done = program.apply(f"--confirm-within={wrong}")
    assert done.returncode == 2
    assert "0, or 1 to 86400 seconds" in done.stderr
    assert not program.world.changes.exists()


def test_a_hung_up_terminal_does_not_keep_it(program: Program) -> None:
    """The session that applied is gone before the time is over."""
    child = subprocess.Popen(
        program.arguments("apply", "--policy", str(program.policy), "--confirm-within", "2"),
        stdout=subprocess.DEVNULL,
        start_new_session=True,
    )
    guard_seen = guard_file(program.world.changes, 1)
    program.until(guard_seen.exists)
    assert child.wait(30) == 0
    with pytest.raises(ProcessLookupError):
        os.killpg(child.pid, signal.SIGHUP)  # the guardian is not in it
    program.until_taken_back()


@pytest.mark.parametrize("at", [2, 5, 9])
def test_kill_9_of_the_applying_process_is_undone_by_itself(program: Program, at: int) -> None:
    done = program.apply(**{crash.VARIABLE: f"host-journal-written:{at}"})
    assert done.returncode == -signal.SIGKILL
    program.until_taken_back()
    assert program.world.change().reason == "it was cut off before it could be confirmed"


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGHUP, 129), (signal.SIGTERM, 143), (signal.SIGINT, 130)]
)
def test_a_signal_in_the_middle_takes_back_and_says_so(
    program: Program, number: signal.Signals, code: int
) -> None:
    reading, writing = os.pipe()
    fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, 4096)
    os.write(writing, b"x" * 4095)  # so the first stage that is told waits until we read
    child = subprocess.Popen(
        program.arguments("apply", "--policy", str(program.policy)),
        stdout=writing,
        # Whoever runs the tests by nohup, or behind a shell's &, has it ignored.
        preexec_fn=lambda: signal.signal(number, signal.SIG_DFL),  # noqa: PLW1509  # no threads
    )
    os.close(writing)
    program.until(lambda: program.world.changes.exists() and bool(_begun(program.world)))
    child.send_signal(number)
    time.sleep(0.1)
    with os.fdopen(reading) as said:
        text = said.read()
    assert child.wait(30) == code
    assert f"failed: {number.name} came before step 2 of " in text
    assert "is taken back: the host is as it was before" in text
    program.until_taken_back()


def _begun(world: World) -> list[int]:
    found = journal.journals(world.changes)
    return found[0].begun() if found else []


def test_after_a_reboot_the_boot_unit_takes_it_back_and_does_not_apply_it_again(
    program: Program,
) -> None:
    assert program.apply().returncode == 0
    os.kill(program.guardian(), signal.SIGKILL)  # the power fails
    (program.world.root / BOOT_ID).write_text("boot-2\n")
    kept = program.world.root / "etc/lanekeeper/host-policy.yaml"
    done = program.run("apply", "--policy", str(kept))
    assert done.returncode == 1
    assert "failed: nobody confirmed it in time" in done.stdout
    assert program.world.state() == program.world.before
    assert not kept.exists()


FIRST = """\
version: 1
pfs:
  - {pf: "0000:21:00.0", vfs: 3, vf_driver: igbvf}
  - {pf: "0000:41:00.0", vfs: 2}
manage_management: true
"""
AT_BOOT = ("--confirm-within", "0", "--leave-refused")


def test_after_a_reboot_the_policy_before_is_applied_and_not_the_unconfirmed_alone_taken_back(
    program: Program,
) -> None:
    """The boot has taken all VFs, those that the unconfirmed change did not touch as well."""
    world = program.world
    kept = world.root / "etc/lanekeeper/host-policy.yaml"
    program.policy.write_text(FIRST)
    assert program.apply("--confirm-within", "0").returncode == 0
    confirmed = world.state()
    program.policy.write_text(FIRST.replace("vfs: 3", "vfs: 5"))
    assert program.apply().returncode == 0
    os.kill(program.guardian(2), signal.SIGKILL)  # the power fails
    for pf in (PF, OTHER_PF):
        world.machine.create_vfs(pf, 0)
    (world.root / BOOT_ID).write_text("boot-2\n")
    done = program.run("apply", "--policy", str(kept), *AT_BOOT)
    assert done.returncode == 0, done.stderr
    assert "failed: nobody confirmed it in time" in done.stdout
    assert "Change 2 is taken back. It began before the last boot" in done.stdout
    assert "Change 3 is applied" in done.stdout
    assert "as it was before" not in done.stdout
    assert kept.read_text() == FIRST
    assert [world.machine.device(pf).num_vfs for pf in (PF, OTHER_PF)] == [3, 2]
    assert world.state() == confirmed


@pytest.mark.parametrize("spoiled", ["version: 1\npfs: [", "version: 1\npfss: []\n"])
def test_a_kept_policy_that_makes_no_sense_keeps_nothing_from_going_back_at_boot(
    program: Program, spoiled: str
) -> None:
    world = program.world
    kept = world.root / "etc/lanekeeper/host-policy.yaml"
    program.policy.write_text(FIRST)
    assert program.apply("--confirm-within", "0").returncode == 0
    program.policy.write_text(FIRST.replace("vfs: 3", "vfs: 5"))
    assert program.apply().returncode == 0
    os.kill(program.guardian(2), signal.SIGKILL)  # the power fails
    kept.write_text(spoiled)
    (world.root / BOOT_ID).write_text("boot-2\n")
    done = program.run("apply", "--policy", str(kept), *AT_BOOT)
    assert "Change 2 is taken back" in done.stdout
    assert done.returncode == 0, done.stderr  # the policy from before it is there again
    assert kept.read_text() == FIRST
    assert [world.machine.device(pf).num_vfs for pf in (PF, OTHER_PF)] == [3, 2]


@pytest.mark.parametrize("named", ["version: 1\npfs: [", None])
def test_what_was_resumed_is_told_as_json_where_the_policy_makes_no_sense_by_then(
    program: Program, named: str | None
) -> None:
    world = program.world
    kept = world.root / "etc/lanekeeper/host-policy.yaml"
    assert program.apply().returncode == 0
    os.kill(program.guardian(), signal.SIGKILL)
    (world.root / BOOT_ID).write_text("boot-2\n")
    if named is None:  # what goes back takes the kept one away
        done = program.run("apply", "--json", "--policy", str(kept))
    else:
        program.policy.write_text(named)
        done = program.apply("--json")
    said = json.loads(done.stdout)  # one document
    assert said["resumed"]["course"] == "taken back"
    if named is not None:
        assert done.returncode == 2
        assert said["errors"][0]["file"] == str(program.policy)


def test_after_a_reboot_another_policy_is_applied_in_its_place(program: Program) -> None:
    world = program.world
    assert program.apply().returncode == 0
    os.kill(program.guardian(), signal.SIGKILL)
    (world.root / BOOT_ID).write_text("boot-2\n")
    program.policy.write_text(OTHER)
    done = program.apply()
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Change 1 is taken back" in done.stdout
    assert world.machine.device(OTHER_PF).num_vfs == 2


def test_a_policy_from_a_pipe_is_read_once_whatever_has_to_be_finished_before(
    program: Program,
) -> None:
    program.policy.write_text(OTHER)
    cut = program.apply(**{crash.VARIABLE: "host-journal-written:2"})
    assert cut.returncode == -signal.SIGKILL
    done = subprocess.run(
        program.arguments("apply", "--policy", "/dev/stdin", "--json"),
        input=OTHER,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["resumed"]["course"] == "applied"
    assert program.world.machine.device(OTHER_PF).num_vfs == 2


def test_a_guardian_that_was_killed_leaves_it_to_the_next_command(program: Program) -> None:
    assert program.apply("--confirm-within", "1").returncode == 0
    os.kill(program.guardian(), signal.SIGKILL)
    time.sleep(1.1)
    assert program.run("apply", "--policy", str(program.policy)).returncode == 1
    assert program.world.state() == program.world.before


def test_who_confirms_too_late_where_the_guardian_was_killed_takes_it_back(
    program: Program,
) -> None:
    assert program.apply("--confirm-within", "1").returncode == 0
    os.kill(program.guardian(), signal.SIGKILL)
    time.sleep(1.1)
    late = program.run("confirm", "1")
    assert (late.returncode, "too late" in late.stderr) == (1, True)
    assert "Change 1 is taken back" in late.stdout
    assert program.world.state() == program.world.before


def test_a_change_that_nobody_takes_back_is_told_with_the_command_that_does(
    program: Program,
) -> None:
    assert program.apply("--confirm-within", "9").returncode == 0
    os.kill(program.guardian(), signal.SIGKILL)
    alone = program.run("drift").stdout
    assert "its guardian is gone, so it does not go back by itself" in alone
    assert "`lanekeeper host confirm 1` keeps it" in alone
    (program.world.root / BOOT_ID).write_text("boot-2\n")  # its time is over
    over = "and its guardian is gone: `lanekeeper host apply` or `lanekeeper host rollback`"
    for verb in ("drift", "plan", "changes", "check"):
        assert over in program.run(verb).stdout
    findings = json.loads(program.run("check", "--json").stdout)["findings"]
    (found,) = [each for each in findings if each["id"] == "change-unfinished"]
    assert (found["severity"], "lanekeeper host apply" in found["fix"]) == ("error", True)


def test_a_change_whose_guardian_is_about_to_take_it_back_is_told_so(world: World) -> None:
    world.apply()
    world.clock.sleep(200)
    with watching(guard_file(world.changes, 1)):
        assert unfinished(world.change(), world.clock).standing is Standing.DUE
    assert unfinished(world.change(), world.clock).standing is Standing.OVERDUE


def test_two_who_watch_one_change_wait_for_each_other(world: World) -> None:
    world.changes.mkdir(parents=True)
    file = guard_file(world.changes, 1)
    assert not is_watched(file)
    with watching(file):
        assert is_watched(file)
    assert not file.exists()


def test_a_terminal_that_nobody_reads_any_more_does_not_hold_it_up(program: Program) -> None:
    """A dead connection looks so: nothing hangs up, and nothing is taken either."""
    reading, writing = os.pipe()
    fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, 4096)
    os.write(writing, b"x" * 4095)
    child = subprocess.Popen(
        [*program.arguments("apply", "--policy", str(program.policy)), "--confirm-within", "1"],
        stdout=writing,
    )
    os.close(writing)
    try:
        program.until(program.world.changes.exists)
        program.until_taken_back()
    finally:
        os.close(reading)
        child.wait(30)


def test_a_terminal_that_goes_away_in_the_middle(program: Program) -> None:
    """A real terminal, closed under the program as when a connection is lost."""
    master, slave = os.openpty()
    child = subprocess.Popen(
        ["setsid", "--ctty", *program.arguments("apply", "--policy", str(program.policy))],
        stdin=slave,
        stdout=slave,
        stderr=slave,
    )
    os.close(slave)
    os.read(master, 1)  # the first stage is told
    os.close(master)
    child.wait(30)
    program.until(lambda: program.world.change().course is not Course.FORWARD)
    if program.world.change().course is Course.UNCONFIRMED:  # it was faster than the hangup
        program.run("rollback")
    program.until_taken_back()


SYSTEMD_RUN = """\
#!/bin/sh
# Starts the service elsewhere and returns, as systemd-run(1) does.
echo "$@" > "$0.said"
while [ "$1" != -- ]; do shift; done
shift
setsid "$@" > /dev/null 2>&1 < /dev/null &
"""


def test_where_systemd_runs_the_guardian_is_a_service_of_its_own(
    program: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = program.world
    world.clock.moment = moment(world.root)
    world.apply(5)
    command = world.root.parent / "bin/systemd-run"
    command.parent.mkdir()
    command.write_text(SYSTEMD_RUN)
    command.chmod(0o755)
    monkeypatch.setenv("PATH", f"{command.parent}:{os.environ['PATH']}")
    where = guardian_for(world.changes, ("--simulate", str(world.root)))
    replace(where, by_systemd=True).watch(1)
    assert is_watched(guard_file(world.changes, 1))
    said = Path(f"{command}.said").read_text()
    assert "--unit=lanekeeper-guard-1 " in said
    assert "--property=Restart=on-failure" in said
    program.until_taken_back()
