"""Units of work that share a commit: one that is wrong fails alone, and nobody is run again."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from lanekeeper.domain.errors import Unavailable
from lanekeeper.store.database import Database
from lanekeeper.store.schema import upgrade
from lanekeeper.store.tables import trait


@pytest.fixture
def database(tmp_path: Path) -> Database:
    opened = Database(f"sqlite:///{tmp_path}/lanekeeper.db")
    upgrade(opened.engine)
    return opened


@pytest.mark.parametrize(
    "wrong",
    [
        lambda c: c.execute(sa.text("SELECT nothing FROM nowhere")),
        lambda c: c.execute(trait.insert().values(name=None)),
        lambda c: c.exec_driver_sql("SELECT ?, ?", (1,)),
        lambda c: c.exec_driver_sql("SELECT zeroblob(2000000000)"),
    ],
    ids=["no such table", "constraint", "too few values", "too big"],
)
def test_a_wrong_statement_fails_alone(
    database: Database, wrong: Callable[[sa.Connection], object]
) -> None:
    """The others of its batch are run once, and are there."""
    begun, batched, runs = threading.Event(), threading.Event(), Counter[str]()

    def occupy(_: sa.Connection) -> None:
        begun.set()
        assert batched.wait(30)  # all the others are in the queue, and become one batch

    def good(connection: sa.Connection, name: str) -> None:
        runs[name] += 1
        connection.execute(trait.insert().values(name=name))

    writer = database._writer
    assert writer is not None
    first = writer.submit(occupy)
    assert begun.wait(30)
    before, bad, after = (
        writer.submit(work)
        for work in (lambda c: good(c, "CUSTOM_1"), wrong, lambda c: good(c, "CUSTOM_2"))
    )
    batched.set()
    for one in (first, before, after):
        one.result(30)
    with pytest.raises(DBAPIError):
        bad.result(30)
    assert runs == {"CUSTOM_1": 1, "CUSTOM_2": 1}
    with database.read() as connection:
        assert set(connection.scalars(sa.select(trait.c.name))) == set(runs)
    database.close()


def test_a_writer_that_does_not_end_is_said_and_what_it_has_not_committed_is_undone(
    database: Database,
) -> None:
    begun, end = threading.Event(), threading.Event()

    def work(_: sa.Connection) -> None:
        begun.set()
        assert end.wait(30)

    writer = database._writer
    assert writer is not None
    slow = writer.submit(work)
    assert begun.wait(30)
    with pytest.raises(Unavailable, match=r"writer is still at work after 0\.05 s"):
        writer.close(within_s=0.05)
    end.set()
    slow.result(30)
    database.close()
