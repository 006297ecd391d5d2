"""What changes the machine that a command is about, and what keeps its changes."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from lanekeeper.cli.host.target import Target
from lanekeeper.host.actor import Actor
from lanekeeper.host.apply import Executor, Stop, never
from lanekeeper.host.deadline import Now, moment
from lanekeeper.host.hold import Guardian, guardian_for
from lanekeeper.host.journal import DIRECTORY, Course, Journal, journals
from lanekeeper.host.linux import LinuxMachine
from lanekeeper.host.occupancy import Occupancy
from lanekeeper.host.simulated import SimulatedMachine
from lanekeeper.host.stage import Progress, silent


def changes_of(target: Target) -> Path:
    """Return where the journals of its changes are."""
    return target.root / DIRECTORY


def unfinished_of(target: Target) -> Journal | None:
    """The change that a process which died has left; None where all are finished."""
    return unfinished_in(changes_of(target))


def unfinished_in(directory: Path) -> Journal | None:
    left = [change for change in journals(directory) if not change.is_finished]
    return left[-1] if left else None


def unfinished_text(change: Journal, policy: str | None, call: str = "") -> str:
    """Say what becomes first of a change that was left, where *policy* is to be applied.

    *call* is what stands behind the verb where the change is not this machine's.
    """
    apply = f"`lanekeeper host apply{call}`"
    if change.course is Course.UNCONFIRMED:
        keep = f"`lanekeeper host confirm {change.id}` keeps it, without that it goes back"
        return f"change {change.id} waits for its confirmation: {keep}"
    forward = change.course is Course.FORWARD and not change.is_held
    if forward and not change.is_of_another(policy):
        return f"change {change.id} was cut off; {apply} goes on with it first"
    why = " (it is of another policy)" if change.is_of_another(policy) else ""
    return f"change {change.id} was cut off{why}; {apply} takes it back first"


def now_of(target: Target) -> Now:
    return partial(moment, target.root)


def executor_of(target: Target, progress: Progress = silent, stop: Stop = never) -> Executor:
    machine = _machine(target)
    guard = Occupancy(target.root, machine)
    actor = _actor(target, machine)
    return Executor(actor, changes_of(target), progress, stop, now_of(target), guard)


def guardian_of(target: Target) -> Guardian:
    where = ("--simulate", str(target.root.resolve())) if target.is_simulated else ()
    return guardian_for(changes_of(target), where)


def _machine(target: Target) -> LinuxMachine:
    return SimulatedMachine(target.root) if target.is_simulated else LinuxMachine(target.root)


def _actor(target: Target, machine: LinuxMachine) -> Actor:
    if isinstance(machine, SimulatedMachine):
        return Actor(target.root, machine, machine.run)
    return Actor(target.root, machine)
