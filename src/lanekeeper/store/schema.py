"""Bringing a database to this version's tables, step by step, in one transaction."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy.exc import DBAPIError

from lanekeeper.domain.errors import Invalid, Unavailable
from lanekeeper.store.change_log import triggers_install
from lanekeeper.store.database import answering
from lanekeeper.store.engine import sqlite_path
from lanekeeper.store.kind import Kind, check_kind
from lanekeeper.store.outcome import sqlstate

# An arbitrary number that is Lanekeeper's; two controllers that start together take turns.
_LOCK = 0x4C4B_5343_4845_4D41
_TURN_S = 60
"""How long to wait for whoever has the lock, or a table that a migration changes."""
_LOCK_NOT_AVAILABLE = "55P03"  # PostgreSQL's manual, appendix A


def upgrade(
    engine: sa.Engine, to: str = "head", *, kind: Kind | None = None, turn_s: float = _TURN_S
) -> bool:
    """Run what is missing; whether anything was. *to* an earlier revision only for tests.

    Args:
        engine: of the database.
        to: the revision.
        kind: the program that is to work with it; None for a tool that works on either's.
        turn_s: how long to wait while another program brings it to a version.

    Raises:
        Invalid: the database was made by a later version than this, or belongs to another program.
        Unavailable: it cannot be reached, is none, or lets nobody in; another program was at it all
            that time. Nothing was changed.
    """
    path = sqlite_path(engine.url)
    database = "the database" if path is None else f"the database {path}"
    with answering(f"{database} cannot be opened"), engine.begin() as connection:
        if connection.dialect.name == "postgresql":
            _take_turn(connection, turn_s)
        before = MigrationContext.configure(connection).get_current_revision()
        script = _script(connection)
        newest = head()
        if kind is not None:
            check_kind(connection, kind, ours=before is not None and is_known(before))
        if before == newest:
            return False
        try:
            command.upgrade(script, to)
        except CommandError as error:
            raise Invalid(
                f"the database is at revision {before}, which this version does not know",
                hint="run the version that made it, or a later one",
            ) from error
        if revision(connection) == newest:
            # A migration that makes a table anew, as SQLite's do, loses its triggers.
            triggers_install(connection)
        return True


def _take_turn(connection: sa.Connection, turn_s: float) -> None:
    """Have other programs wait that want to bring the database to a version.

    Raises:
        Unavailable: another one has not ended after *turn_s*.
    """
    milliseconds = str(max(round(turn_s * 1000), 1))
    # For this transaction alone; what a migration has to wait for is bounded with it.
    connection.execute(sa.select(sa.func.set_config("lock_timeout", milliseconds, True)))
    try:
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_LOCK)))
    except DBAPIError as error:
        if sqlstate(error) != _LOCK_NOT_AVAILABLE:
            raise
        raise Unavailable(
            f"another program has been bringing the database to a version for {turn_s:g} s",
            hint="wait until it is done, or end it (pg_locks, locktype advisory, names its "
            "session), and start again; nothing was changed",
        ) from error


def head() -> str:
    """The newest revision that this version knows."""
    return _known()[-1]


def revision(connection: sa.Connection) -> str | None:
    """The revision that a database is at; None for one without Lanekeeper's tables."""
    return MigrationContext.configure(connection).get_current_revision()


def revisions() -> list[str]:
    """Every revision, the oldest first."""
    return list(_known())


@cache
def _known() -> tuple[str, ...]:
    """Every migration is loaded to find its predecessor: once is enough."""
    script = ScriptDirectory.from_config(_script(None))
    return tuple(one.revision for one in reversed(list(script.walk_revisions())))


def is_known(name: str) -> bool:
    """Whether this version can work with a database at that revision, if need be upgraded."""
    return name in revisions()


def _script(connection: sa.Connection | None) -> Config:
    script = Config()
    script.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    script.attributes["connection"] = connection
    return script
