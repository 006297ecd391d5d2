"""Two guarded writes that every noun needs; the row count decides, no lock does."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import IntegrityError

from lanekeeper.domain.errors import Conflict, Stale

GONE = "lanekeeper.reference.gone"
STALE = "RevisionNumberConstraintFailed"


def row_insert_new(connection: sa.Connection, table: sa.Table, values: Mapping[str, Any]) -> bool:
    """Insert a row unless one of its unique keys is taken; returns whether it was inserted.

    On PostgreSQL this waits for a rival that has inserted the same key and not yet committed.

    Raises:
        Conflict: what the row refers to was deleted meanwhile; the transaction must be left.
    """
    insert: Any = postgresql if connection.dialect.name == "postgresql" else sqlite
    statement = insert.insert(table).values(**values).on_conflict_do_nothing()
    # SQLAlchemy promises the row count of UPDATE and DELETE, not of INSERT.
    told = statement.returning(*table.primary_key)
    try:
        return connection.execute(told).first() is not None
    except IntegrityError as error:
        raise Conflict(f"what the {table.name} belongs to was just deleted", code=GONE) from error


def row_update(
    connection: sa.Connection,
    table: sa.Table,
    row_id: str,
    values: Mapping[str, Any],
    *,
    now: datetime,
    revision: int | None = None,
) -> bool:
    """Change a row that has a revision, which grows by one; returns whether the row is there.

    Raises:
        Stale: *revision* was named and is not the row's; code RevisionNumberConstraintFailed.
    """
    condition = table.c.id == row_id
    guarded = condition if revision is None else condition & (table.c.revision == revision)
    done = connection.execute(
        table.update()
        .where(guarded)
        .values(**values, updated_at=now, revision=table.c.revision + 1)
    )
    if done.rowcount == 1:
        return True
    check_revision(connection, table, row_id, revision)
    return False


def row_change_list(
    connection: sa.Connection,
    table: sa.Table,
    row_id: str,
    column: str,
    change: Callable[[list[Any]], list[Any]],
    *,
    now: datetime,
) -> bool:
    """Replace a list in JSON by what *change* makes of it; returns whether the row is there.

    The first write holds the row until the commit, so no rival reads what is about to change.
    """
    if not row_update(connection, table, row_id, {}, now=now):
        return False
    mine = table.c.id == row_id
    present = connection.execute(sa.select(table.c[column]).where(mine)).scalar_one()
    changed = table.update().where(mine).values({column: change(list(present))})
    connection.execute(changed)
    return True


def check_revision(
    connection: sa.Connection, table: sa.Table, row_id: str, revision: int | None
) -> None:
    """Refuse when *revision* is named and the row has another.

    Raises:
        Stale: see ``row_update``.
    """
    if revision is None:
        return
    current = connection.scalar(sa.select(table.c.revision).where(table.c.id == row_id))
    if current is not None and current != revision:
        raise Stale(
            f"If-Match asks for revision {revision}, but {table.name} {row_id} is at {current}",
            hint="read it again",
            code=STALE,
        )
