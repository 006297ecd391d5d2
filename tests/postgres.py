"""A private PostgreSQL for tests: its own directory, a Unix socket, no TCP, gone afterwards."""

from __future__ import annotations

import contextlib
import itertools
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

_READY_WITHIN_S = 30
_MISSING = "PostgreSQL is not installed (Debian's package postgresql)"
# Enough for several servers in one test; the memory is for tests, not for data.
_SETTINGS = {
    "listen_addresses": "",
    "max_connections": "200",
    "shared_buffers": "64MB",
    "unix_socket_permissions": "0700",
}
_CARELESS = {"fsync": "off", "full_page_writes": "off", "synchronous_commit": "off"}
_COPIES_BY_CHOICE = 150000
_MEMORY = Path("/dev/shm")
_ENOUGH_BYTES = 2**30  # some ten databases and a log that is not cut short


@dataclass(slots=True)
class PostgreSQL:
    """One running cluster. Databases come and go by name."""

    directory: Path
    process: subprocess.Popen[bytes]
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    def url(self, database: str) -> str:
        """Return the SQLAlchemy URL of *database*."""
        return f"postgresql+psycopg://lanekeeper@/{database}?host={self.directory}"

    def create(self, template: str = "template1") -> str:
        """Make a copy of *template*, to which nobody may be connected; return its name."""
        name = f"test_{next(self._numbers)}"
        made = sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(
            sql.Identifier(name), sql.Identifier(template)
        )
        with self._connect() as connection:
            if connection.info.server_version >= _COPIES_BY_CHOICE:
                # Older ones do so anyway; by way of the log it takes several times as long.
                made += sql.SQL(" STRATEGY FILE_COPY")
            connection.execute(made)
        return name

    def drop(self, database: str) -> None:
        """Remove *database*, whoever is still connected to it."""
        self.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(database)))

    def execute(self, statement: sql.Composed) -> None:
        with self._connect() as connection:
            connection.execute(statement)

    def deadlocks(self) -> int:
        """How often so far two transactions have waited for each other in a circle."""
        log = (self.directory / "log").read_text(errors="replace")
        return log.count("deadlock detected")

    def wait_until_ready(self) -> None:
        deadline = time.monotonic() + _READY_WITHIN_S
        while True:
            try:
                self._connect().close()
            except psycopg.OperationalError as error:
                if self.process.poll() is not None or time.monotonic() > deadline:
                    log = (self.directory / "log").read_text(errors="replace")
                    raise RuntimeError(f"PostgreSQL does not answer:\n{log}") from error
                time.sleep(0.05)
            else:
                return

    def _connect(self) -> psycopg.Connection:
        return psycopg.connect(
            dbname="postgres", user="lanekeeper", host=str(self.directory), autocommit=True
        )

    def pause(self) -> None:
        """Have all of its processes do nothing, not even refuse (SIGSTOP)."""
        self._signal_all(signal.SIGSTOP)

    def resume(self) -> None:
        self._signal_all(signal.SIGCONT)

    def kill(self) -> None:
        """End all of its processes at once, as a loss of power would."""
        self._signal_all(signal.SIGKILL)
        self.process.wait(10)

    def _signal_all(self, number: signal.Signals) -> None:
        """The postmaster first, so that it makes no new process meanwhile."""
        listed = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            self.process.send_signal(number)
            for child in listed.read_text().split():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(int(child), number)

    def stop(self) -> None:
        self.process.terminate()  # clients that are still there may finish
        try:
            self.process.wait(2)
        except subprocess.TimeoutExpired:
            self.process.send_signal(3)  # SIGQUIT: at once
            self.process.wait(10)


def programs() -> Path | None:
    """Return the directory of the newest installed ``initdb`` and ``postgres``, or None."""
    packaged = Path("/usr/lib/postgresql").glob("*/bin/initdb")
    if found := sorted(packaged, key=lambda path: float(path.parts[-3])):
        return found[-1].parent
    elsewhere = shutil.which("initdb")
    return Path(elsewhere).resolve().parent if elsewhere else None


def start(directory: Path, binaries: Path, *, fsync: bool) -> PostgreSQL:
    """Make a cluster in the empty *directory* and run it; returns when it answers."""
    make = [*_unprivileged(directory), str(binaries / "initdb"), "--no-sync"]
    subprocess.run(
        [*make, "--pgdata", str(directory / "data"), "--username=lanekeeper", "--auth=trust",
         "--encoding=UTF8", "--locale=C"],
        check=True,
        cwd=directory,
        stdout=subprocess.DEVNULL,
    )  # fmt: skip
    return run(directory, binaries, fsync=fsync)


def run(directory: Path, binaries: Path, *, fsync: bool) -> PostgreSQL:
    """Run the cluster that was made in *directory*; returns when it answers."""
    settings = {**_SETTINGS, **({} if fsync else _CARELESS)}
    options = [word for pair in settings.items() for word in ("-c", "=".join(pair))]
    program = [str(binaries / "postgres"), "-D", str(directory / "data"), "-k", str(directory)]
    with (directory / "log").open("ab") as log:
        process = subprocess.Popen(
            [*_unprivileged(directory), *program, *options],
            cwd=directory,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
    cluster = PostgreSQL(directory, process)
    cluster.wait_until_ready()
    return cluster


def _unprivileged(directory: Path) -> list[str]:
    """Return the words that run a program as nobody in particular: PostgreSQL refuses root.

    The cluster ends by itself when the test process is killed.
    """
    command = ["setpriv", "--pdeathsig", "INT"]
    if os.geteuid() != 0:
        return command
    user = pwd.getpwnam("nobody")
    os.chown(directory, user.pw_uid, user.pw_gid)
    return [*command, f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups"]


@contextlib.contextmanager
def private_directory(*, in_memory: bool = False) -> Iterator[Path]:
    """A directory for a cluster; skips the test where PostgreSQL is not installed.

    Args:
        in_memory: keep it there if there is room: databases that come and go keep a disk busy.
    """
    if programs() is None:
        pytest.skip(_MISSING)
    roomy = _MEMORY.is_dir() and shutil.disk_usage(_MEMORY).free > _ENOUGH_BYTES
    # Not below pytest's directory: a socket's path has at most 107 bytes.
    where = _MEMORY if in_memory and roomy else Path("/tmp")
    directory = Path(tempfile.mkdtemp(prefix="lanekeeper-pg-", dir=where))
    try:
        yield directory
    finally:
        shutil.rmtree(directory)


@pytest.fixture(scope="session")
def postgresql(pytestconfig: pytest.Config) -> Iterator[PostgreSQL]:
    """A running PostgreSQL, one for the whole session."""
    fsync = pytestconfig.getoption("--postgres-fsync")
    with private_directory(in_memory=not fsync) as directory:
        binaries = programs()
        assert binaries is not None
        cluster = start(directory, binaries, fsync=fsync)
        try:
            yield cluster
        finally:
            cluster.stop()


@dataclass(slots=True)
class Own:
    """A cluster of one test's own, which may be paused, killed and run again."""

    directory: Path
    binaries: Path
    cluster: PostgreSQL

    def again(self) -> None:
        """Run it again after ``kill``; it recovers what was committed."""
        (self.directory / "data" / "postmaster.pid").unlink(missing_ok=True)
        self.cluster = run(self.directory, self.binaries, fsync=True)


@pytest.fixture
def own_postgresql() -> Iterator[Own]:
    """A PostgreSQL that waits for the disk and that this test may ill-treat."""
    with private_directory() as directory:
        binaries = programs()
        assert binaries is not None
        own = Own(directory, binaries, start(directory, binaries, fsync=True))
        try:
            yield own
        finally:
            own.cluster.resume()
            own.cluster.stop()
