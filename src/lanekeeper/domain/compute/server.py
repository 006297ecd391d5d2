"""The life of a server: its states, how clients see them, what a host's report makes of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import IntEnum, StrEnum
from types import MappingProxyType


class VmState(StrEnum):
    """Where a server stands. Source: nova ``compute/vm_states.py``."""

    BUILDING = "building"
    ACTIVE = "active"
    PAUSED = "paused"
    STOPPED = "stopped"
    ERROR = "error"


class TaskState(StrEnum):
    """What is being done with a server. Source: nova ``compute/task_states.py``."""

    SPAWNING = "spawning"
    POWERING_ON = "powering-on"
    POWERING_OFF = "powering-off"
    PAUSING = "pausing"
    UNPAUSING = "unpausing"
    REBOOTING = "rebooting"
    REBOOTING_HARD = "rebooting_hard"
    DELETING = "deleting"


class PowerState(IntEnum):
    """What the hypervisor says. Source: nova ``compute/power_state.py``."""

    NOSTATE = 0
    RUNNING = 1
    PAUSED = 3
    SHUTDOWN = 4
    CRASHED = 6


class Wanted(StrEnum):
    """What the server's host has been told to make of it."""

    RUNNING = "running"
    PAUSED = "paused"
    STOPPED = "stopped"
    ABSENT = "absent"


_STATUS: Mapping[str, str] = MappingProxyType(
    {
        VmState.BUILDING: "BUILD",
        VmState.ACTIVE: "ACTIVE",
        VmState.PAUSED: "PAUSED",
        VmState.STOPPED: "SHUTOFF",
        VmState.ERROR: "ERROR",
    }
)
_REBOOTING = frozenset({TaskState.REBOOTING, TaskState.REBOOTING_HARD})
_STATUS_OF_TASK: Mapping[str, str] = MappingProxyType(
    {TaskState.REBOOTING: "REBOOT", TaskState.REBOOTING_HARD: "HARD_REBOOT"}
)
STATUSES = frozenset((*_STATUS.values(), *_STATUS_OF_TASK.values()))


def status_of(vm_state: str, task_state: str | None) -> str:
    """Name the one word that clients wait for.

    Source: nova ``api/openstack/common.py``, status_from_state.
    """
    if vm_state == VmState.ACTIVE and task_state is not None and task_state in _STATUS_OF_TASK:
        return _STATUS_OF_TASK[task_state]
    return _STATUS.get(vm_state, "UNKNOWN")


@dataclass(frozen=True, slots=True, kw_only=True)
class Life:
    """What of a server changes when its host reports.

    Attributes:
        generation: grows with every change of what is wanted.
        reboots: how many were asked for, less those that were given up.
        problem: why the host could not do what was wanted; empty when it could.
    """

    vm_state: str
    task_state: str | None
    power_state: int
    wanted: str
    generation: int
    reboots: int = 0
    problem: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """One guest as its host has it; its values as in ``protocol.ServerState``."""

    power: str
    generation: int
    problem: str = ""
    given_up: int = 0


def is_gone(life: Life, report: Report) -> bool:
    """Whether the host answered the tombstone: nothing of the server is left there."""
    return life.wanted == Wanted.ABSENT and report.power == "absent"


def after_report(life: Life, report: Report) -> Life:
    """Say what the server is after its host reported *report*; equal to *life* when nothing new.

    A report that answers an older generation only tells the power: what was asked since then is
    still under way, and a guest that is down is a step on the way. A host answers the present one
    once it has brought the guest up: whatever the guest does then, nothing is under way any more.
    One that went down by itself stays down, as in Nova. An order that the host gave up is over:
    what is wanted then is what there is.
    """
    if report.power == "absent":
        return life
    if report.power == "failed":
        return _failed(life, report)
    power = _POWER[report.power]
    if life.wanted != Wanted.ABSENT and report.given_up >= life.generation:
        return _given_up(life, report, power)
    answered = report.generation >= life.generation
    if life.wanted == Wanted.ABSENT or not answered:
        return replace(life, power_state=power)
    return _answered(life, report.power, power)


def _answered(life: Life, told: str, power: PowerState) -> Life:
    if told in ("stopped", "crashed"):
        return _down(life, power)
    return _held(life, power) if life.wanted == Wanted.PAUSED else _up(life, power)


_POWER: Mapping[str, PowerState] = MappingProxyType(
    {
        "running": PowerState.RUNNING,
        "paused": PowerState.PAUSED,
        "stopped": PowerState.SHUTDOWN,
        "crashed": PowerState.CRASHED,
    }
)


def _failed(life: Life, report: Report) -> Life:
    if report.generation < life.generation:
        return life
    return replace(
        life,
        vm_state=VmState.ERROR,
        # A deletion that failed is tried again: the tombstone stays.
        task_state=TaskState.DELETING if life.wanted == Wanted.ABSENT else None,
        power_state=PowerState.NOSTATE,
        problem=report.problem or "the host could not do it and gave no reason",
    )


_AS_IT_IS: Mapping[VmState, Wanted] = MappingProxyType(
    {
        VmState.ACTIVE: Wanted.RUNNING,
        VmState.PAUSED: Wanted.PAUSED,
        VmState.STOPPED: Wanted.STOPPED,
    }
)
"""What is wanted of a server that is to stay as it is."""


def _given_up(life: Life, report: Report, power: PowerState) -> Life:
    is_down = report.power in ("stopped", "crashed")
    stays = not is_down and life.vm_state == VmState.PAUSED and power is PowerState.PAUSED
    vm_state = VmState.STOPPED if is_down else VmState.PAUSED if stays else VmState.ACTIVE
    # What never came up as ordered is no server that works, whatever its guest does.
    is_sound = life.vm_state not in (VmState.BUILDING, VmState.ERROR)
    wanted = _AS_IT_IS[vm_state]
    return replace(
        life,
        vm_state=vm_state if is_sound else VmState.ERROR,
        task_state=None,
        power_state=power,
        wanted=wanted,
        generation=life.generation + (wanted != life.wanted),
        # Else the next agent, which does not remember that it was given up, would reboot it.
        reboots=life.reboots - (life.task_state in _REBOOTING),
        problem=report.problem or "the host gave it up and gave no reason",
    )


def _held(life: Life, power: PowerState) -> Life:
    """The guest is there and was to be paused; one that somebody on its host lets run, runs."""
    if _was_declared_up(life):
        return replace(life, power_state=power)
    return _settled(life, VmState.PAUSED if power is PowerState.PAUSED else VmState.ACTIVE, power)


def _up(life: Life, power: PowerState) -> Life:
    """The guest runs, or its hypervisor has paused it after it ran."""
    if life.wanted != Wanted.RUNNING or _was_declared_up(life):
        return replace(life, power_state=power)
    return _settled(life, VmState.ACTIVE, power)


def _down(life: Life, power: PowerState) -> Life:
    if life.wanted != Wanted.STOPPED and _is_declared(life):
        return replace(life, power_state=power)
    return _settled(life, VmState.STOPPED, power)


def _settled(life: Life, vm_state: VmState, power: PowerState) -> Life:
    """Nothing is under way; the server is this, and is to stay so."""
    wanted = _AS_IT_IS[vm_state]
    return replace(
        life,
        vm_state=vm_state,
        task_state=None,
        power_state=power,
        wanted=wanted,
        generation=life.generation + (wanted != life.wanted),
        problem="",
    )


def _was_declared_up(life: Life) -> bool:
    """Whether it is called an error though its guest was there when it was."""
    return _is_declared(life) and life.power_state in (PowerState.RUNNING, PowerState.PAUSED)


def _is_declared(life: Life) -> bool:
    """Whether it is an error although nothing is being done: it stays one until something is."""
    return life.vm_state == VmState.ERROR and life.task_state is None
