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

# An arbitrary number that is Lanekeeper's; two controllers that start together take turns.
_LOCK = 0x4C4B_5343_4845_4D41


def upgrade(engine: sa.Engine) -> bool:
    """Run what is missing; whether anything was.

    Raises:
        Invalid: the database was made by a later version than this.
    """
    with engine.begin() as connection:
        if connection.dialect.name == "postgresql":
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_LOCK)))
        before = MigrationContext.configure(connection).get_current_revision()
        script = _script(connection)
        newest = ScriptDirectory.from_config(script).get_current_head()
        if before == newest:
            return False
        try:
            command.upgrade(script, "head")
        except CommandError as error:
            raise Invalid(
                f"the database is at revision {before}, which this version does not know",
                hint="run the version that made it, or a later one",
            ) from error
        # A migration that makes a table anew, as SQLite's do, loses its triggers.
        triggers_install(connection)
        return True


def _script(connection: sa.Connection) -> Config:
    script = Config()
    script.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    script.attributes["connection"] = connection
    return script
