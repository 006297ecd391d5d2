"""A private PostgreSQL for tests: its own directory, a Unix socket, no TCP, gone afterwards.

Tests ask for ``database_url`` and run on SQLite and on PostgreSQL, each with an empty database.
"""

from __future__ import annotations

import itertools
import os
import pwd
import shutil
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
        self.execute(
            sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(
                sql.Identifier(name), sql.Identifier(template)
            )
        )
        return name

    def drop(self, database: str) -> None:
        """Remove *database*, whoever is still connected to it."""
        self.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(database)))

    def execute(self, statement: sql.Composed) -> None:
        with self._connect() as connection:
            connection.execute(statement)

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
    unprivileged = _unprivileged(directory)
    data = directory / "data"
    make = [*unprivileged, str(binaries / "initdb"), "--pgdata", str(data), "--no-sync"]
    subprocess.run(
        [*make, "--username=lanekeeper", "--auth=trust", "--encoding=UTF8", "--locale=C"],
        check=True,
        cwd=directory,
        stdout=subprocess.DEVNULL,
    )
    settings = {**_SETTINGS, **({} if fsync else _CARELESS)}
    options = [word for pair in settings.items() for word in ("-c", "=".join(pair))]
    with (directory / "log").open("wb") as log:
        process = subprocess.Popen(
            [*unprivileged, binaries / "postgres", "-D", data, "-k", directory, *options],
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


@pytest.fixture(scope="session")
def postgresql(pytestconfig: pytest.Config) -> Iterator[PostgreSQL]:
    """A running PostgreSQL, one for the whole session."""
    binaries = programs()
    if binaries is None:
        pytest.skip(_MISSING)
    # Not below pytest's directory: a socket's path has at most 107 bytes.
    directory = Path(tempfile.mkdtemp(prefix="lanekeeper-pg-", dir="/tmp"))
    try:
        cluster = start(directory, binaries, fsync=pytestconfig.getoption("--postgres-fsync"))
        try:
            yield cluster
        finally:
            cluster.stop()
    finally:
        shutil.rmtree(directory)


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of an empty database of this test's own, once of each kind."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/lanekeeper.db"
        return
    cluster: PostgreSQL = request.getfixturevalue("postgresql")
    name = cluster.create()
    yield cluster.url(name)
    cluster.drop(name)
