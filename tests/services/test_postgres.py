"""The tests' own PostgreSQL: private, empty for each test, out of reach of others."""

import stat

import psycopg
import pytest
import sqlalchemy as sa

from postgres import PostgreSQL


def test_each_test_gets_an_empty_database(empty_database_url: str) -> None:
    engine = sa.create_engine(empty_database_url)
    try:
        assert sa.inspect(engine).get_table_names() == []
    finally:
        engine.dispose()


def test_a_copy_of_a_template_has_its_tables(postgresql: PostgreSQL) -> None:
    original = postgresql.create()
    with psycopg.connect(_conninfo(postgresql, original)) as connection:
        connection.execute("CREATE TABLE card (id int)")
    copy = postgresql.create(template=original)
    with psycopg.connect(_conninfo(postgresql, copy)) as connection:
        assert connection.execute("SELECT count(*) FROM card").fetchone() == (0,)
    postgresql.drop(copy)
    postgresql.drop(original)


def test_it_listens_on_a_socket_in_a_closed_directory_only(postgresql: PostgreSQL) -> None:
    assert stat.S_IMODE(postgresql.directory.stat().st_mode) == 0o700
    with psycopg.connect(_conninfo(postgresql, "postgres")) as connection:
        assert connection.execute("SHOW listen_addresses").fetchone() == ("",)


@pytest.mark.parametrize("setting", ["fsync", "full_page_writes"])
def test_it_waits_for_the_disk_only_when_told(
    postgresql: PostgreSQL, pytestconfig: pytest.Config, setting: str
) -> None:
    wanted = "on" if pytestconfig.getoption("--postgres-fsync") else "off"
    with psycopg.connect(_conninfo(postgresql, "postgres")) as connection:
        assert connection.execute(f"SHOW {setting}").fetchone() == (wanted,)


def _conninfo(cluster: PostgreSQL, database: str) -> str:
    return f"dbname={database} user=lanekeeper host={cluster.directory}"
