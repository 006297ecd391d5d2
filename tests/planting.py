"""All tables in an empty database, in a tenth of the time that it takes to make them one by one.

An SQLite file is copied. PostgreSQL is told in one go what ``create_all`` says once in many.
"""

from __future__ import annotations

import tempfile
from functools import cache
from pathlib import Path

import sqlalchemy as sa

from lanekeeper.store.database import Database
from lanekeeper.store.engine import parse_url, sqlite_path
from lanekeeper.store.schema import upgrade
from lanekeeper.store.tables import metadata

_SAID: list[str] = []
"""What makes the tables in PostgreSQL, once some test has had it made."""


def plant(database_url: str) -> None:
    """Make the tables, without a row in them; where they are there, they stay."""
    path = sqlite_path(parse_url(database_url))
    if path is not None and not path.exists():
        path.write_bytes(_file())
        return
    with Database(database_url) as database, database.engine.begin() as connection:
        if sa.inspect(connection).has_table("host"):
            return
        if path is not None:
            metadata.create_all(connection)
        elif _SAID:
            whole = connection.execution_options(no_parameters=True)
            whole.exec_driver_sql(";\n".join(_SAID))
        else:
            _SAID.extend(_made(connection))


@cache
def _file() -> bytes:
    with tempfile.TemporaryDirectory() as home:
        path = Path(home, "tables.db")
        with Database(f"sqlite:///{path}") as database:
            upgrade(database.engine)
        return path.read_bytes()


def _made(connection: sa.Connection) -> list[str]:
    """Make them by ``create_all``; returns what it said."""
    said: list[str] = []

    def listen(_: object, __: object, statement: str, *___: object) -> None:
        said.append(statement)

    sa.event.listen(connection, "before_cursor_execute", listen)
    metadata.create_all(connection, checkfirst=False)
    sa.event.remove(connection, "before_cursor_execute", listen)
    return said
