"""Who holds something: one row for each, as long as it does."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from lanekeeper.store.batch import batches
from lanekeeper.store.tables import consumer, server


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsumerRow:
    """Who holds something.

    Attributes:
        kind: consumer type, None where no client has ever said.
    """

    id: str
    project_id: str
    user_id: str
    kind: str | None
    generation: int
    updated_at: datetime

    def columns(self) -> dict[str, Any]:
        values = {name: getattr(self, name) for name in self.__slots__}
        return {"type" if name == "kind" else name: value for name, value in values.items()}


_CONSUMER_INSERT = consumer.insert()
_CONSUMER = (
    consumer.c.id,
    consumer.c.project_id,
    consumer.c.user_id,
    consumer.c.type.label("kind"),
    consumer.c.generation,
    consumer.c.updated_at,
)
_NOBODY = sa.select(sa.literal(1).label("one")).subquery("nobody")
_SOUGHT = sa.bindparam("id", type_=sa.Text)
CONSUMER_SEEK = (
    sa.select(
        sa.select(server.c.name).where(server.c.id == _SOUGHT).scalar_subquery().label("server"),
        *_CONSUMER,
    )
    .select_from(_NOBODY)
    .outerjoin(consumer, consumer.c.id == _SOUGHT)
)


def consumer_seek(
    connection: sa.Connection, consumer_id: str
) -> tuple[str | None, ConsumerRow | None]:
    """Return the name of the server that it is, if it is one, and its row if it holds something."""
    found = connection.execute(CONSUMER_SEEK, {"id": consumer_id}).one()
    server_name, *columns = found
    if columns[0] is None:
        return server_name, None
    names = ("id", "project_id", "user_id", "kind", "generation", "updated_at")
    return server_name, ConsumerRow(**dict(zip(names, columns, strict=True)))


def consumers_find(
    connection: sa.Connection, consumer_ids: Collection[str]
) -> dict[str, ConsumerRow]:
    """Return those of *consumer_ids* that hold something."""
    found: dict[str, ConsumerRow] = {}
    for batch in batches(consumer_ids):
        rows = connection.execute(sa.select(*_CONSUMER).where(consumer.c.id.in_(batch)))
        found |= {row["id"]: ConsumerRow(**row) for row in rows.mappings()}
    return found


def servers_among(connection: sa.Connection, consumer_ids: Collection[str]) -> dict[str, str]:
    """Return the names of those consumers that are servers of this controller, by id."""
    names: dict[str, str] = {}
    for batch in batches(consumer_ids):
        rows = connection.execute(
            sa.select(server.c.id, server.c.name).where(server.c.id.in_(batch))
        )
        names |= {row.id: row.name for row in rows}
    return names


def consumer_put(
    connection: sa.Connection,
    consumer_id: str,
    *,
    project_id: str,
    user_id: str,
    kind: str | None,
    now: datetime,
) -> None:
    """Make the consumer row of something that holds devices or amounts; generation 1."""
    made = ConsumerRow(
        id=consumer_id,
        project_id=project_id,
        user_id=user_id,
        kind=kind,
        generation=1,
        updated_at=now,
    )
    connection.execute(_CONSUMER_INSERT, made.columns())


def consumer_change(
    connection: sa.Connection,
    row: ConsumerRow,
    *,
    project_id: str,
    user_id: str,
    kind: str | None,
    now: datetime,
) -> bool:
    """Move a consumer's generation on from what was read; whether it still was that.

    Whoever has done this holds the consumer until the commit.
    """
    changed = connection.execute(
        consumer.update()
        .where(consumer.c.id == row.id, consumer.c.generation == row.generation)
        .values(
            project_id=project_id,
            user_id=user_id,
            type=kind,
            generation=row.generation + 1,
            updated_at=now,
        )
    )
    return changed.rowcount == 1


def consumer_drop(connection: sa.Connection, consumer_id: str) -> bool:
    """Forget the consumer; nothing may be allocated to it any more. Whether it was there."""
    gone = connection.execute(consumer.delete().where(consumer.c.id == consumer_id))
    return gone.rowcount == 1
