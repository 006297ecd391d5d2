"""Reading the change log, and the triggers that write it.

The database writes the log itself, in the transaction that makes the change, so no writer can
forget it. A line names a provider and not what became of it: readers look that up, so reading a
line twice does no harm.

On PostgreSQL positions are drawn before the commit and commits end in any order. A reader therefore
keeps the oldest transaction that was still going on (``pg_snapshot_xmin``): all lines of earlier
ones are there for good. Lines of later ones that it can see already it takes too, and skips them
the next time. So what a reader makes of the log is never older than its own read.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import sqlalchemy as sa

from lanekeeper.store.tables import change_log, metadata

KEPT = 100_000
"""Lines that stay; a reader that is further behind reads everything anew."""
_TRIMMED = 10_000


@dataclass(frozen=True, slots=True)
class Seen:
    """How far a reader is.

    Attributes:
        position: the newest line read.
        horizon: on PostgreSQL the transaction before which every line was read.
        ahead: positions at or after the horizon that were read already.
    """

    position: int = 0
    horizon: int = 0
    ahead: frozenset[int] = frozenset()


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
    newest = connection.scalar(sa.select(sa.func.max(change_log.c.position))) or 0
    if connection.dialect.name != "postgresql":
        return Seen(newest)
    horizon = _horizon(connection)
    ahead = connection.scalars(sa.select(change_log.c.position).where(change_log.c.xid >= horizon))
    return Seen(newest, horizon, frozenset(ahead))


def change_log_since(connection: sa.Connection, seen: Seen) -> Changes:
    """Every change that *connection* sees and *seen* does not hold."""
    if connection.dialect.name != "postgresql":
        return _since_position(connection, seen)
    horizon = _horizon(connection)
    if horizon < seen.horizon:  # another cluster: transactions are counted from the start again
        return Changes(Seen(), providers=None)
    rows = connection.execute(
        sa.select(
            change_log.c.position,
            change_log.c.xid,
            change_log.c.provider_id,
            change_log.c.amounts_only,
        ).where(change_log.c.xid >= seen.horizon)
    ).all()
    fresh = [row for row in rows if row.position not in seen.ahead]
    if _is_cut_off(connection, seen):
        return Changes(Seen(), providers=None)
    now = Seen(
        max((row.position for row in fresh), default=seen.position),
        horizon,
        frozenset(row.position for row in rows if row.xid >= horizon),
    )
    return _told(now, [(row.provider_id, row.amounts_only) for row in fresh])


def change_log_trim(connection: sa.Connection) -> bool:
    """Forget some old lines; whether there are more. The newest stay.

    So a reader can tell that it is too far behind, and no writer waits long for this.
    """
    oldest, newest = _ends(connection)
    if oldest is None or newest is None or oldest > newest - KEPT:
        return False
    until = min(oldest + _TRIMMED, newest - KEPT)
    connection.execute(change_log.delete().where(change_log.c.position <= until))
    return until < newest - KEPT


def _horizon(connection: sa.Connection) -> int:
    asked = "SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint"
    return int(connection.execute(sa.text(asked)).scalar_one())


def _since_position(connection: sa.Connection, seen: Seen) -> Changes:
    rows = connection.execute(
        sa.select(change_log.c.position, change_log.c.provider_id, change_log.c.amounts_only)
        .where(change_log.c.position > seen.position)
        .order_by(change_log.c.position)
    ).all()
    if (rows and rows[0].position != seen.position + 1) or _is_cut_off(connection, seen):
        return Changes(Seen(), providers=None)
    now = Seen(rows[-1].position if rows else seen.position)
    return _told(now, [(row.provider_id, row.amounts_only) for row in rows])


def _is_cut_off(connection: sa.Connection, seen: Seen) -> bool:
    """Whether lines that *seen* does not hold are gone, or the log is another one."""
    oldest, newest = _ends(connection)
    if newest is None:
        return seen.position > 0
    return newest < seen.position or (oldest or 0) > seen.position + 1


def _ends(connection: sa.Connection) -> tuple[int | None, int | None]:
    """The oldest and the newest position. Each a query of its own, or SQLite reads all between."""
    low, high = (
        sa.select(end(change_log.c.position)).scalar_subquery()
        for end in (sa.func.min, sa.func.max)
    )
    oldest, newest = connection.execute(sa.select(low, high)).one()
    return oldest, newest


def _told(now: Seen, lines: list[tuple[str, bool]]) -> Changes:
    whole = frozenset(provider_id for provider_id, amounts_only in lines if not amounts_only)
    return Changes(now, frozenset(provider_id for provider_id, _ in lines) - whole, whole)


# The triggers -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Source:
    """A table whose rows make a provider what it is.

    Attributes:
        columns: those that matter when a row is updated.
        tells: SELECT of provider ids, of ``ROW.`` being the row as it is (or was).
    """

    table: str
    columns: tuple[str, ...]
    tells: str
    amounts_only: bool


_OWN = "SELECT ROW.provider_id AS provider_id WHERE ROW.provider_id IS NOT NULL"
_SOURCES = (
    _Source("resource_provider", ("parent_id", "root_id"), "SELECT ROW.id AS provider_id", False),
    _Source("provider_trait", ("provider_id", "trait"), _OWN, False),
    _Source("provider_aggregate", ("provider_id", "aggregate_id"), _OWN, False),
    _Source(
        "inventory",
        ("total", "reserved", "min_unit", "max_unit", "step_size", "capacity", "used"),
        _OWN,
        True,
    ),
    _Source(
        "device",
        ("provider_id", "resource_class", "state", "present", "listed", "pf_id"),
        _OWN,
        True,
    ),
    _Source(
        "card",
        ("whole_holder", "parts_held"),
        # Whether a card is held decides how many of its PF and of its VFs are free.
        "SELECT DISTINCT device.provider_id AS provider_id FROM device WHERE device.provider_id "
        "IS NOT NULL AND (device.id = ROW.pf_device_id OR device.pf_id = ROW.pf_device_id)",
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
