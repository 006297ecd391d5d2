"""A database that is slow, full, locked or gone: refused in bounded time, never with a lie."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import psycopg
import pytest
import sqlalchemy as sa

from lanekeeper.domain.errors import Unavailable
from lanekeeper.store.database import Database, read_only
from lanekeeper.store.outcome import UNKNOWN
from lanekeeper.store.schema import upgrade
from lanekeeper.store.tables import trait
from postgres import Own, PostgreSQL


def add(database: Database, name: str) -> None:
    database.write(lambda connection: connection.execute(trait.insert().values(name=name)))


def names(url: str) -> set[str]:
    """What is really there, by a connection of its own."""
    engine = sa.create_engine(url)
    try:
        with engine.connect() as connection:
            return set(connection.scalars(sa.select(trait.c.name)))
    finally:
        engine.dispose()


@contextmanager
def made(url: str, **more: float) -> Iterator[Database]:
    with Database(url, **more) as database:  # type: ignore[arg-type]  # all are numbers
        upgrade(database.engine)
        add(database, "CUSTOM_FIRST")
        yield database


# SQLite -------------------------------------------------------------------------------------------


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "lanekeeper.db"


def test_a_file_that_another_program_has_locked_is_not_waited_for_one_by_one(file: Path) -> None:
    with made(f"sqlite:///{file}") as database, closing(sqlite3.connect(file)) as other:
        other.isolation_level = None
        other.execute("BEGIN IMMEDIATE")
        refused: list[str] = []

        def ask(number: int) -> None:
            with pytest.raises(Unavailable, match="cannot be written: database is locked") as told:
                add(database, f"CUSTOM_{number}")
            refused.append(told.value.code)

        rivals = [threading.Thread(target=ask, args=(number,)) for number in range(8)]
        for rival in rivals:
            rival.start()
        for rival in rivals:
            rival.join(30)  # eight waits after each other would take longer
        assert refused == [""] * 8
        with database.read() as connection:  # reading goes on
            assert connection.scalars(sa.select(trait.c.name)).all() == ["CUSTOM_FIRST"]
        other.execute("ROLLBACK")
        add(database, "CUSTOM_AFTER")
    assert names(f"sqlite:///{file}") == {"CUSTOM_FIRST", "CUSTOM_AFTER"}


def test_a_full_disk_is_said_and_what_fits_again_is_written(file: Path) -> None:
    with made(f"sqlite:///{file}") as database:

        def limit(pages: int) -> None:
            with database.engine.connect() as connection:
                connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")

        def fill(connection: sa.Connection) -> None:
            connection.execute(trait.insert().values(name="CUSTOM_" + "X" * 200_000))

        limit(1)  # SQLite takes it as: no more than there are
        with pytest.raises(Unavailable, match="database or disk is full"):
            database.write(fill)
        limit(100_000)
        add(database, "CUSTOM_SMALL")
    assert names(f"sqlite:///{file}") == {"CUSTOM_FIRST", "CUSTOM_SMALL"}


@pytest.mark.parametrize("replaced", [False, True])
def test_nothing_is_answered_from_a_file_that_has_lost_its_name(file: Path, replaced: bool) -> None:
    with made(f"sqlite:///{file}") as database:
        kept = file.with_name("kept.db")
        file.rename(kept)
        if replaced:
            file.touch()
        with pytest.raises(Unavailable, match="was removed or replaced"):
            add(database, "CUSTOM_LOST")
        with pytest.raises(Unavailable, match="was removed or replaced"), database.read():
            pass
        file.unlink(missing_ok=True)
        kept.rename(file)
        add(database, "CUSTOM_BACK")
    assert names(f"sqlite:///{file}") == {"CUSTOM_FIRST", "CUSTOM_BACK"}


def test_a_file_that_goes_away_during_the_commit_is_not_answered_as_done(file: Path) -> None:
    with made(f"sqlite:///{file}") as database:

        def work(connection: sa.Connection) -> None:
            connection.execute(trait.insert().values(name="CUSTOM_LOST"))
            file.unlink()

        with pytest.raises(Unavailable, match="was removed or replaced"):
            database.write(work)


def test_a_damaged_file_is_unavailable(file: Path) -> None:
    with made(f"sqlite:///{file}"):
        pass
    file.write_bytes(b"no database at all, and longer than a header is".ljust(4096, b"."))
    with Database(f"sqlite:///{file}") as database:
        with pytest.raises(Unavailable, match="file is not a database"), database.read():
            pass
        with pytest.raises(Unavailable, match="file is not a database"):
            add(database, "CUSTOM_LOST")


def test_who_waits_too_long_for_its_turn_has_changed_nothing(file: Path) -> None:
    with made(f"sqlite:///{file}", answer_within_s=0.2) as database:
        entered, leave = threading.Event(), threading.Event()

        def linger(_: sa.Connection) -> None:
            entered.set()
            leave.wait(30)

        def slow() -> None:
            with pytest.raises(Unavailable, match="may have been made or not") as told:
                database.write(linger)
            assert told.value.code == UNKNOWN

        first = threading.Thread(target=slow)
        first.start()
        assert entered.wait(30)
        with pytest.raises(Unavailable, match="nobody had its turn") as told:
            add(database, "CUSTOM_LATE")
        assert told.value.code == ""
        leave.set()
        first.join(30)
    assert names(f"sqlite:///{file}") == {"CUSTOM_FIRST"}


def test_a_reader_of_tools_makes_no_file_and_writes_nothing(
    file: Path, empty_database_url: str
) -> None:
    with (
        pytest.raises(Unavailable, match="there is no database at"),
        read_only(f"sqlite:///{file}"),
    ):
        pass
    assert not file.exists()
    with made(empty_database_url):
        refused = pytest.raises(Unavailable, match=r"readonly database|read-only transaction")
        with refused, read_only(empty_database_url) as connection:
            connection.execute(trait.insert().values(name="CUSTOM_NO"))
    assert names(empty_database_url) == {"CUSTOM_FIRST"}


# PostgreSQL ---------------------------------------------------------------------------------------


@pytest.fixture
def server(postgresql: PostgreSQL) -> Iterator[str]:
    name = postgresql.create()
    yield postgresql.url(name)
    postgresql.drop(name)


def backend(connection: sa.Connection) -> int:
    pid: int = connection.exec_driver_sql("SELECT pg_backend_pid()").scalar_one()
    return pid


def end(postgresql: PostgreSQL, pid: int) -> None:
    """Have the server end one connection, as a restart would, and wait until it is gone."""
    with psycopg.connect(
        dbname="postgres", user="lanekeeper", host=str(postgresql.directory), autocommit=True
    ) as other:
        other.execute("SELECT pg_terminate_backend(%s, 10000)", (pid,))


def test_a_connection_lost_in_a_statement_is_unavailable_and_not_tried_again(
    server: str, postgresql: PostgreSQL
) -> None:
    with made(server) as database:
        runs: list[int] = []

        def work(connection: sa.Connection) -> None:
            runs.append(backend(connection))
            end(postgresql, runs[-1])
            connection.execute(trait.insert().values(name="CUSTOM_LOST"))

        with pytest.raises(Unavailable, match="cannot be written") as told:
            database.write(work)
        assert (told.value.code, len(runs)) == ("", 1)
        add(database, "CUSTOM_AFTER")  # the pool notices that the others are gone as well
    assert names(server) == {"CUSTOM_FIRST", "CUSTOM_AFTER"}


def test_a_connection_lost_in_commit_is_neither_done_nor_tried_again(
    server: str, postgresql: PostgreSQL
) -> None:
    with made(server) as database:
        runs: list[int] = []

        def work(connection: sa.Connection) -> None:
            connection.execute(trait.insert().values(name="CUSTOM_DOUBT"))
            runs.append(backend(connection))
            end(postgresql, runs[-1])  # what comes next is COMMIT

        with pytest.raises(Unavailable, match="may have been made or not") as told:
            database.write(work)
        assert (told.value.code, len(runs)) == (UNKNOWN, 1)


def test_a_connection_that_ended_a_moment_ago_is_not_given_out(
    server: str, postgresql: PostgreSQL
) -> None:
    with made(server) as database:
        before = database.write(backend)
        end(postgresql, before)
        assert database.write(backend) != before
        with database.read() as connection:
            assert backend(connection) != before


def test_a_connection_on_which_something_is_heard_is_asked_and_stays(
    server: str, postgresql: PostgreSQL
) -> None:
    with made(server) as database:

        def listen(connection: sa.Connection) -> int:
            connection.exec_driver_sql("LISTEN something")
            return backend(connection)

        before = database.write(listen)
        engine = sa.create_engine(server)
        with engine.begin() as other:
            other.exec_driver_sql("NOTIFY something")
        engine.dispose()
        assert database.write(backend) == before


def test_a_lock_that_nobody_lets_go_is_given_up(server: str) -> None:
    with made(server, answer_within_s=2) as database:
        other = sa.create_engine(server)
        with other.connect() as holder, holder.begin():
            holder.execute(trait.delete().where(trait.c.name == "CUSTOM_FIRST"))
            with pytest.raises(Unavailable, match="lock timeout"):
                database.write(
                    lambda c: c.execute(trait.delete().where(trait.c.name == "CUSTOM_FIRST"))
                )
        other.dispose()


def test_rivals_in_a_deadlock_both_come_through(server: str) -> None:
    with made(server) as database:
        add(database, "CUSTOM_SECOND")
        both = threading.Barrier(2)
        firsts: set[str] = set()

        def rival(one: str, two: str) -> None:
            def work(connection: sa.Connection) -> None:
                connection.execute(trait.update().where(trait.c.name == one).values(name=one))
                if one not in firsts:
                    firsts.add(one)
                    both.wait(30)
                connection.execute(trait.update().where(trait.c.name == two).values(name=two))
                done.append(one)

            database.write(work)

        done: list[str] = []
        pairs = [("CUSTOM_FIRST", "CUSTOM_SECOND"), ("CUSTOM_SECOND", "CUSTOM_FIRST")]
        rivals = [threading.Thread(target=rival, args=pair) for pair in pairs]
        for one in rivals:
            one.start()
        for one in rivals:
            one.join(60)
        assert sorted(done) == ["CUSTOM_FIRST", "CUSTOM_SECOND"]


def test_a_server_that_says_nothing_is_given_up(own_postgresql: Own) -> None:
    url = own_postgresql.cluster.url("postgres")
    with made(url, answer_within_s=2) as database:
        own_postgresql.cluster.pause()
        with pytest.raises(Unavailable, match="cannot be written"):
            add(database, "CUSTOM_SILENT")
        with pytest.raises(Unavailable, match="cannot be read"), database.read():
            pass
        own_postgresql.cluster.resume()
        add(database, "CUSTOM_AFTER")
    assert "CUSTOM_AFTER" in names(url)
