"""The journal of one change: its steps, and how far each has come. Survives kill -9.

A file a change, one JSON object a line: first all steps with their undo, then one line whenever
a step begins or ends, each on disk before anything else happens. A line that a crash cut off is
not read. Files are numbered; the greatest number is the last change.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path

import msgspec

from lanekeeper.domain.errors import Conflict, HostFault
from lanekeeper.domain.hostplan.action import Change
from lanekeeper.domain.hostplan.step import Step
from lanekeeper.host.attribute import refusals

DIRECTORY = "var/lib/lanekeeper-host/changes"
_FORMAT = 1


class StepState(StrEnum):
    """How far one step has come."""

    WAITING = "waiting"
    DOING = "doing"
    DONE = "done"
    UNDONE = "undone"


class Course(StrEnum):
    """Where a change as a whole is going, or has come to."""

    FORWARD = "forward"
    BACK = "back"
    APPLIED = "applied"
    TAKEN_BACK = "taken back"


class _Head(msgspec.Struct, frozen=True):
    steps: tuple[Step, ...]
    format: int = _FORMAT


class _StepMark(msgspec.Struct, frozen=True, tag="step"):
    step: int
    state: StepState


class _CourseMark(msgspec.Struct, frozen=True, tag="course"):
    course: Course


class Journal:
    """One change on disk. Made by ``begin``, found again by ``last``."""

    def __init__(self, path: Path, steps: tuple[Step, ...]) -> None:
        self.path = path
        self.steps = steps
        self.states = [StepState.WAITING] * len(steps)
        self.course = Course.FORWARD

    @property
    def id(self) -> int:
        return int(self.path.stem)

    @property
    def is_finished(self) -> bool:
        return self.course in (Course.APPLIED, Course.TAKEN_BACK)

    def mark_step(self, step: int, state: StepState) -> None:
        """Note *state* of a step, durably. Raises HostFault."""
        self._append(_StepMark(step, state))
        self.states[step] = state

    def mark_course(self, course: Course) -> None:
        """Note where the change is going, durably. Raises HostFault."""
        self._append(_CourseMark(course))
        self.course = course

    def undo_of(self, step: int) -> tuple[Change, ...]:
        return self.steps[step].undo

    def _append(self, mark: _StepMark | _CourseMark) -> None:
        with refusals(f"write {self.path}"), self.path.open("ab") as file:
            file.write(msgspec.json.encode(mark) + b"\n")
            file.flush()
            os.fsync(file.fileno())


def begin(directory: Path, steps: Sequence[Step]) -> Journal:
    """Write down a new change before anything of it is done. Raises HostFault."""
    number = max((journal.id for journal in journals(directory)), default=0) + 1
    path = directory / f"{number:06d}.jsonl"
    head = _Head(tuple(steps))
    with refusals(f"write {path}"):
        fresh = path.with_suffix(".new")
        with fresh.open("wb") as file:
            file.write(msgspec.json.encode(head) + b"\n")
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)
    return Journal(path, head.steps)


def journals(directory: Path) -> list[Journal]:
    """Return all changes, oldest first. Raises HostFault: one cannot be read."""
    with refusals(f"list {directory}"):
        return [_load(path) for path in sorted(directory.glob("[0-9]*.jsonl"))]


def _load(path: Path) -> Journal:
    with refusals(f"read {path}"):
        data = path.read_bytes()
    whole, _, torn = data.rpartition(b"\n")
    if torn:
        with refusals(f"write {path}"):
            os.truncate(path, len(whole) + 1)
    head, *marks = whole.split(b"\n")
    try:
        journal = Journal(path, msgspec.json.decode(head, type=_Head).steps)
        for line in marks:
            _follow(journal, msgspec.json.decode(line, type=_StepMark | _CourseMark))
    except (msgspec.MsgspecError, IndexError) as error:
        hint = "move the file away to go on without this change's undo"
        raise HostFault(f"{path} is damaged: {error}", hint=hint) from error
    return journal


def _follow(journal: Journal, mark: _StepMark | _CourseMark) -> None:
    if isinstance(mark, _CourseMark):
        journal.course = mark.course
    else:
        journal.states[mark.step] = mark.state


@contextmanager
def locked(directory: Path) -> Iterator[None]:
    """Keep every other change of this host out while inside; makes the directory.

    Raises:
        Conflict: somebody else is changing this host.
        HostFault: the directory cannot be made or written.
    """
    with refusals(f"make {directory}"):
        directory.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(directory / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError as error:
        raise Conflict("another `lanekeeper host apply` or `rollback` is at work here") from error
    finally:
        os.close(descriptor)
