"""Databases for tests, on SQLite and on PostgreSQL.

To make Lanekeeper's tables takes longer than most tests, so they are made once in a process, and
each test gets a copy.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from lanekeeper.store.database import Database
from lanekeeper.store.schema import upgrade
from planting import plant
from postgres import PostgreSQL

KINDS = ["sqlite", "postgresql"]


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with all tables and no rows, to be copied."""
    path = tmp_path_factory.mktemp("template") / "lanekeeper.db"
    plant(f"sqlite:///{path}")
    return path


@pytest.fixture(scope="session")
def postgresql_template(postgresql: PostgreSQL) -> str:
    """The name of a database with all tables and no rows, to be copied."""
    name = postgresql.create()
    with Database(postgresql.url(name)) as database:
        upgrade(database.engine)
    return name


@contextmanager
def database_copy(request: pytest.FixtureRequest, directory: Path) -> Iterator[str]:
    """Copy the tables into a database of the kind that ``request.param`` names; its URL."""
    if request.param == "sqlite":
        path = directory / "lanekeeper.db"
        shutil.copy(request.getfixturevalue("sqlite_template"), path)
        yield f"sqlite:///{path}"
        return
    cluster: PostgreSQL = request.getfixturevalue("postgresql")
    name = cluster.create(request.getfixturevalue("postgresql_template"))
    yield cluster.url(name)
    cluster.drop(name)


@pytest.fixture(params=KINDS)
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of a database of this test's own, with tables but no rows, once of each kind."""
    with database_copy(request, tmp_path) as url:
        yield url


@pytest.fixture(scope="module", params=KINDS)
def module_database_url(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """The same for all tests of a module, which leave no row behind that another could see."""
    with database_copy(request, tmp_path_factory.mktemp("module")) as url:
        yield url


@pytest.fixture(params=KINDS)
def empty_database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of a database of this test's own without any tables, once of each kind."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/lanekeeper.db"
        return
    cluster: PostgreSQL = request.getfixturevalue("postgresql")
    name = cluster.create()
    yield cluster.url(name)
    cluster.drop(name)
