"""What a request says that fails after it has written."""

from __future__ import annotations

from contextlib import suppress

import pytest
import sqlalchemy as sa

from lanekeeper.control.committed import STORED, telling_what_is_stored
from lanekeeper.domain.errors import Conflict, Unavailable
from lanekeeper.store.database import Database
from lanekeeper.store.outcome import UNKNOWN
from lanekeeper.store.schema import upgrade
from lanekeeper.store.tables import trait
from lanekeeper.store.writer import Work

pytestmark = pytest.mark.service


def insert(connection: sa.Connection) -> None:
    connection.execute(trait.insert().values(name="CUSTOM_A"))


def refuse(connection: sa.Connection) -> None:
    insert(connection)
    raise Conflict("taken")


def ask(database: Database, work: Work[None], fails_with: Unavailable) -> None:
    """A request that writes, and then finds the database away."""
    with telling_what_is_stored():
        with suppress(Conflict):
            database.write(work)
        raise fails_with


def test_a_failure_after_a_commit_says_that_something_is_stored(database_url: str) -> None:
    with Database(database_url) as database:
        upgrade(database.engine)
        with pytest.raises(Unavailable, match="stored, at least in part, but it is away") as told:
            ask(database, insert, Unavailable("it is away"))
        assert told.value.code == STORED


def test_a_failure_without_a_commit_stays_as_it_is(database_url: str) -> None:
    with Database(database_url) as database:
        upgrade(database.engine)
        with pytest.raises(Unavailable, match=r"^it is away$"):
            ask(database, refuse, Unavailable("it is away"))
        with pytest.raises(Unavailable, match=r"^nobody knows$"):
            ask(database, insert, Unavailable("nobody knows", code=UNKNOWN))
