"""Which database a tool works on: options, its URL, and that no controller works with it."""

from __future__ import annotations

import argparse
import fcntl
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import sqlalchemy as sa

from lanekeeper.cli.state_dir import CONTROLLER as CONTROLLER_HOME
from lanekeeper.config.file import read_text
from lanekeeper.domain.errors import Conflict, Invalid, Unavailable
from lanekeeper.store.database import read_only
from lanekeeper.store.engine import CONTROLLER, parse_url, sqlite_path
from lanekeeper.store.kind import Kind
from lanekeeper.store.schema import head, is_known, revision

FILE_NAME = "lanekeeper.db"
PLACEMENT_FILE_NAME = "placement.db"
KIND_OF_FILE = {FILE_NAME: Kind.CONTROLLER, PLACEMENT_FILE_NAME: Kind.PLACEMENT}


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add ``--state-dir`` and ``--database-url-file``, as controller and Placement have them."""
    parser.add_argument(
        "--state-dir",
        type=Path,
        help=f"the controller's ({CONTROLLER_HOME.path}), or that of lanekeeper placement; its "
        "database unless a URL is given",
    )
    parser.add_argument(
        "--database-url-file", type=Path, metavar="FILE", help="file that holds the database's URL"
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A controller's directory, and where its database is."""

    state_dir: Path
    url: str

    @property
    def parsed(self) -> sa.URL:
        return parse_url(self.url)

    @property
    def file(self) -> Path | None:
        """SQLite's file; None for PostgreSQL."""
        return sqlite_path(self.parsed)


def place_of(arguments: argparse.Namespace) -> Place:
    """Read the options.

    Raises:
        Invalid: the file with the URL cannot be read, or holds none; or no directory is named, and
            the controller's is where the default was before.
    """
    state_dir = CONTROLLER_HOME.chosen(arguments.state_dir)
    path = arguments.database_url_file
    if path is None:
        names = (FILE_NAME, PLACEMENT_FILE_NAME)
        name = next((name for name in names if (state_dir / name).exists()), FILE_NAME)
        return Place(state_dir=state_dir, url=f"sqlite:///{state_dir / name}")
    place = Place(state_dir=state_dir, url=read_url(path))
    assert place.parsed
    return place


def read_url(path: Path) -> str:
    """Read a file that holds a database's URL.

    Raises:
        Invalid: it cannot be read.
    """
    url = read_text(path).strip()
    if not url:
        raise Invalid(f"database URL file {path} is empty", hint="it holds one line, the URL")
    return url


def file_kind(path: Path) -> str:
    """Which program a SQLite file is the database of; empty when it is none of ours, or damaged.

    A controller has users from its first start on, Placement alone never has.
    """
    try:
        with closing(sqlite3.connect(f"file:{quote(str(path))}?mode=ro", uri=True)) as connection:
            user = connection.execute('SELECT 1 FROM "user" LIMIT 1').fetchone()
    except sqlite3.DatabaseError:
        return ""  # what is wrong with it is said elsewhere
    return Kind.CONTROLLER if user else Kind.PLACEMENT


@contextmanager
def reading(place: Place) -> Iterator[sa.Connection]:
    """One view of a database that has this version's tables; nothing can be written.

    Raises:
        Unavailable: it is not there, cannot be read, or has another version's tables.
    """
    with read_only(place.url) as connection:
        check_revision(connection)
        yield connection


def check_revision(connection: sa.Connection) -> None:
    """Make sure that the tables are this version's.

    Raises:
        Unavailable: they are not; says what would help.
    """
    there, newest = revision(connection), head()
    if there is None:
        raise Unavailable(
            "the database has no tables of Lanekeeper's", hint="a controller's first start fills it"
        )
    if not is_known(there):
        raise Unavailable(
            f"the database is at revision {there}, which this version does not know",
            hint="use the version that made it, or a later one",
        )
    if there != newest:
        raise Unavailable(
            f"the database is at revision {there}, and this version works with {newest}",
            hint="stop the controller, then: lanekeeper db upgrade (a start does it, too)",
        )


@contextmanager
def alone(place: Place) -> Iterator[None]:
    """Keep controllers away from the database for as long as the block lasts.

    Raises:
        Conflict: one works with it.
        Unavailable: PostgreSQL cannot be asked.
    """
    handle = _lock(place.state_dir)
    try:
        if place.file is None:
            _check_nobody(place)
        elif place.file.is_file():
            _check_closed(place.file)
        yield
    finally:
        if handle is not None:
            os.close(handle)


def _lock(state_dir: Path) -> int | None:
    """Take the lock of the controller's own directory; None where there is no such directory."""
    if not state_dir.is_dir():
        return None
    handle = os.open(state_dir / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    _give_to_owner(state_dir, handle)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(handle)
        raise _in_use(f"a controller works with {state_dir}") from error
    return handle


def _give_to_owner(directory: Path, handle: int) -> None:
    """Root, who may run a tool, leaves nothing behind that the controller could not open."""
    if os.geteuid() == 0:
        owner = directory.stat()
        os.fchown(handle, owner.st_uid, owner.st_gid)


def _check_closed(file: Path) -> None:
    """SQLite leaves its write-ahead mode only while nobody else has the file open."""
    try:
        with closing(sqlite3.connect(file, timeout=0, isolation_level=None)) as connection:
            connection.execute("PRAGMA journal_mode = DELETE").fetchone()
            connection.execute("PRAGMA journal_mode = WAL").fetchone()
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            raise _in_use(f"somebody has {file} open") from error
        raise Unavailable(f"{file} cannot be opened: {error}") from error
    except sqlite3.DatabaseError:
        return  # damaged: nobody works with it, and restoring it must be possible


def _check_nobody(place: Place) -> None:
    asked = sa.text("SELECT count(*) FROM pg_stat_activity WHERE application_name = :name "
                    "AND datname = current_database()")  # fmt: skip
    with read_only(place.url) as connection:
        if connection.execute(asked, {"name": CONTROLLER}).scalar_one():
            raise _in_use(f"a controller is connected to database {place.parsed.database}")


def _in_use(what: str) -> Conflict:
    return Conflict(what, hint="stop the controller first; guests run on meanwhile")
