"""Locks that the kernel gives up when their holder dies, however it dies."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lanekeeper.domain.errors import Conflict
from lanekeeper.host.attribute import refusals

PATIENCE_S = 5.0
"""How long to wait for whoever has the lock for a moment, as the guardian of a change does."""

_LOCK = "lock"
_ASK_AGAIN_S = 0.02


@contextmanager
def locked(directory: Path, patience_s: float | None) -> Iterator[None]:
    """Keep every other change of this host out while inside; makes the directory.

    Args:
        directory: where the changes are.
        patience_s: how long to wait for whoever is at work; None is until it ends.

    Raises:
        Conflict: somebody else is changing this host.
        HostFault: the directory cannot be made or written.
    """
    with refusals(f"make {directory}"):
        directory.mkdir(parents=True, exist_ok=True)
    with refusals(f"write {directory / _LOCK}"):
        descriptor = _open(directory / _LOCK)
    try:
        _take(descriptor, patience_s)
        yield
    finally:
        os.close(descriptor)


def _take(descriptor: int, patience_s: float | None) -> None:
    if patience_s is None:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        return
    until = time.monotonic() + patience_s
    while not _try(descriptor):
        if time.monotonic() >= until:
            raise Conflict("another `lanekeeper host apply` or `rollback` is at work here")
        time.sleep(_ASK_AGAIN_S)


@contextmanager
def watching(path: Path) -> Iterator[None]:
    """Show by a lock on *path* that somebody watches, as long as inside. Raises HostFault."""
    with refusals(f"write {path}"):
        descriptor = _open(path)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        except OSError:
            os.close(descriptor)
            raise
    try:
        yield
    finally:
        path.unlink(missing_ok=True)
        os.close(descriptor)


def is_watched(path: Path) -> bool:
    """Return whether somebody is inside ``watching``. Raises HostFault."""
    if not path.exists():
        return False
    with refusals(f"read {path}"):
        descriptor = _open(path)
    try:
        return not _try(descriptor)
    finally:
        os.close(descriptor)


def _open(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)


def _try(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
