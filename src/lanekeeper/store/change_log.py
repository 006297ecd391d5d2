"""Reading the change log, and the triggers that write it.

The database writes the log itself, in the transaction that makes the change, so no writer can
forget it. A line names a provider and not what became of it: readers look that up. A host that
changed is named by its id, which is its provider's, too; what readers do not know they pass over.

On PostgreSQL positions are drawn before the commit and commits end in any order. A reader therefore
keeps the snapshot of its last read: what it could not see then are the lines of transactions that
were going on, or had not begun. Nothing is missed or read twice, however long others take.

Source: PostgreSQL, "System Information Functions", pg_current_snapshot.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from lanekeeper.store.pipeline import Statement, Values, run
from lanekeeper.store.row import row_insert_new
from lanekeeper.store.tables import change_log, change_log_start, metadata

AGGREGATES = "host_aggregate"
"""What stands in place of a provider where a host aggregate changed."""
KEPT = 100_000
"""Lines that stay; a reader that is further behind reads everything anew."""
_TRIMMED = 10_000


@dataclass(frozen=True, slots=True)
class Seen:
    """How far a reader is.

    Attributes:
        position: the latest line that was read. On SQLite every one up to here was; on PostgreSQL
            an earlier one may come yet, and transactions tell what was read.
        xmax: on PostgreSQL the first transaction that had not begun.
        running: on PostgreSQL earlier ones that were going on.
    """

    position: int = 0
    xmax: int = 0
    running: tuple[int, ...] = ()

    def oldest_missed(self, now: Seen) -> int:
        """On PostgreSQL the first transaction whose lines may have come and gone since.

        One that is still going on has no line that anybody could trim, and no reader waits for it:
        it may be another database's.
        """
        return min({*self.running} - {*now.running} | {self.xmax})


@dataclass(frozen=True, slots=True)
class Changes:
    """What came after; *providers* is None when the log does not reach back so far.

    Attributes:
        amounts: providers of which only inventories or their use changed.
        providers: those of which anything else did.
    """

    seen: Seen
    amounts: frozenset[str] = frozenset()
    providers: frozenset[str] | None = frozenset()


def change_log_now(connection: sa.Connection) -> Seen:
    """How far a reader is that sees everything at this moment, by other means."""
    outcomes = run(connection, [(_NOW[connection.dialect.name], {})])
    outcomes.check()
    seen, _ = _moment(outcomes.done[0].rows[0])
    return seen


def change_log_since(connection: sa.Connection, seen: Seen) -> Changes:
    """Every change that *connection* sees and *seen* does not hold, in one round trip."""
    dialect = connection.dialect.name
    values: Values = {"position": seen.position}
    if dialect == "postgresql":
        values = {"xmax": seen.xmax, "running": list(seen.running)}
    outcomes = run(connection, [(_NOW[dialect], {}), (_FRESH[dialect], values)])
    outcomes.check()
    now, trimmed = _moment(outcomes.done[0].rows[0])
    first = seen.oldest_missed(now) if dialect == "postgresql" else seen.position + 1
    if (trimmed and trimmed >= first) or now.position < seen.position or now.xmax < seen.xmax:
        return Changes(Seen(), providers=None)  # what was not read is gone, or the log is another
    return _told(now, [(row[0], bool(row[1])) for row in outcomes.done[1].rows])


def change_log_trim(connection: sa.Connection) -> bool:
    """Forget some old lines; whether there are more. No writer waits long for this."""
    low, high = (
        sa.select(end(change_log.c.position)).scalar_subquery()
        for end in (sa.func.min, sa.func.max)
    )  # each a query of its own, or SQLite reads all between
    oldest, newest = connection.execute(sa.select(low, high)).one()
    if oldest is None or oldest > newest - KEPT:
        return False
    until = min(oldest + _TRIMMED, newest - KEPT)
    latest = connection.scalar(
        sa.select(sa.func.max(change_log.c.xid)).where(change_log.c.position <= until)
    )
    before = connection.scalar(sa.select(sa.func.max(change_log_start.c.trimmed_xid)))
    connection.execute(change_log.delete().where(change_log.c.position <= until))
    connection.execute(change_log_start.delete().where(change_log_start.c.trimmed_until < until))
    told = {"trimmed_until": until, "trimmed_xid": max(latest or 0, before or 0)}
    row_insert_new(connection, change_log_start, told)
    return bool(until < newest - KEPT)


def change_log_forget(connection: sa.Connection) -> None:
    """Empty the log; for a database whose transactions another cluster has counted.

    PostgreSQL looks for the newest line from the end of the index on. Lines that were deleted there
    are passed one by one, by every search, until they are vacuumed or a new line is written:
    80 ms for 300,000. Truncated they are gone at once. Trimmed ones lie at the other end.
    """
    for table in (change_log, change_log_start):
        if connection.dialect.name == "postgresql":
            connection.exec_driver_sql(f"TRUNCATE {table.name}")
        else:
            connection.execute(table.delete())


def _moment(row: Sequence[Any]) -> tuple[Seen, int]:
    """Read what ``_NOW`` returns: how far the log is, and up to where it was trimmed."""
    newest, trimmed, *transactions = row
    if not transactions:
        return Seen(newest or 0), trimmed or 0
    xmax, running = transactions
    return Seen(newest or 0, xmax, tuple(running)), trimmed or 0


_NOW = {
    "sqlite": Statement(
        sa.text(
            "SELECT (SELECT max(position) FROM change_log), "
            "(SELECT max(trimmed_until) FROM change_log_start)"
        )
    ),
    "postgresql": Statement(
        sa.text(
            "SELECT (SELECT max(position) FROM change_log), "
            "(SELECT max(trimmed_xid) FROM change_log_start), "
            "pg_snapshot_xmax(shot)::text::bigint, "
            "array(SELECT pg_snapshot_xip(shot)::text::bigint) FROM pg_current_snapshot() AS shot"
        )
    ),
}
_LINES = sa.select(change_log.c.provider_id, change_log.c.amounts_only)
_FRESH = {
    "sqlite": Statement(_LINES.where(sa.text("position > :position"))),
    "postgresql": Statement(
        _LINES.where(sa.text("xid >= :xmax OR xid = ANY(CAST(:running AS bigint[]))"))
    ),
}


def _told(now: Seen, lines: list[tuple[str, bool]]) -> Changes:
    whole = frozenset(provider_id for provider_id, amounts_only in lines if not amounts_only)
    return Changes(now, frozenset(provider_id for provider_id, _ in lines) - whole, whole)


# The triggers -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Source:
    """A table whose rows make a provider, or a host, what it is.

    Attributes:
        columns: those that matter when a row is updated. Changed triggers need a migration.
        tells: SELECT of provider ids, of ``ROW.`` being the row as it is (or was).
    """

    table: str
    columns: tuple[str, ...]
    tells: str
    amounts_only: bool


_OWN = "SELECT ROW.provider_id AS provider_id WHERE ROW.provider_id IS NOT NULL"
_SOURCES = (
    _Source(
        "resource_provider",
        ("id", "parent_id", "root_id"),
        "SELECT ROW.id AS provider_id",
        False,
    ),
    _Source("provider_trait", ("provider_id", "trait"), _OWN, False),
    _Source("provider_aggregate", ("provider_id", "aggregate_id"), _OWN, False),
    _Source(
        "inventory",
        (
            *("provider_id", "resource_class"),
            *("total", "reserved", "min_unit", "max_unit", "step_size", "capacity", "used"),
        ),
        _OWN,
        True,
    ),
    _Source(
        "device",
        (
            *("id", "provider_id", "resource_class", "state", "present", "unfit"),
            *("reserved", "listed", "unit"),
            *("pf_id", "address", "vendor_id", "product_id", "dev_type", "tags"),
        ),
        # What is away has no provider any more, and its host has it still. What one of a unit has
        # become decides for all.
        "SELECT coalesce(ROW.provider_id, ROW.host_id) AS provider_id "
        "UNION SELECT device.provider_id FROM device WHERE ROW.unit IS NOT NULL "
        "AND device.provider_id IS NOT NULL AND device.host_id = ROW.host_id "
        "AND device.unit = ROW.unit",
        True,
    ),
    _Source(
        "host",
        ("id", "name", "enabled", "disabled_reason", "frozen_reason", "facts"),
        "SELECT ROW.id AS provider_id",
        True,
    ),
    _Source("host_aggregate", ("metadata", "hosts"), f"SELECT '{AGGREGATES}' AS provider_id", True),
    _Source(
        "card",
        ("pf_device_id", "whole_holder", "parts_held"),
        # Whether a card is held decides how many of its PF and of its VFs are free, and so what
        # of their units is.
        "SELECT device.provider_id AS provider_id FROM device WHERE device.provider_id "
        "IS NOT NULL AND (device.id = ROW.pf_device_id OR device.pf_id = ROW.pf_device_id) "
        "UNION SELECT mate.provider_id FROM device JOIN device AS mate "
        "ON mate.host_id = device.host_id AND mate.unit = device.unit "
        "WHERE mate.provider_id IS NOT NULL "
        "AND (device.id = ROW.pf_device_id OR device.pf_id = ROW.pf_device_id)",
        True,
    ),
)
_EVENTS = (("insert", ("NEW",)), ("update", ("OLD", "NEW")), ("delete", ("OLD",)))


def triggers_install(connection: sa.Connection) -> None:
    """Make the triggers of this version, in place of those that are there."""
    dialect = connection.dialect.name
    for source in _SOURCES:
        for event, rows in _EVENTS:
            for statement in _statements(dialect, source, event, rows):
                connection.exec_driver_sql(statement)


def _with_tables(_: object, connection: sa.Connection, **__: object) -> None:
    triggers_install(connection)


def _statements(dialect: str, source: _Source, event: str, rows: tuple[str, ...]) -> Iterator[str]:
    name = f"change_log_{source.table}_{event}"
    columns = f" OF {', '.join(source.columns)}" if event == "update" else ""
    told = " UNION ".join(source.tells.replace("ROW.", f"{row}.") for row in rows)
    if dialect == "postgresql":
        yield _FUNCTION.format(name=name, told=told, amounts_only=source.amounts_only)
        yield (
            f"CREATE OR REPLACE TRIGGER {name} AFTER {event}{columns} ON {source.table} "
            f"FOR EACH ROW EXECUTE FUNCTION {name}()"
        )
        return
    yield f"DROP TRIGGER IF EXISTS {name}"
    yield _TRIGGER.format(
        name=name,
        when=f"AFTER {event}{columns} ON {source.table}",
        amounts_only=int(source.amounts_only),
        told=told,
    )


sa.event.listen(metadata, "after_create", _with_tables)

_TRIGGER = """
CREATE TRIGGER {name} {when} BEGIN
  INSERT INTO change_log (provider_id, amounts_only)
  SELECT provider_id, {amounts_only} FROM ({told});
END
"""
_FUNCTION = """
CREATE OR REPLACE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO change_log (xid, provider_id, amounts_only)
  SELECT pg_current_xact_id()::text::bigint, told.provider_id, {amounts_only} FROM ({told}) AS told;
  RETURN NULL;
END $$
"""
