"""Bringing a database to this version's tables, step by step, in one transaction."""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError

from lanekeeper.domain.errors import Invalid
from lanekeeper.store.change_log import triggers_install
from lanekeeper.store.database import answering
from lanekeeper.store.engine import sqlite_path
from lanekeeper.store.kind import Kind, check_kind

# An arbitrary number that is Lanekeeper's; two controllers that start together take turns.
_LOCK = 0x4C4B_5343_4845_4D41


def upgrade(engine: sa.Engine, to: str = "head", *, kind: Kind | None = None) -> bool:
    """Run what is missing; whether anything was. *to* an earlier revision only for tests.

    Args:
        engine: of the database.
        to: the revision.
        kind: the program that is to work with it; None for a tool that works on either's.

    Raises:
        Invalid: the database was made by a later version than this, or belongs to another program.
        Unavailable: it cannot be reached, is none, or lets nobody in.
    """
    path = sqlite_path(engine.url)
    database = "the database" if path is None else f"the database {path}"
    with answering(f"{database} cannot be opened"), engine.begin() as connection:
        if connection.dialect.name == "postgresql":
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_LOCK)))
        before = MigrationContext.configure(connection).get_current_revision()
        script = _script(connection)
        newest = ScriptDirectory.from_config(script).get_current_head()
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


def head() -> str:
    """The newest revision that this version knows."""
    newest = ScriptDirectory.from_config(_script(None)).get_current_head()
    assert newest is not None, "there is a migration"
    return newest


def revision(connection: sa.Connection) -> str | None:
    """The revision that a database is at; None for one without Lanekeeper's tables."""
    return MigrationContext.configure(connection).get_current_revision()


def revisions() -> list[str]:
    """Every revision, the oldest first."""
    script = ScriptDirectory.from_config(_script(None))
    return [one.revision for one in reversed(list(script.walk_revisions()))]


def is_known(name: str) -> bool:
    """Whether this version can work with a database at that revision, if need be upgraded."""
    return name in revisions()


def _script(connection: sa.Connection | None) -> Config:
    script = Config()
    script.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    script.attributes["connection"] = connection
    return script
