"""Several statements that need no answer in between: one round trip to PostgreSQL, not one each.

SQLite runs them one after the other. Either way they are compiled once for all, since making a
statement takes longer than running it.

Source: PostgreSQL's "Pipeline Mode"; psycopg's "Pipeline mode support".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import Any, cast

import sqlalchemy as sa
from sqlalchemy.engine import Dialect
from sqlalchemy.exc import DBAPIError, DontWrapMixin

Values = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class _Compiled:
    """One statement in a database's own words.

    Attributes:
        order: names of values by place, for a database that has no names for them.
        fixed: values that stand in the statement itself.
        converts: what makes of a value what the driver wants.
    """

    text: str
    order: Sequence[str] | None
    fixed: Values
    converts: Mapping[str, Callable[[Any], Any]]

    def arguments(self, values: Values) -> Any:
        named = {**self.fixed, **values}
        for name, convert in self.converts.items():
            named[name] = convert(named[name])
        return named if self.order is None else [named[name] for name in self.order]


class Statement:
    """A statement that is run often; its values come at each run."""

    def __init__(self, statement: sa.Executable, columns: Sequence[str] = ()) -> None:
        """Keep *statement*; *columns* are those that an INSERT is given."""
        self._statement, self._columns = cast("Any", statement), list(columns) or None
        self._compiled: dict[str, _Compiled] = {}

    def compiled(self, dialect: Dialect) -> _Compiled:
        found = self._compiled.get(dialect.name)
        if found is None:
            found = self._compiled[dialect.name] = self._compile(dialect)
        return found

    def _compile(self, dialect: Dialect) -> _Compiled:
        made = self._statement.compile(dialect=dialect, column_keys=self._columns)
        converts = {
            name: convert
            for name, bind in made.binds.items()
            if (convert := bind.type.dialect_impl(dialect).bind_processor(dialect)) is not None
        }
        fixed = {name: bind.value for name, bind in made.binds.items() if not bind.required}
        return _Compiled(made.string, made.positiontup, fixed, converts)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a statement came to: what it returned, and how many rows it changed."""

    rows: Sequence[Any]
    count: int


@dataclass(frozen=True, slots=True)
class Outcomes:
    """What all of them came to, in order; those that came before *failure*, if there is one."""

    done: Sequence[Outcome]
    failure: DBAPIError | None

    def check(self) -> None:
        """Raise what went wrong, if anything did; the transaction must be left then."""
        if self.failure is not None:
            raise self.failure


def run(connection: sa.Connection, steps: Sequence[tuple[Statement, Values]]) -> Outcomes:
    """Run *steps* in this order; at the first that fails the rest is not run.

    The caller looks at what was done before it calls ``check``: why a statement failed may stand
    in what another one returned.
    """
    dialect = connection.dialect
    told = [(step.compiled(dialect), values) for step, values in steps]
    raw: Any = connection.connection.driver_connection
    done: list[Outcome] = []
    cursors: list[Any] = []
    try:
        if dialect.name == "postgresql":
            with raw.pipeline():
                cursors += [raw.cursor() for _ in told]
                for cursor, (step, values) in zip(cursors, told, strict=True):
                    cursor.execute(step.text, step.arguments(values))
        else:
            for step, values in told:  # a query is run while it is read: before the next one
                done.append(_outcome(raw.execute(step.text, step.arguments(values))))
    except dialect.loaded_dbapi.Error as error:
        return Outcomes([*done, *_answered(cursors)], _failure(connection, error))
    return Outcomes([*done, *_answered(cursors)], None)


def _answered(cursors: Sequence[Any]) -> list[Outcome]:
    """What came back before the first that failed; what comes after that has no answer."""
    ran = takewhile(lambda cursor: cursor.description or cursor.rowcount >= 0, cursors)
    return [_outcome(cursor) for cursor in ran]


def _outcome(cursor: Any) -> Outcome:
    return Outcome(cursor.fetchall() if cursor.description else (), cursor.rowcount)


def _failure(connection: sa.Connection, error: Exception) -> DBAPIError:
    """Make of a driver's error what SQLAlchemy would; a connection that is lost is given up."""
    lost = connection.dialect.is_disconnect(error, connection.connection, None)  # type: ignore[arg-type]
    if lost:
        connection.invalidate(error)
    made = DBAPIError.instance(
        None,
        None,
        cast("DontWrapMixin", error),
        connection.dialect.loaded_dbapi.Error,
        hide_parameters=True,
        connection_invalidated=lost,
        dialect=connection.dialect,
    )
    assert isinstance(made, DBAPIError)
    return made
