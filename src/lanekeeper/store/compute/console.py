"""The last console text of each guest that somebody has asked for."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from lanekeeper.store.tables import console


@dataclass(frozen=True, slots=True)
class ConsoleRecord:
    text: str
    at: datetime


def console_put(connection: sa.Connection, server_id: str, text: str, now: datetime) -> None:
    changed = connection.execute(
        console.update().where(console.c.server_id == server_id).values(text=text, at=now)
    )
    if changed.rowcount == 0:
        connection.execute(console.insert().values(server_id=server_id, text=text, at=now))


def console_get(connection: sa.Connection, server_id: str) -> ConsoleRecord | None:
    """The tail that was uploaded last, or None before the first."""
    row = connection.execute(
        sa.select(console.c.text, console.c.at).where(console.c.server_id == server_id)
    ).one_or_none()
    return None if row is None else ConsoleRecord(row.text, row.at)


def console_drop(connection: sa.Connection, server_id: str) -> None:
    connection.execute(console.delete().where(console.c.server_id == server_id))
