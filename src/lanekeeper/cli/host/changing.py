"""What changes the machine that a command is about, and what keeps its changes."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from lanekeeper.cli.host.target import Target
from lanekeeper.host.actor import Actor
from lanekeeper.host.apply import Executor, Stop, never
from lanekeeper.host.deadline import Now, moment
from lanekeeper.host.hold import Guardian, guardian_for
from lanekeeper.host.journal import DIRECTORY
from lanekeeper.host.linux import LinuxMachine
from lanekeeper.host.occupancy import Occupancy
from lanekeeper.host.simulated import SimulatedMachine
from lanekeeper.host.stage import Progress, silent
from lanekeeper.host.unfinished import Unfinished, unfinished_in


def changes_of(target: Target) -> Path:
    """Return where the journals of its changes are."""
    return target.root / DIRECTORY


def unfinished_of(target: Target) -> Unfinished | None:
    """The change that is not at its end; None where all are."""
    return unfinished_in(changes_of(target), now_of(target))


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
