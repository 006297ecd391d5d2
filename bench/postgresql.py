"""The tests' private PostgreSQL, but waiting for the disk as in production."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import postgres


@contextmanager
def postgresql() -> Iterator[postgres.PostgreSQL | None]:
    """Run a cluster for as long as the block lasts; None where PostgreSQL is not installed."""
    binaries = postgres.programs()
    if binaries is None:
        print("  PostgreSQL is not installed (Debian's package postgresql)")
        yield None
        return
    # Below /tmp: a socket's path is short, and PostgreSQL's user has to get there.
    directory = Path(tempfile.mkdtemp(prefix="lanekeeper-pg-", dir="/tmp"))
    try:
        cluster = postgres.start(directory, binaries, fsync=True)
        try:
            yield cluster
        finally:
            cluster.stop()
    finally:
        shutil.rmtree(directory)
