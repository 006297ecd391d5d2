"""The database: SQLite embedded, or PostgreSQL. Same code above; one way to read, one to write."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Self, TypeVar

import msgspec
import sqlalchemy as sa
from sqlalchemy.exc import (
    ArgumentError,
    DatabaseError,
    DBAPIError,
    InterfaceError,
    OperationalError,
)
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.pool import ConnectionPoolEntry

from lanekeeper.domain.errors import Invalid, Unavailable
from lanekeeper.store.writer import Work, Writer

T = TypeVar("T")

_PRAGMAS = (
    "journal_mode = WAL",
    "synchronous = FULL",  # with WAL, NORMAL may lose acknowledged commits on power loss
    "foreign_keys = ON",
    "busy_timeout = 5000",  # milliseconds
)
_COMMON: dict[str, Any] = {
    "json_deserializer": msgspec.json.decode,
    "hide_parameters": True,  # an error's text goes to the log; parameters hold hashes and secrets
}
# The last: as many connections as there may be are in use, and none came back in time.
_AWAY = (OperationalError, InterfaceError, PoolTimeoutError)
_FAULTS = (DBAPIError, PoolTimeoutError)
_RETRIES = 10
# PostgreSQL appendix A: serialization_failure and deadlock_detected; the transaction did nothing.
_AGAIN = frozenset({"40001", "40P01"})


class Database:
    """Where durable state lives. Thread-safe; open one per process.

    Writers get READ COMMITTED on PostgreSQL and a serial order on SQLite, so every condition that
    matters is a guarded write: an UPDATE or INSERT whose row count decides.
    """

    def __init__(self, url: str, *, pool_size: int = 10, pool_wait_s: float = 30) -> None:
        """Open *url*; nothing is created yet.

        Args:
            url: as SQLAlchemy writes them.
            pool_size: connections that are kept open; a burst may open as many again.
            pool_wait_s: how long to wait for one of them before the database counts as away.

        Raises:
            Invalid: not a SQLAlchemy URL of SQLite or PostgreSQL.
        """
        try:
            parsed = sa.make_url(url)
        except ArgumentError as error:
            raise Invalid(f"database URL {url!r} is not one: {error}") from error
        if parsed.get_backend_name() == "sqlite":
            self._reader, self._engine = _sqlite(parsed, pool_size, pool_wait_s)
            self._writer: Writer | None = Writer(self._engine)
        elif parsed.get_backend_name() == "postgresql":
            parsed = parsed.set(drivername="postgresql+psycopg")
            self._engine = _postgresql(parsed, pool_size, pool_wait_s)
            # One snapshot for all that a reader selects, as SQLite gives it anyway.
            self._reader = self._engine.execution_options(isolation_level="REPEATABLE READ")
            self._writer = None
        else:
            raise Invalid(
                f"database {parsed.get_backend_name()!r} is not supported",
                hint="use sqlite:///PATH or postgresql://…",
            )

    @property
    def engine(self) -> sa.Engine:
        """The engine that writes; for migrations and the tools that have the database alone."""
        return self._engine

    @contextmanager
    def read(self) -> Iterator[sa.Connection]:
        """One consistent view; never takes the write lock.

        Raises:
            Unavailable: the database cannot be reached.
        """
        try:
            with self._reader.connect() as connection, connection.begin():
                yield connection
        except _FAULTS as error:
            if not _is_away(error):
                raise
            raise Unavailable(f"the database cannot be read: {_reason(error)}") from error

    def write(self, work: Work[T]) -> T:
        """Run *work* in one transaction and return what it returns, after COMMIT.

        *work* may run more than once (a lost race on PostgreSQL), so it has no effect but on its
        connection. What it raises undoes it and comes out here.

        Raises:
            Unavailable: the database cannot be reached.
        """
        try:
            if self._writer is not None:
                return self._writer.submit(work).result()
            return self._write_again(work)
        except _FAULTS as error:
            if not _is_away(error):
                raise
            raise Unavailable(f"the database cannot be written: {_reason(error)}") from error

    def _write_again(self, work: Work[T]) -> T:
        for attempt in range(_RETRIES):
            try:
                with self._engine.begin() as connection:
                    return work(connection)
            except DBAPIError as error:
                state = getattr(error.orig, "sqlstate", None)
                if state not in _AGAIN or attempt == _RETRIES - 1:
                    raise
        raise AssertionError("unreachable")

    def close(self) -> None:
        """Finish what was submitted and let go of every connection."""
        if self._writer is not None:
            self._writer.close()
        self._reader.dispose()
        self._engine.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _is_away(error: Exception) -> bool:
    """Whether the database is at fault, not the statement.

    SQLite says of a file that is damaged, or none of its own, DatabaseError and nothing closer.
    """
    return isinstance(error, _AWAY) or type(error) is DatabaseError


def _reason(error: Exception) -> object:
    """What the driver said, without the statement; the pool has no driver to quote."""
    return error.orig if isinstance(error, DBAPIError) else error


def _sqlite(url: sa.URL, pool_size: int, pool_wait_s: float) -> tuple[sa.Engine, sa.Engine]:
    """Return a reading and a writing engine; the reader can never take the write lock."""
    writer = sa.create_engine(url, pool_size=2, **_COMMON)
    in_memory = url.database in (None, "", ":memory:")  # there each thread has one of its own
    bounds = {} if in_memory else {"max_overflow": pool_size, "pool_timeout": pool_wait_s}
    reader = sa.create_engine(url, pool_size=pool_size, **bounds, **_COMMON)

    @sa.event.listens_for(writer, "connect")
    @sa.event.listens_for(reader, "connect")
    def configure(connection: sqlite3.Connection, _: ConnectionPoolEntry) -> None:
        connection.isolation_level = None  # SQLAlchemy, not sqlite3, says BEGIN
        for pragma in _PRAGMAS:
            connection.execute(f"PRAGMA {pragma}")

    @sa.event.listens_for(reader, "connect")
    def read_only(connection: sqlite3.Connection, _: ConnectionPoolEntry) -> None:
        connection.execute("PRAGMA query_only = ON")

    @sa.event.listens_for(writer, "begin")
    def begin(connection: sa.Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    @sa.event.listens_for(reader, "begin")
    def begin_deferred(connection: sa.Connection) -> None:
        connection.exec_driver_sql("BEGIN")

    return reader, writer


def _postgresql(url: sa.URL, pool_size: int, pool_wait_s: float) -> sa.Engine:
    return sa.create_engine(
        url,
        pool_size=pool_size,
        max_overflow=pool_size,
        pool_timeout=pool_wait_s,
        pool_pre_ping=True,
        isolation_level="READ COMMITTED",
        **_COMMON,
        connect_args={"options": "-c idle_in_transaction_session_timeout=60000"},
    )
