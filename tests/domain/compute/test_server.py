from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lanekeeper.domain.compute.server import (
    Life,
    PowerState,
    Report,
    TaskState,
    VmState,
    Wanted,
    after_report,
    is_gone,
    status_of,
)

BUILDING = Life(
    vm_state=VmState.BUILDING,
    task_state=TaskState.SPAWNING,
    power_state=PowerState.NOSTATE,
    wanted=Wanted.RUNNING,
    generation=1,
)
ACTIVE = replace(BUILDING, vm_state=VmState.ACTIVE, task_state=None, power_state=PowerState.RUNNING)
STOPPING = replace(ACTIVE, task_state=TaskState.POWERING_OFF, wanted=Wanted.STOPPED, generation=2)
STOPPED = replace(
    STOPPING, task_state=None, vm_state=VmState.STOPPED, power_state=PowerState.SHUTDOWN
)
STARTING = replace(STOPPED, task_state=TaskState.POWERING_ON, wanted=Wanted.RUNNING, generation=3)
PAUSING = replace(ACTIVE, task_state=TaskState.PAUSING, wanted=Wanted.PAUSED, generation=2)
PAUSED = replace(PAUSING, vm_state=VmState.PAUSED, task_state=None, power_state=PowerState.PAUSED)
UNPAUSING = replace(PAUSED, task_state=TaskState.UNPAUSING, wanted=Wanted.RUNNING, generation=3)
REBOOTING = replace(ACTIVE, task_state=TaskState.REBOOTING, generation=2)
DELETING = replace(ACTIVE, task_state=TaskState.DELETING, wanted=Wanted.ABSENT, generation=2)


def report(power: str, generation: int = 9, problem: str = "") -> Report:
    return Report(power=power, generation=generation, problem=problem)


@pytest.mark.parametrize(
    ("life", "said", "status", "task", "power"),
    [
        (BUILDING, report("paused", 0), "BUILD", "spawning", PowerState.PAUSED),
        (BUILDING, report("paused", 1), "ACTIVE", None, PowerState.PAUSED),
        (BUILDING, report("stopped", 0), "BUILD", "spawning", PowerState.SHUTDOWN),
        (BUILDING, report("stopped", 1), "SHUTOFF", None, PowerState.SHUTDOWN),
        (BUILDING, report("running"), "ACTIVE", None, PowerState.RUNNING),
        (BUILDING, report("failed", problem="x"), "ERROR", None, PowerState.NOSTATE),
        (BUILDING, report("absent"), "BUILD", "spawning", PowerState.NOSTATE),
        (STOPPING, report("running", 1), "ACTIVE", "powering-off", PowerState.RUNNING),
        (STOPPING, report("running", 2), "ACTIVE", "powering-off", PowerState.RUNNING),
        (STOPPING, report("stopped", 1), "ACTIVE", "powering-off", PowerState.SHUTDOWN),
        (STOPPING, report("stopped", 2), "SHUTOFF", None, PowerState.SHUTDOWN),
        (STARTING, report("stopped", 2), "SHUTOFF", "powering-on", PowerState.SHUTDOWN),
        (STARTING, report("running", 3), "ACTIVE", None, PowerState.RUNNING),
        (REBOOTING, report("running", 1), "REBOOT", "rebooting", PowerState.RUNNING),
        (STARTING, report("crashed", 3), "SHUTOFF", None, PowerState.CRASHED),
        (REBOOTING, report("stopped", 1), "REBOOT", "rebooting", PowerState.SHUTDOWN),
        (REBOOTING, report("stopped", 2), "SHUTOFF", None, PowerState.SHUTDOWN),
        (REBOOTING, report("running", 2), "ACTIVE", None, PowerState.RUNNING),
        (ACTIVE, report("paused"), "ACTIVE", None, PowerState.PAUSED),
        (PAUSING, report("paused", 1), "ACTIVE", "pausing", PowerState.PAUSED),
        (PAUSING, report("paused", 2), "PAUSED", None, PowerState.PAUSED),
        (PAUSED, report("running", 2), "ACTIVE", None, PowerState.RUNNING),
        (PAUSED, report("stopped", 2), "SHUTOFF", None, PowerState.SHUTDOWN),
        (UNPAUSING, report("paused", 2), "PAUSED", "unpausing", PowerState.PAUSED),
        (UNPAUSING, report("running", 3), "ACTIVE", None, PowerState.RUNNING),
        (ACTIVE, report("absent"), "ACTIVE", None, PowerState.RUNNING),
        (DELETING, report("running"), "ACTIVE", "deleting", PowerState.RUNNING),
        (DELETING, report("failed", 1), "ACTIVE", "deleting", PowerState.RUNNING),
        (DELETING, report("failed", 2), "ERROR", "deleting", PowerState.NOSTATE),
    ],
)
def test_what_a_report_makes_of_a_server(
    life: Life, said: Report, status: str, task: str | None, power: PowerState
) -> None:
    after = after_report(life, said)
    seen = (status_of(after.vm_state, after.task_state), after.task_state, after.power_state)
    assert seen == (status, task, power)


@pytest.mark.parametrize("life", [ACTIVE, BUILDING, STARTING, REBOOTING])
@pytest.mark.parametrize("power", ["stopped", "crashed"])
def test_a_guest_that_went_down_by_itself_stays_down(life: Life, power: str) -> None:
    after = after_report(life, report(power, life.generation))
    assert (after.vm_state, after.task_state) == (VmState.STOPPED, None)
    assert (after.wanted, after.generation) == (Wanted.STOPPED, life.generation + 1)


@pytest.mark.parametrize(
    ("life", "power", "vm_state", "wanted", "generation"),
    [
        (STOPPING, "running", VmState.ACTIVE, Wanted.RUNNING, 3),
        (STOPPING, "crashed", VmState.STOPPED, Wanted.STOPPED, 2),
        (REBOOTING, "running", VmState.ACTIVE, Wanted.RUNNING, 2),
        (STARTING, "stopped", VmState.STOPPED, Wanted.STOPPED, 4),
        (BUILDING, "running", VmState.ERROR, Wanted.RUNNING, 1),
        (PAUSING, "running", VmState.ACTIVE, Wanted.RUNNING, 3),
        (UNPAUSING, "paused", VmState.PAUSED, Wanted.PAUSED, 4),
        (UNPAUSING, "stopped", VmState.STOPPED, Wanted.STOPPED, 4),
    ],
)
def test_an_order_that_was_given_up_is_over(
    life: Life, power: str, vm_state: VmState, wanted: Wanted, generation: int
) -> None:
    said = Report(power=power, generation=1, problem="no", given_up=life.generation)
    after = after_report(life, said)
    assert (after.vm_state, after.task_state, after.problem) == (vm_state, None, "no")
    assert (after.wanted, after.generation) == (wanted, generation)
    again = after_report(after, said)
    assert again == after


def test_a_reboot_that_was_given_up_is_not_asked_for_any_more() -> None:
    asked = replace(REBOOTING, reboots=3)
    said = Report(power="running", generation=1, problem="no", given_up=asked.generation)
    after = after_report(asked, said)
    assert after.reboots == 2
    assert after_report(after, said) == after
    stopping = replace(STOPPING, reboots=3)
    said = Report(power="running", generation=1, problem="no", given_up=stopping.generation)
    assert after_report(stopping, said).reboots == 3


def test_a_deletion_is_never_given_up() -> None:
    said = Report(power="running", generation=1, problem="busy", given_up=2)
    assert after_report(DELETING, said) == replace(DELETING, power_state=PowerState.RUNNING)


def test_what_was_given_up_before_is_no_answer_to_what_is_asked_now() -> None:
    said = Report(power="running", generation=1, problem="no", given_up=1)
    assert after_report(STOPPING, said) == STOPPING


def test_a_failure_keeps_its_reason_until_the_guest_runs() -> None:
    failed = after_report(BUILDING, report("failed", problem="no such driver"))
    assert failed.problem == "no such driver"
    assert after_report(failed, report("running")).problem == ""
    assert after_report(BUILDING, report("failed")).problem


@pytest.mark.parametrize("life", [ACTIVE, PAUSED])
def test_an_error_that_an_operator_set_outlives_reports(life: Life) -> None:
    declared = replace(life, vm_state=VmState.ERROR)
    for power in ("running", "paused", "stopped", "crashed"):
        after = after_report(declared, report(power))
        assert replace(after, power_state=declared.power_state) == declared


def test_a_hard_reboot_ends_an_error_that_an_operator_set() -> None:
    rebooting = replace(ACTIVE, vm_state=VmState.ERROR, task_state=TaskState.REBOOTING_HARD)
    assert after_report(rebooting, report("running")) == ACTIVE


def test_only_a_tombstone_is_answered_by_absence() -> None:
    assert is_gone(DELETING, report("absent"))
    assert not is_gone(ACTIVE, report("absent"))
    assert not is_gone(DELETING, report("stopped"))


_EVERY_LIFE = st.builds(
    Life,
    vm_state=st.sampled_from(VmState),
    task_state=st.none() | st.sampled_from(TaskState),
    power_state=st.sampled_from(PowerState),
    wanted=st.sampled_from([Wanted.RUNNING, Wanted.PAUSED, Wanted.STOPPED]),
    generation=st.integers(1, 4),
    problem=st.sampled_from(["", "no such driver"]),
)
_ENDS: dict[str, list[str]] = {
    Wanted.RUNNING: ["running", "paused", "stopped", "crashed", "failed"],
    Wanted.PAUSED: ["running", "paused", "stopped", "crashed", "failed"],
    Wanted.STOPPED: ["stopped", "crashed", "failed"],  # its host goes on stopping one that is up
}


@given(_EVERY_LIFE, st.data(), st.integers(0, 2))
def test_once_its_host_has_answered_nothing_is_under_way(
    life: Life, data: st.DataObject, more: int
) -> None:
    power = data.draw(st.sampled_from(_ENDS[life.wanted]))
    assert after_report(life, report(power, life.generation + more)).task_state is None


_powers = st.sampled_from(["running", "stopped", "paused", "crashed", "absent", "failed"])
_lives = st.sampled_from(
    [BUILDING, ACTIVE, PAUSING, PAUSED, UNPAUSING, STOPPING, STOPPED, STARTING, REBOOTING, DELETING]
)


@given(_lives, _powers, st.integers(1, 4))
def test_a_report_that_is_repeated_changes_nothing_more(
    life: Life, power: str, generation: int
) -> None:
    once = after_report(life, report(power, generation))
    assert after_report(once, report(power, generation)) == once


@given(_lives, _powers, st.integers(1, 4))
def test_a_report_never_takes_back_a_deletion(life: Life, power: str, generation: int) -> None:
    after = after_report(life, report(power, generation))
    assert (after.wanted == Wanted.ABSENT) == (life.wanted == Wanted.ABSENT)
