"""The inventory in memory: a snapshot that each search brings up to date before it reads."""

from __future__ import annotations

import sqlalchemy as sa

from lanekeeper.control.single_flight import SingleFlight
from lanekeeper.domain.placement.snapshot import Snapshot
from lanekeeper.store.change_log import Changes, Seen, change_log_now, change_log_since
from lanekeeper.store.database import Database
from lanekeeper.store.placement.lines import lines_load, lines_of, stock_of

_ANEW = 5_000
"""Changed providers from which on reading everything is quicker than reading them."""
_GONE = 1_000
"""Rows of deleted providers that are carried along before the snapshot is made anew."""


class InventoryMemory:
    """Keeps one snapshot. Thread-safe; snapshots that were given out stay as they are.

    ``current`` asks the change log first, so what it returns is never older than the call: whoever
    has had an answer to a write, from any controller, finds it.
    """

    def __init__(self) -> None:
        self._flight = SingleFlight[Snapshot]()
        self._snapshot: Snapshot | None = None
        self._seen = Seen()

    def current(self, database: Database) -> Snapshot:
        """Everything that was committed when this was called.

        Raises:
            Unavailable: the database cannot be read.
        """
        return self._flight.run(lambda: self._look(database))

    def _look(self, database: Database) -> Snapshot:
        with database.read() as connection:
            if self._snapshot is None:
                return self._read_all(connection)
            changes = change_log_since(connection, self._seen)
            if self._is_large(self._snapshot, changes):
                return self._read_all(connection)
            self._snapshot = _follow(self._snapshot, connection, changes)
            self._seen = changes.seen
            return self._snapshot

    def _read_all(self, connection: sa.Connection) -> Snapshot:
        lines = lines_load(connection)
        self._seen = change_log_now(connection)
        self._snapshot = Snapshot().with_lines([line[0] for line in lines.providers], lines)
        return self._snapshot

    @staticmethod
    def _is_large(snapshot: Snapshot, changes: Changes) -> bool:
        trees = snapshot.shape.trees
        return (
            changes.providers is None
            or len(changes.providers) + len(changes.amounts) > _ANEW
            or len(trees.ids) > 2 * len(trees.row_of) + _GONE
        )


def _follow(snapshot: Snapshot, connection: sa.Connection, changes: Changes) -> Snapshot:
    if changes.providers:
        snapshot = snapshot.with_lines(changes.providers, lines_of(connection, changes.providers))
    if changes.amounts:
        snapshot = snapshot.with_stock(changes.amounts, stock_of(connection, changes.amounts))
    return snapshot
