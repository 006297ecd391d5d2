"""Changes that go back unless somebody confirms them, and the guardian that takes them back.

The guardian is a process of its own, started before the first step. It waits for the lock of the
changes, which the kernel gives it when the applying process ends, however it ends; then it waits
for the confirmation or the deadline. It decides nothing that the journal does not say: a journal
that is not confirmed goes back, and whoever writes first under the lock has the last word.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from lanekeeper import crash
from lanekeeper.domain.errors import Conflict, HostFault, NotFound
from lanekeeper.host.apply import Executor, Stop
from lanekeeper.host.attribute import refusals
from lanekeeper.host.journal import Course, Journal, file_of, journals, load
from lanekeeper.host.lock import PATIENCE_S, is_watched, locked, watching
from lanekeeper.host.outcome import Outcome

_LOOK_AGAIN_S = 0.5
_STARTS_WITHIN_S = 60.0
_TRIES = 12
_TRY_AGAIN_S = 5.0
_SYSTEMD = Path("/run/systemd/system")  # sd_booted(3)

Sleep = Callable[[float], None]


def guard_file(directory: Path, number: int) -> Path:
    """Return the file whose lock shows that change *number* is watched."""
    return directory / f"{number:06d}.guard"


def confirm(executor: Executor, number: int) -> Outcome | None:
    """Keep change *number*, which waits for that; None when it is kept.

    Where its time is over it goes back at once: its guardian may be gone. What became of it is
    returned then.

    Raises:
        NotFound: no change has that number.
        Conflict: it does not wait, or another change is at work.
        HostFault: the journal cannot be read or written.
    """
    directory = executor.directory
    if not directory.is_dir():
        raise NotFound(f"there is no change {number}: nothing was ever applied here")
    with locked(directory, PATIENCE_S):
        changes = journals(directory)
        journal = _wanted(changes, number)
        until = journal.deadline
        assert until is not None
        if not until.left_s(executor.now()):
            had = f"it had until {until.wall:%H:%M:%S} UTC, or until the reboot"
            return executor.settle(journal, f"nobody confirmed it in time: {had}")
        journal.mark_course(Course.APPLIED, "confirmed")
        return None


def _wanted(changes: Sequence[Journal], number: int) -> Journal:
    waiting = [journal for journal in changes if journal.course is Course.UNCONFIRMED]
    found = next((journal for journal in changes if journal.id == number), None)
    if found in waiting and found is not None:
        return found
    hint = f"change {waiting[-1].id} waits for it" if waiting else "no change waits for it"
    if found is None:
        raise NotFound(f"there is no change {number} to confirm", hint=hint)
    because = f" ({found.reason})" if found.reason else ""
    message = f"change {number} waits for no confirmation: it is {found.course}{because}"
    raise Conflict(message, hint=hint)


@dataclass(frozen=True, slots=True)
class Guardian:
    """Starts who watches a change.

    Attributes:
        directory: of the journals.
        command: runs ``guard`` for the number that is put behind it.
        by_systemd: whether systemd keeps it, out of reach of what ends a login session.
    """

    directory: Path
    command: tuple[str, ...]
    by_systemd: bool = False

    def watch(self, number: int) -> None:
        """Return once change *number* is watched. Raises HostFault: it could not be."""
        arguments = [*self.command, str(number)]
        if self.by_systemd:
            arguments = [*_service(number), *arguments]
        with refusals(f"start {arguments[0]} to watch change {number}"):
            child = subprocess.Popen(
                arguments,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                cwd="/",
                env={k: v for k, v in os.environ.items() if k != crash.VARIABLE},
                start_new_session=True,
            )
        self._until_watched(number, child)

    def _until_watched(self, number: int, child: subprocess.Popen[bytes]) -> None:
        until = time.monotonic() + _STARTS_WITHIN_S
        while not is_watched(guard_file(self.directory, number)):
            code = child.poll()
            ended = code is not None and (code != 0 or not self.by_systemd)
            if ended or time.monotonic() >= until:
                child.kill()
                child.wait()
                said = (
                    f"ended with {code}" if ended else f"said nothing in {_STARTS_WITHIN_S:.0f} s"
                )
                raise HostFault(
                    f"nobody would take change {number} back: {child.args!r} {said}",
                    hint="--confirm-within 0 applies without a way back by itself",
                )
            time.sleep(_LOOK_AGAIN_S / 10)
        child.returncode = child.poll() or 0  # it outlives this process; nobody waits for it


def guardian_for(directory: Path, arguments: Sequence[str]) -> Guardian:
    """Return a guardian that runs ``host guard`` of this very installation with *arguments*."""
    program = (sys.executable, "-P", "-m", "lanekeeper.main", "host", "guard")
    return Guardian(directory, (*program, *arguments), by_systemd=_SYSTEMD.is_dir())


def _service(number: int) -> tuple[str, ...]:
    """Source: systemd-run(1): a service of its own, started again if somebody kills it."""
    return (
        *("systemd-run", "--quiet", "--collect", "--service-type=exec"),
        *(f"--unit=lanekeeper-guard-{number}", f"--description=Takes change {number} back"),
        *("--property=Restart=on-failure", "--property=RestartSec=1", "--"),
    )


def guard(executor: Executor, number: int, stop: Stop, sleep: Sleep = time.sleep) -> Outcome | None:
    """Watch change *number* to its end: None when it was confirmed, or ended by itself.

    Args:
        executor: of the change's machine.
        number: of the change.
        stop: says that this machine goes down, after which nobody would watch.
        sleep: waits that many seconds.

    Raises:
        NotFound: there is no such change.
        HostFault: the journal cannot be read.
    """
    with watching(guard_file(executor.directory, number)):
        for _ in range(_TRIES):
            outcome = _guard_once(executor, number, stop, sleep)
            if outcome is None or not outcome.left:
                return outcome
            sleep(_TRY_AGAIN_S)
        return outcome


def _guard_once(executor: Executor, number: int, stop: Stop, sleep: Sleep) -> Outcome | None:
    while True:
        with locked(executor.directory, patience_s=None):
            path = file_of(executor.directory, number)
            if not path.exists():
                raise NotFound(f"there is no change {number} to watch")
            change = load(path)
            if change.is_finished:
                return None
            end = change.deadline
            left = end.left_s(executor.now()) if end else 0.0
            reason = stop()
            if not left or reason:
                reason = reason and f"{reason} came to its guardian before it was confirmed"
                return executor.settle(change, reason)
        sleep(min(left, _LOOK_AGAIN_S))
