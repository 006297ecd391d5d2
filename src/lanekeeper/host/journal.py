"""The journal of one change: its steps, and how far each has come. Survives kill -9.

A file a change, one JSON object a line: first all steps with their undo, then one line whenever
a step begins or ends, each on disk before anything else happens. A line that a crash cut off is
not read, and the next one takes its place. Room for all of them is taken beforehand, so that a
disk that fills up meanwhile keeps no change from being taken back. Files are numbered; the
greatest number is the last change. Format 1 has neither time, version, policy nor hold; it is read
as a change without them.
"""

from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime
from enum import StrEnum
from pathlib import Path

import msgspec

from lanekeeper import crash
from lanekeeper.domain import typed
from lanekeeper.domain.errors import HostFault
from lanekeeper.domain.hostplan.action import Change, Passing, WriteFile
from lanekeeper.domain.hostplan.persistence import CHANGES
from lanekeeper.domain.hostplan.replaced import Identity
from lanekeeper.domain.hostplan.step import Step
from lanekeeper.host.attribute import refusals
from lanekeeper.host.deadline import Deadline

KEPT = 20
"""How many of the last changes stay, whatever became of them."""

DIRECTORY = CHANGES
_FORMAT = 2
_STEP_BYTES = 256  # of its marks: begun, ended, undone
_COURSES_BYTES = 4096  # with the reasons
_HINT = "move the file away to go on without this change's undo"


class StepState(StrEnum):
    """How far one step has come."""

    WAITING = "waiting"
    DOING = "doing"
    DONE = "done"
    UNDONE = "undone"
    LEFT = "left as it is"


class Course(StrEnum):
    """Where a change as a whole is going, or has come to."""

    FORWARD = "forward"
    BACK = "back"
    UNCONFIRMED = "waiting for confirmation"
    APPLIED = "applied"
    TAKEN_BACK = "taken back"
    LEFT = "half taken back"


STANDING = (Course.APPLIED, Course.UNCONFIRMED)


class Head(msgspec.Struct, frozen=True):
    """What is known of a change before it begins.

    Attributes:
        began: None in format 1.
        version: of Lanekeeper.
        policy: the text that the change was planned from; empty when not known.
        hold_s: how long it waits for its confirmation; None for one that needs none.
        boot: the kernel's id of the boot it was made in; empty when not known.
        devices: ids of the functions that the policy meant, by address; None when not known.
        serials: their serial numbers, of those that told one.
    """

    steps: tuple[Step, ...]
    format: int = _FORMAT
    began: datetime | None = None
    version: str = ""
    policy: str = ""
    hold_s: float | None = None
    boot: str = ""
    devices: dict[str, str] | None = None
    serials: dict[str, str] = msgspec.field(default_factory=dict)


class _StepMark(msgspec.Struct, frozen=True, tag="step"):
    step: int
    state: StepState


class _CourseMark(msgspec.Struct, frozen=True, tag="course"):
    course: Course
    reason: str = ""
    deadline: Deadline | None = None


class Journal:
    """One change on disk. Made by ``begin``, found again by ``journals``.

    Attributes:
        reason: why the course is what it is; empty where that goes without saying.
        deadline: of the confirmation, while the course is ``UNCONFIRMED``.
    """

    def __init__(self, path: Path, head: Head, length: int) -> None:
        self.path = path
        self.head = head
        self.states = [StepState.WAITING] * len(head.steps)
        self.course = Course.FORWARD
        self.reason = ""
        self.deadline: Deadline | None = None
        self._length = length

    @property
    def id(self) -> int:
        return int(self.path.stem)

    @property
    def steps(self) -> tuple[Step, ...]:
        return self.head.steps

    @property
    def is_finished(self) -> bool:
        """Whether another change can be made after it."""
        return self.course in (Course.APPLIED, Course.TAKEN_BACK, Course.LEFT)

    @property
    def is_settled(self) -> bool:
        """Whether it is wholly there or gone."""
        return self.course in (Course.APPLIED, Course.TAKEN_BACK)

    @property
    def is_held(self) -> bool:
        """Whether it goes back unless somebody confirms it."""
        return self.head.hold_s is not None

    def is_of_another(self, policy: str | None) -> bool:
        """Whether it was cut off on its way to another policy than the one that is wanted now."""
        return self.course is Course.FORWARD and policy not in (None, self.head.policy)

    def begun(self) -> list[int]:
        """Return the numbers of the steps that were begun and not undone, last first."""
        states = (StepState.DOING, StepState.DONE)
        return [at for at in reversed(range(len(self.steps))) if self.states[at] in states]

    def mark_step(self, step: int, state: StepState) -> None:
        """Note *state* of a step, durably. Raises HostFault."""
        self._append(_StepMark(step, state))
        self.states[step] = state

    def mark_course(
        self, course: Course, reason: str = "", deadline: Deadline | None = None
    ) -> None:
        """Note where the change is going, durably. Raises HostFault."""
        mark = _CourseMark(course, reason, deadline)
        self._append(mark)
        self._take(mark)
        if self.is_finished:  # the room is not needed any more
            with suppress(OSError):
                os.truncate(self.path, self._length)

    def undo_of(self, step: int) -> tuple[Change, ...]:
        return self.steps[step].undo

    def undone(self) -> list[tuple[Change, Change]]:
        """Return what was done with each action that would take it back, in their order."""
        return [(self.steps[at].do, undo) for at in self.begun() for undo in self.undo_of(at)]

    def _append(self, mark: _StepMark | _CourseMark) -> None:
        crash.reached("host-journal-write")
        with refusals(f"write {self.path}"), self.path.open("r+b", buffering=0) as file:
            file.seek(self._length)  # over what a crash or a full disk cut off
            data = msgspec.json.encode(mark) + b"\n"
            written = file.write(data)
            if written != len(data):  # the disk is full; writing on says so
                file.write(data[written:])
            os.fsync(file.fileno())
        self._length += len(data)
        crash.reached("host-journal-written")

    def _take(self, mark: _StepMark | _CourseMark) -> None:
        if isinstance(mark, _StepMark):
            self.states[mark.step] = mark.state
        else:
            self.course, self.deadline = mark.course, mark.deadline
            if mark.reason or mark.course is not Course.TAKEN_BACK:
                self.reason = mark.reason  # of what is taken back: the reason for going back

    def read_marks(self, lines: Sequence[bytes]) -> None:
        """Follow what was noted. Raises MsgspecError, IndexError."""
        for line in lines:
            self._take(typed.decode(line, _StepMark | _CourseMark))


def thin(directory: Path, boot: str) -> None:
    """Remove changes that nothing can need: all but the last ones, and those still in effect.

    In effect is a change that stands, unless it changed only what another boot has undone. The
    last that was applied stays in any case: what differs from it is drift.

    Raises:
        HostFault: one cannot be read or removed.
    """
    changes = journals(directory)
    applied = [change for change in changes if change.course is Course.APPLIED]
    for change in changes[:-KEPT]:
        if change not in applied[-1:] and _is_over(change, boot):
            with refusals(f"remove {change.path}"):
                change.path.unlink(missing_ok=True)


def _is_over(change: Journal, boot: str) -> bool:
    if change.course is not Course.APPLIED:
        return change.course is Course.TAKEN_BACK
    is_past = bool(change.head.boot and boot) and change.head.boot != boot
    return is_past and all(isinstance(step.do, Passing) for step in change.steps)


def one_policy(standing: Sequence[Journal]) -> Sequence[Journal]:
    """Return the last of *standing*, and those right before it that applied the same policy.

    Each boot applies the policy anew. Going back over that alone would leave the policy kept, and
    the next boot would bring back what was taken back.
    """
    last = standing[-1:]
    if not last or last[0].course is not Course.APPLIED or not last[0].head.policy:
        return last
    same = len(standing)
    while same and _applied(standing[same - 1], last[0].head.policy):
        same -= 1
    return standing[same:]


def _applied(journal: Journal, policy: str) -> bool:
    return journal.course is Course.APPLIED and journal.head.policy == policy


def digest(policy: str) -> str:
    """Return what names a policy's text: its SHA-256, in hex; empty for no text."""
    return hashlib.sha256(policy.encode()).hexdigest() if policy else ""


def begin(directory: Path, head: Head) -> Journal:
    """Write down a new change before anything of it is done. Raises HostFault."""
    number = max((int(path.stem) for path in files(directory)), default=0) + 1
    path = file_of(directory, number)
    data = msgspec.json.encode(head) + b"\n"
    fresh = path.with_suffix(".new")
    with refusals(f"write {path}"):
        try:
            with fresh.open("wb") as file:
                file.write(data)
                file.flush()
                _take_room(file.fileno(), len(data), len(head.steps))
                os.fsync(file.fileno())
            fresh.replace(path)
            _sync(directory)
        except OSError:
            fresh.unlink(missing_ok=True)
            raise
    return Journal(path, head, len(data))


def _take_room(descriptor: int, written: int, steps: int) -> None:
    """Take room for every mark that may follow; a file system that cannot goes without."""
    try:
        os.posix_fallocate(descriptor, written, _COURSES_BYTES + steps * _STEP_BYTES)
    except OSError as error:
        if error.errno not in (errno.EOPNOTSUPP, errno.EINVAL):
            raise


def _sync(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def text_left(directory: Path, path: str, before: int | None = None) -> str | None:
    """The text that the changes that stand have left in the file *path*; None for none of them.

    With *before*, those before that one alone.

    Raises:
        HostFault: a journal cannot be read.
    """
    left = None
    for change in journals(directory):
        is_meant = before is None or change.id < before
        if is_meant and change.course in STANDING:
            for step in change.steps:
                if isinstance(step.do, WriteFile) and step.do.path == path:
                    left = step.do.text
    return left


def devices_left(changes: Sequence[Journal]) -> dict[str, Identity] | None:
    """The functions that the last of *changes* which stands was about; None where none says so."""
    for change in reversed(changes):
        head = change.head
        if change.course in STANDING and head.devices is not None:
            return {at: Identity(ids, head.serials.get(at, "")) for at, ids in head.devices.items()}
    return None


def journals(directory: Path) -> list[Journal]:
    """Return all changes, oldest first; changes nothing. Raises HostFault: one cannot be read."""
    return [load(path) for path in files(directory)]


def file_of(directory: Path, number: int) -> Path:
    """Return the file of change *number*, whether it is there or not."""
    return directory / f"{number:06d}.jsonl"


def files(directory: Path) -> list[Path]:
    """Return the files of all changes, oldest first, readable or not. Raises HostFault."""
    with refusals(f"list {directory}"):
        found = [path for path in directory.glob("*.jsonl") if path.stem.isdecimal()]
    return sorted(found, key=lambda path: int(path.stem))


def load(path: Path) -> Journal:
    """Read one change. Raises HostFault: it cannot be read, or is damaged."""
    with refusals(f"read {path}"):
        data = path.read_bytes()
    whole, end, _ = data.rpartition(b"\n")
    first, *marks = whole.split(b"\n")
    try:
        head = typed.decode(first, Head)
        journal = Journal(path, head, len(whole + end))
        journal.read_marks(marks)
    except (msgspec.MsgspecError, IndexError) as error:
        raise HostFault(f"{path} is damaged: {error}", hint=_HINT) from error
    if head.format > _FORMAT:
        message = f"{path} has format {head.format}; this version reads up to {_FORMAT}"
        raise HostFault(message, hint="use the Lanekeeper that wrote it, or a later one")
    return journal
