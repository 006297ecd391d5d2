"""The processes of a lab: how they are marked, found again, and ended.

Every process that a lab starts carries the lab's folder in its environment, and so does whatever
those start. So they are found however their parents ended, and nobody else's is ever touched.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from lanekeeper.domain.errors import HostFault

MARK = "LANEKEEPER_LAB_FOLDER"
TERM_PATIENCE_S = 5.0
KILL_PATIENCE_S = 10.0
POLL_S = 0.02


def spawn(argv: Sequence[str], folder: Path, log: Path) -> int:
    """Start *argv* in a session of its own, marked as *folder*'s, and return its process id."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
    return os.posix_spawn(
        argv[0],
        list(argv),
        {**os.environ, MARK: str(folder)},
        file_actions=[
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            (os.POSIX_SPAWN_OPEN, 1, str(log), flags, 0o600),
            (os.POSIX_SPAWN_DUP2, 1, 2),
        ],
        setsid=True,
    )


def marked(folder: Path, proc: Path = Path("/proc")) -> Iterator[int]:
    """Find the living processes of the lab in *folder*; the caller itself is left out."""
    mark = f"{MARK}={folder}".encode()
    for path in proc.glob("[0-9]*/environ"):
        with suppress(OSError):  # it ended meanwhile
            if mark in path.read_bytes().split(b"\0") and int(path.parent.name) != os.getpid():
                yield int(path.parent.name)


def alive(pid: int, proc: Path = Path("/proc")) -> bool:
    """Say whether *pid* runs; one that ended and waits for its parent does not."""
    with suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)
    try:
        status = (proc / str(pid) / "stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
    return status.rpartition(")")[2].split()[0] not in {"Z", "X"}


def end_all(folder: Path) -> None:
    """End every process of the lab in *folder*, and wait until they are gone.

    Raises:
        HostFault: one outlives even SIGKILL.
    """
    for number, patience_s in (
        (signal.SIGTERM, TERM_PATIENCE_S),
        (signal.SIGKILL, KILL_PATIENCE_S),
    ):
        deadline = time.monotonic() + patience_s
        while found := list(marked(folder)):
            for pid in found:
                with suppress(ProcessLookupError):
                    os.kill(pid, number)
            if time.monotonic() > deadline:
                break
            if not wait_gone(found, deadline):
                break
    if rest := list(marked(folder)):
        raise HostFault(f"processes of the lab do not end: {', '.join(map(str, rest))}")


def wait_gone(pids: Sequence[int], deadline: float) -> bool:
    """Wait until none of *pids* runs; False when some still do at *deadline*."""
    while any(alive(pid) for pid in pids):
        if time.monotonic() > deadline:
            return False
        time.sleep(POLL_S)
    return True
