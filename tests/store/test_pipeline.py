"""Statements that are sent together do what they would do one by one, and fail as they would."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from lanekeeper.domain.errors import Unavailable
from lanekeeper.store.database import Database
from lanekeeper.store.pipeline import Statement, run
from lanekeeper.store.schema import upgrade
from lanekeeper.store.tables import consumer, trait

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
ADD = Statement(trait.insert(), ["name"])
NAMES = Statement(sa.select(trait.c.name))
COUNT = Statement(sa.select(sa.func.count()).select_from(trait))
RENAME = Statement(trait.update().values(name=sa.bindparam("to")).where(trait.c.name == "CUSTOM_A"))


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    with Database(database_url) as database:
        upgrade(database.engine)
        yield database


def names(database: Database) -> set[str]:
    with database.read() as connection:
        return set(connection.scalars(sa.select(trait.c.name)))


def test_each_sees_what_came_before_it(database: Database) -> None:
    def work(connection: sa.Connection) -> list[object]:
        steps = [
            (ADD, {"name": "CUSTOM_A"}),
            (NAMES, {}),
            (COUNT, {}),
            (RENAME, {"to": "CUSTOM_B"}),
            (NAMES, {}),
        ]
        outcomes = run(connection, steps)
        outcomes.check()
        return [[tuple(row) for row in one.rows] or one.count for one in outcomes.done]

    assert database.write(work) == [1, [("CUSTOM_A",)], [(1,)], 1, [("CUSTOM_B",)]]
    assert names(database) == {"CUSTOM_B"}


def test_values_are_converted_as_everywhere(database: Database) -> None:
    row = {
        "id": "c", "project_id": "p", "user_id": "u", "type": None, "generation": 1,
        "updated_at": NOW,
    }  # fmt: skip
    statement = Statement(consumer.insert(), list(row))
    database.write(lambda connection: run(connection, [(statement, row)]).check())
    with database.read() as connection:
        assert dict(connection.execute(sa.select(consumer)).mappings().one()) == row


def test_what_comes_after_a_failure_is_not_done(database: Database) -> None:
    def work(connection: sa.Connection) -> None:
        twice = (ADD, {"name": "CUSTOM_A"})
        outcomes = run(connection, [twice, (COUNT, {}), twice, (RENAME, {"to": "CUSTOM_B"})])
        assert outcomes.done[0].count == 1
        assert [tuple(row) for row in outcomes.done[1].rows] == [(1,)]
        assert len(outcomes.done) == 2
        outcomes.check()

    with pytest.raises(IntegrityError):
        database.write(work)
    assert names(database) == set()
    database.write(lambda connection: run(connection, [(ADD, {"name": "CUSTOM_C"})]).check())
    assert names(database) == {"CUSTOM_C"}


def test_a_connection_that_is_lost_is_given_up(database: Database) -> None:
    if database.engine.dialect.name != "postgresql":
        pytest.skip("a file is not lost")

    def work(connection: sa.Connection) -> None:
        own = connection.scalar(sa.select(sa.func.pg_backend_pid()))
        with database.engine.connect() as other:
            other.execute(sa.select(sa.func.pg_terminate_backend(own)))
        run(connection, [(COUNT, {})]).check()

    with pytest.raises(Unavailable):
        database.write(work)
    database.write(lambda connection: run(connection, [(ADD, {"name": "CUSTOM_C"})]).check())
    assert names(database) == {"CUSTOM_C"}
