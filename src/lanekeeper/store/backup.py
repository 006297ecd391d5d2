"""A SQLite database as a file: copied while it is written to, checked, put in another's place."""

from __future__ import annotations

import os
import secrets
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.parse import quote

from lanekeeper.domain.errors import Conflict, Invalid, Unavailable

_COMPANIONS = ("-wal", "-shm", "-journal")
_PROBLEMS_MAX = 10


def backup_write(source: Path, target: Path) -> None:
    """Copy the database at *source* to the new file *target*: whole, durable, mode 0600.

    A controller may work with it meanwhile and is not held up; the copy is of one moment.

    Raises:
        Conflict: *target* is there already.
        Unavailable: the source cannot be read, or the target not written.
        Invalid: the copy is damaged, hence the source is.
    """
    if not source.is_file():
        raise Unavailable(f"there is no database at {source}")
    if target.exists():
        raise _taken(target)
    with _fresh(target) as copy:
        _copy(source, copy)
        check_file(copy)
        try:
            os.link(copy, target)  # unlike a rename it takes nobody's place
        except FileExistsError as error:
            raise _taken(target) from error
    sync_directory(target.parent)


def copy_beside(source: Path, place: Path) -> Path:
    """Copy the database at *source* to a new file in the directory of *place*, durably.

    Raises:
        Unavailable: it cannot be read, or not written.
    """
    fresh = place.with_name(f".{place.name}.{secrets.token_hex(8)}")
    _create(fresh)
    try:
        _copy(source, fresh)
    except BaseException:
        discard(fresh)
        raise
    return fresh


def install(fresh: Path, place: Path, aside: Path) -> None:
    """Put *fresh* at *place*; what is there goes to *aside*, with its journal if it has one.

    Killed at any moment there is a whole database at *place*, the one or the other.
    """
    _settle(fresh)
    owner = (place if place.exists() else place.parent).stat()
    if os.geteuid() == 0:  # root runs tools; the controller has a user of its own
        os.chown(fresh, owner.st_uid, owner.st_gid)
    if place.exists():
        _absorb_journal(place)
        os.link(place, aside)
        for end in _COMPANIONS:
            companion = place.with_name(place.name + end)
            if companion.exists():  # it would be taken for the new one's
                companion.replace(aside.with_name(aside.name + end))
    fresh.replace(place)
    sync_directory(place.parent)


def check_file(path: Path) -> None:
    """Make sure that SQLite finds nothing wrong in a file.

    Raises:
        Unavailable: it is not there.
        Invalid: it is no database, or damaged; names what was found.
    """
    if not path.is_file():
        raise Unavailable(f"there is no file {path}")
    if found := integrity(path):
        raise Invalid(f"{path} is no sound SQLite database: {'; '.join(found)}")


def integrity(path: Path) -> list[str]:
    """What SQLite finds wrong in a file, which may be written to meanwhile; the first few."""
    try:
        with closing(_open(path)) as connection:
            found = [str(row[0]) for row in connection.execute("PRAGMA integrity_check")]
            if found != ["ok"]:
                return found[:_PROBLEMS_MAX]
            rows = connection.execute("PRAGMA foreign_key_check").fetchmany(_PROBLEMS_MAX)
            return [f"row {row[1]} of {row[0]} refers to no {row[2]}" for row in rows]
    except sqlite3.DatabaseError as error:
        return [str(error)]


def discard(path: Path) -> None:
    """Remove a database and its journals; what is not there is done."""
    for end in ("", *_COMPANIONS):
        path.with_name(path.name + end).unlink(missing_ok=True)


def sync_directory(path: Path) -> None:
    """Make names in *path* survive a power loss."""
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def _fresh(target: Path) -> Iterator[Path]:
    """A private file beside *target*, gone afterwards under this name."""
    copy = target.with_name(f".{target.name}.{secrets.token_hex(8)}")
    _create(copy)
    try:
        yield copy
    finally:
        discard(copy)


def _create(path: Path) -> None:
    try:
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    except OSError as error:
        raise Unavailable(f"{path.parent}: no file can be made there: {error.strerror}") from error


def _open(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"file:{quote(str(path))}?mode=ro", uri=True)


def _copy(source: Path, target: Path) -> None:
    try:
        with closing(_open(source)) as reader, closing(sqlite3.connect(target)) as writer:
            reader.backup(writer)
            # One file that is whole by itself, also on a medium that cannot be written.
            writer.execute("PRAGMA journal_mode = DELETE")
    except sqlite3.Error as error:
        raise Unavailable(f"{source} cannot be copied to {target.parent}: {error}") from error
    _sync(target)


def _settle(path: Path) -> None:
    """Have all of a database in its one file, on disk."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode = DELETE")
    _sync(path)


def _absorb_journal(path: Path) -> None:
    """Bring a database's journal into its file, if that can be read."""
    try:
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    except sqlite3.DatabaseError:
        return  # damaged: it is put aside as it is, journal and all


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _taken(target: Path) -> Conflict:
    return Conflict(f"{target} is there already", hint="name a new file; nothing is overwritten")
