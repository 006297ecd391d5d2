"""The database: SQLite embedded, or PostgreSQL. Same code above; one way to read, one to write."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import TimeoutError as FutureTimeoutError
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Self, TypeVar

import sqlalchemy as sa
from sqlalchemy.exc import DatabaseError, DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from lanekeeper.domain.errors import Unavailable
from lanekeeper.store.engine import (
    WatchedFile,
    parse_url,
    postgresql_engine,
    postgresql_tool,
    sqlite_engines,
    sqlite_path,
    sqlite_reader,
)
from lanekeeper.store.outcome import is_undone, outcome_unknown, sqlstate
from lanekeeper.store.writer import Work, Writer

T = TypeVar("T")

# The last: as many connections as there may be are in use, and none came back in time.
_AWAY = (OperationalError, InterfaceError, PoolTimeoutError)
_RETRIES = 10
_RETRY_S = 0.01
_RETRY_S_MAX = 0.5
# PostgreSQL appendix A: serialization_failure and deadlock_detected; the transaction did nothing.
_NOT_ALLOWED = "42501"  # insufficient_privilege, there too
_AGAIN = frozenset({"40001", "40P01"})


_COMMITS: ContextVar[list[None] | None] = ContextVar("commits", default=None)


@contextmanager
def counting_commits() -> Iterator[Sequence[None]]:
    """Yield a list that has an item for each transaction that ``write`` commits in this context."""
    done: list[None] = []
    before = _COMMITS.set(done)
    try:
        yield done
    finally:
        _COMMITS.reset(before)


class Database:
    """Where durable state lives. Thread-safe; open one per process.

    Writers get READ COMMITTED on PostgreSQL and a serial order on SQLite, so every condition that
    matters is a guarded write: an UPDATE or INSERT whose row count decides.
    """

    def __init__(
        self,
        url: str,
        *,
        pool_size: int = 10,
        pool_wait_s: float = 10,
        answer_within_s: float = 10,
    ) -> None:
        """Open *url*; nothing is created yet.

        Args:
            url: as SQLAlchemy writes them.
            pool_size: connections that are kept open; a burst may open as many again.
            pool_wait_s: how long to wait for one of them before the database counts as away.
            answer_within_s: how long to wait for its answer.

        Raises:
            Invalid: not a SQLAlchemy URL of SQLite or PostgreSQL.
        """
        parsed = parse_url(url)
        self._answer_within_s = answer_within_s
        self._file: WatchedFile | None = None
        self._writer: Writer | None = None
        if parsed.get_backend_name() == "sqlite":
            path = sqlite_path(parsed)
            self._file = WatchedFile(path) if path is not None else None
            self._reader, self._engine = sqlite_engines(parsed, pool_size, pool_wait_s, self._file)
            self._tools = self._engine
            self._writer = Writer(self._engine, self._file)
        else:
            self._engine = postgresql_engine(parsed, pool_size, pool_wait_s, answer_within_s)
            # One snapshot for all that a reader selects, as SQLite gives it anyway.
            self._reader = self._engine.execution_options(isolation_level="REPEATABLE READ")
            self._tools = postgresql_tool(parsed)

    @property
    def engine(self) -> sa.Engine:
        """An engine for migrations and the tools that have the database alone; waits for ever."""
        return self._tools

    @contextmanager
    def read(self) -> Iterator[sa.Connection]:
        """One consistent view; never takes the write lock.

        Raises:
            Unavailable: the database cannot be reached.
        """
        with answering("the database cannot be read"):
            if self._file is not None:
                self._file.check()
            with self._reader.connect() as connection, connection.begin():
                yield connection

    def write(self, work: Work[T]) -> T:
        """Run *work* in one transaction and return what it returns, after COMMIT.

        *work* may run more than once (a lost race on PostgreSQL), so it has no effect but on its
        connection. What it raises undoes it and comes out here.

        Raises:
            Unavailable: the database cannot be reached; with code UNKNOWN, it was lost while it
                committed, and the change may have been made.
        """
        with answering("the database cannot be written"):
            done = self._submit(self._writer, work) if self._writer else self._write_again(work)
        commits = _COMMITS.get()
        if commits is not None:
            commits.append(None)
        return done

    def _submit(self, writer: Writer, work: Work[T]) -> T:
        future = writer.submit(work)
        try:
            return future.result(self._answer_within_s)
        except FutureTimeoutError as error:
            if future.done():
                raise  # the work's own
            if future.cancel():
                waited = f"{self._answer_within_s:g} s"
                raise Unavailable(
                    f"the database cannot be written: nobody had its turn for {waited}"
                ) from error
            raise outcome_unknown("no answer in time") from error

    def _write_again(self, work: Work[T]) -> T:
        """Try again what the server says it did not do; nothing else."""
        for attempt in range(_RETRIES):
            try:
                with self._engine.connect() as connection:
                    return _transact(connection, work)
            except DBAPIError as error:
                if sqlstate(error) not in _AGAIN or attempt == _RETRIES - 1:
                    raise
            # Rivals that met once must not meet again in step.
            time.sleep(random.uniform(0, min(_RETRY_S * 2**attempt, _RETRY_S_MAX)))  # noqa: S311
        raise AssertionError("unreachable")

    def close(self) -> None:
        """Finish what was submitted and let go of every connection.

        Raises:
            Unavailable: what was submitted does not come to an end.
        """
        try:
            if self._writer is not None:
                self._writer.close()
        finally:
            self._reader.dispose()
            self._engine.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


@contextmanager
def read_only(url: str) -> Iterator[sa.Connection]:
    """One consistent view of a database that others may be working with; nothing can be written.

    Raises:
        Invalid: not a SQLAlchemy URL of SQLite or PostgreSQL.
        Unavailable: it is not there, or cannot be read.
    """
    parsed = parse_url(url)
    path = sqlite_path(parsed)
    engine = sqlite_reader(path) if path else postgresql_tool(parsed, read_only=True)
    try:
        with engine.connect() as connection, connection.begin():
            yield connection
    except DBAPIError as error:
        raise Unavailable(f"the database cannot be read: {_reason(error)}") from error
    finally:
        engine.dispose()


def _transact(connection: sa.Connection, work: Work[T]) -> T:
    """Run *work* and commit.

    Raises:
        Unavailable: the connection was lost during COMMIT.
    """
    with connection.begin() as transaction:
        result = work(connection)
        try:
            transaction.commit()
        except DBAPIError as error:
            if is_undone(error):
                raise
            raise outcome_unknown(error.orig) from error
    return result


@contextmanager
def answering(complaint: str) -> Iterator[None]:
    """Turn what a database says that is away, broken or closed to us into *complaint* and why.

    Raises:
        Unavailable: instead of the driver's error.
    """
    try:
        yield
    except (*_AWAY, DatabaseError) as error:
        if not _is_away(error):
            raise
        raise Unavailable(f"{complaint}: {_reason(error)}") from error


def _is_away(error: Exception) -> bool:
    """Whether the database itself is unwell; a SQLite file that is damaged has no finer class."""
    if isinstance(error, _AWAY) or type(error) is DatabaseError:
        return True
    return isinstance(error, DBAPIError) and sqlstate(error) == _NOT_ALLOWED


def _reason(error: Exception) -> Any:
    """What the driver said, without the statement; the pool has no driver to quote."""
    return error.orig if isinstance(error, DBAPIError) else error
