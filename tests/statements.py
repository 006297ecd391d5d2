"""What the program says to a database, written down by the driver's door."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa


@dataclass(frozen=True, slots=True)
class Statement:
    text: str
    values: Any

    def plan(self, connection: sa.Connection) -> str:
        """How the database would carry it out, had its tables many rows."""
        is_sqlite = connection.dialect.name == "sqlite"
        if not is_sqlite:
            connection.exec_driver_sql("SET LOCAL enable_seqscan = off")
        explain = "EXPLAIN QUERY PLAN" if is_sqlite else "EXPLAIN"
        rows = connection.exec_driver_sql(f"{explain} {self.text}", self.values)
        return "\n".join(str(row[-1]) for row in rows)


@contextmanager
def statements() -> Iterator[list[Statement]]:
    """Yield a list to which every statement of this process is added until the block ends."""
    said: list[Statement] = []

    def note(_c: object, _k: object, text: str, values: Any, *_more: object) -> None:
        said.append(Statement(text, values))

    sa.event.listen(sa.Engine, "before_cursor_execute", note)
    try:
        yield said
    finally:
        sa.event.remove(sa.Engine, "before_cursor_execute", note)
