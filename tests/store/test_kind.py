"""A program works on its own database or on an empty one, and on nobody else's."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
import sqlalchemy as sa

from lanekeeper.domain.errors import Invalid
from lanekeeper.store.database import Database
from lanekeeper.store.kind import Kind
from lanekeeper.store.schema import revision, upgrade
from lanekeeper.store.tables import resource_provider, user

pytestmark = pytest.mark.service
NOW = datetime(2026, 1, 1, tzinfo=UTC)


def test_an_empty_database_is_anybodys_and_stays_theirs(empty_database_url: str) -> None:
    with Database(empty_database_url) as database:
        for kind in Kind:  # nobody has made anything in it yet
            upgrade(database.engine, kind=kind)
        values = {"id": "p", "name": "p", "root_id": "p", "updated_at": NOW}
        database.write(lambda c: c.execute(resource_provider.insert().values(**values)))
        upgrade(database.engine, kind=Kind.PLACEMENT)
        with pytest.raises(Invalid, match="one of lanekeeper placement, not of"):
            upgrade(database.engine, kind=Kind.CONTROLLER)
        database.write(lambda c: c.execute(user.insert().values(id="u", name="admin")))
        upgrade(database.engine, kind=Kind.CONTROLLER)
        with pytest.raises(Invalid, match="one of lanekeeper controller, not of"):
            upgrade(database.engine, kind=Kind.PLACEMENT)


@pytest.mark.parametrize(
    ("tables", "words"),
    [
        (("foo",), "belongs to something else: it has the tables foo"),
        (("a", "b", "c", "d"), "a, b, c and 1 more"),
        (
            ("alembic_version", "consumers", "placement_aggregates", "resource_providers"),
            "OpenStack Placement's own",
        ),
    ],
)
def test_a_strangers_database_is_left_as_it_is(
    empty_database_url: str, tables: tuple[str, ...], words: str
) -> None:
    with Database(empty_database_url) as database:
        with database.engine.begin() as connection:
            for name in tables:
                connection.execute(sa.text(f"CREATE TABLE {name} (version_num TEXT)"))
        for kind in Kind:
            with pytest.raises(Invalid, match=words) as caught:
                upgrade(database.engine, kind=kind)
            assert caught.value.hint
        with database.engine.connect() as connection:
            assert sorted(sa.inspect(connection).get_table_names()) == sorted(tables)


def test_a_later_versions_database_is_told_by_its_revision(empty_database_url: str) -> None:
    with Database(empty_database_url) as database:
        upgrade(database.engine)
        with database.engine.begin() as connection:
            connection.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
        with pytest.raises(Invalid, match="revision 9999"):
            upgrade(database.engine, kind=Kind.CONTROLLER)
        with database.engine.connect() as connection:
            assert revision(connection) == "9999"
