"""How SQLite and PostgreSQL are connected to, and how long each is waited for."""

from __future__ import annotations

import select
import sqlite3
from difflib import get_close_matches
from pathlib import Path
from typing import Any, ClassVar, TypeVar
from urllib.parse import quote

import psycopg
import sqlalchemy as sa
from psycopg.abc import PQGen
from sqlalchemy.engine import Dialect
from sqlalchemy.exc import ArgumentError, InvalidatePoolError
from sqlalchemy.pool import ConnectionPoolEntry, NullPool

from lanekeeper.clock import monotonic
from lanekeeper.domain import typed
from lanekeeper.domain.errors import Invalid, Unavailable

RV = TypeVar("RV")

_URLS = "sqlite:////PATH, or postgresql://USER:PASSWORD@HOST/NAME in a file"

CONTROLLER = "lanekeeper-controller"
"""Under which name PostgreSQL lists the connections of a controller that serves."""
TOOL = "lanekeeper-tool"
_USED = "lanekeeper.used"
"""When a connection was given back to the pool."""
_BELIEVED_S = 1.0
"""For how long a connection that worked is not asked again, while nothing is heard of its end."""
BUSY_S = 3.0
"""How long another process's lock on a SQLite file is waited for."""
_PRAGMAS = (
    "journal_mode = WAL",
    "synchronous = FULL",  # with WAL, NORMAL may lose acknowledged commits on power loss
    "foreign_keys = ON",
    f"busy_timeout = {BUSY_S * 1000:.0f}",
)
_COMMON: dict[str, Any] = {
    "json_deserializer": typed.decode,
    "hide_parameters": True,  # an error's text goes to the log; parameters hold hashes and secrets
}
# A peer that vanished without a word is noticed after 10 + 3 * 5 s, also where nothing is sent.
_CONNECT: dict[str, Any] = {
    "connect_timeout": 5,
    "keepalives": 1,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
}


def parse_url(url: str) -> sa.URL:
    """Read what names a database.

    Raises:
        Invalid: not a SQLAlchemy URL of SQLite or PostgreSQL.
    """
    try:
        parsed = sa.make_url(url)
    except (ArgumentError, ValueError) as error:
        shown = "" if "@" in url else f" {url!r}"  # it may hold a password
        raise Invalid(f"the database URL{shown} is not one", hint=_URLS) from error
    if parsed.get_backend_name() not in ("sqlite", "postgresql"):
        raise Invalid(f"database {parsed.get_backend_name()!r} is not supported", hint=_URLS)
    if parsed.get_backend_name() == "postgresql":
        _check_options(parsed)
        parsed = parsed.set(drivername="postgresql+psycopg")
    return parsed


def _check_options(url: sa.URL) -> None:
    """Raises Invalid for what stands behind the question mark and is no option of libpq's."""
    known = {one.keyword.decode() for one in psycopg.pq.Conninfo.get_defaults()}
    for name in url.query:
        if name not in known:
            near = get_close_matches(name, known, n=1)
            raise Invalid(
                f"the database URL has the option {name!r}, which is none of PostgreSQL's",
                hint=f"did you mean {near[0]}?" if near else "host, port and sslmode are some",
            )


def sqlite_path(url: sa.URL) -> Path | None:
    """The file of a SQLite URL; None for one in memory, and for PostgreSQL."""
    if url.get_backend_name() != "sqlite" or url.database in (None, "", ":memory:"):
        return None
    return Path(str(url.database)).absolute()


class WatchedFile:
    """A SQLite file that is open, and whether its name still leads to it.

    Linux lets a process write on into a file that somebody has removed: commits would succeed, be
    answered, and be gone with the process.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._wal = path.with_name(f"{path.name}-wal")
        self._identity: tuple[int, int] | None = None

    def opened(self) -> None:
        """Note which file it is; later calls change nothing."""
        if self._identity is None:
            self._identity = self._look()

    def check(self, *, written: bool = False) -> None:
        """Make sure that it is still there; *written*: its journal, too.

        Raises:
            Unavailable: it was removed or replaced.
        """
        if self._identity is None:
            return
        if self._look() != self._identity or (written and not self._wal.exists()):
            raise Unavailable(
                f"the database file {self._path} was removed or replaced while it was open",
                hint="stop the controller and put the file, or a backup of it, back",
            )

    def _look(self) -> tuple[int, int] | None:
        try:
            found = self._path.stat()
        except OSError:
            return None
        return found.st_dev, found.st_ino


def sqlite_engines(
    url: sa.URL, pool_size: int, pool_wait_s: float, file: WatchedFile | None
) -> tuple[sa.Engine, sa.Engine]:
    """Return a reading and a writing engine; the reader can never take the write lock."""
    writer = sa.create_engine(url, pool_size=2, **_COMMON)
    # In memory each thread has a connection of its own.
    bounds = {"max_overflow": pool_size, "pool_timeout": pool_wait_s} if file else {}
    reader = sa.create_engine(url, pool_size=pool_size, **bounds, **_COMMON)

    @sa.event.listens_for(writer, "connect")
    @sa.event.listens_for(reader, "connect")
    def configure(connection: sqlite3.Connection, _: ConnectionPoolEntry) -> None:
        connection.isolation_level = None  # SQLAlchemy, not sqlite3, says BEGIN
        for pragma in _PRAGMAS:
            connection.execute(f"PRAGMA {pragma}")
        if file is not None:
            file.opened()

    @sa.event.listens_for(writer, "begin")
    def begin(connection: sa.Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    _begin_deferred(reader)
    return reader, writer


def sqlite_reader(path: Path) -> sa.Engine:
    """An engine that cannot write and makes no file.

    Raises:
        Unavailable: there is no such file.
    """
    if not path.is_file():
        raise Unavailable(
            f"there is no database at {path}",
            hint="name its directory with --state-dir, or its URL with --database-url-file",
        )
    source = f"file:{quote(str(path))}?mode=ro"
    engine = sa.create_engine(
        "sqlite://",
        creator=lambda: sqlite3.connect(source, uri=True, timeout=BUSY_S, check_same_thread=False),
        poolclass=NullPool,
        **_COMMON,
    )
    _begin_deferred(engine)
    return engine


def _begin_deferred(engine: sa.Engine) -> None:
    @sa.event.listens_for(engine, "connect")
    def read_only(connection: sqlite3.Connection, _: ConnectionPoolEntry) -> None:
        connection.isolation_level = None
        connection.execute("PRAGMA query_only = ON")

    @sa.event.listens_for(engine, "begin")
    def begin(connection: sa.Connection) -> None:
        connection.exec_driver_sql("BEGIN")


def postgresql_engine(
    url: sa.URL, pool_size: int, pool_wait_s: float, answer_within_s: float
) -> sa.Engine:
    """An engine whose every statement ends, well or not, within *answer_within_s*.

    The server is told to give up a lock after half of that and a statement after three quarters,
    so that it says why; a server that says nothing at all is given up by the client.
    """
    milliseconds = answer_within_s * 1000
    bounds = {
        "idle_in_transaction_session_timeout": 60_000,
        "lock_timeout": round(milliseconds / 2),
        "statement_timeout": round(milliseconds * 3 / 4),
    }
    engine = sa.create_engine(
        url,
        pool_size=pool_size,
        max_overflow=pool_size,
        pool_timeout=pool_wait_s,
        isolation_level="READ COMMITTED",
        connect_args=_arguments(CONTROLLER, bounds),
        **_COMMON,
    )

    class Bounded(Impatient):
        patience_s = answer_within_s

    @sa.event.listens_for(engine, "do_connect")
    def connect(
        dialect: Dialect, record: ConnectionPoolEntry, where: list[Any], options: dict[str, Any]
    ) -> psycopg.Connection[Any]:
        return Bounded.connect(*where, **options)

    @sa.event.listens_for(engine, "checkin")
    def given_back(_: object, record: ConnectionPoolEntry) -> None:
        record.info[_USED] = monotonic()

    @sa.event.listens_for(engine, "checkout")
    def taken(connection: psycopg.Connection[Any], record: ConnectionPoolEntry, _: object) -> None:
        _check_alive(engine.dialect, connection, record.info.get(_USED))

    return engine


def _check_alive(dialect: Dialect, connection: Any, used_s: float | None) -> None:
    """Ask the server whether it is there, unless that is known for free.

    A connection that worked a moment ago, and on which nothing is heard since, is alive: its end
    would be something to read. *used_s* is None for one that was made just now.

    Raises:
        InvalidatePoolError: it is not; the pool then connects anew.
    """
    if used_s is None:
        return
    try:
        is_recent = monotonic() - used_s < _BELIEVED_S
        if not is_recent or _has_something_to_read(connection):
            dialect.do_ping(connection)
    except psycopg.Error as error:
        raise InvalidatePoolError(str(error)) from error


def _has_something_to_read(connection: psycopg.Connection[Any]) -> bool:
    poll = select.poll()
    poll.register(connection.fileno(), select.POLLIN)
    return bool(poll.poll(0))


def postgresql_tool(url: sa.URL, *, read_only: bool = False) -> sa.Engine:
    """An engine for a tool that may take its time: migrations, checks."""
    bounds = {"idle_in_transaction_session_timeout": 60_000}
    if read_only:
        bounds["default_transaction_read_only"] = 1
    return sa.create_engine(
        url,
        poolclass=NullPool,
        isolation_level="REPEATABLE READ" if read_only else "READ COMMITTED",
        connect_args=_arguments(TOOL, bounds),
        **_COMMON,
    )


def _arguments(name: str, settings: dict[str, int]) -> dict[str, Any]:
    options = " ".join(f"-c {key}={value}" for key, value in settings.items())
    return {**_CONNECT, "application_name": name, "options": options}


class Impatient(psycopg.Connection[Any]):
    """A connection that is closed when its server does not answer in time."""

    patience_s: ClassVar[float]

    def wait(self, gen: PQGen[RV], interval: float = 0.1, timeout: float | None = None) -> RV:
        try:
            return super().wait(gen, interval, timeout or self.patience_s)
        except psycopg.OperationalError:
            if self.pgconn.transaction_status == psycopg.pq.TransactionStatus.ACTIVE:
                self.pgconn.finish()  # in the middle of a statement: it is of no use any more
            raise
