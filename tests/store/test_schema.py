from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext

from lanekeeper.store.database import Database
from lanekeeper.store.schema import upgrade
from lanekeeper.store.tables import metadata


def test_migrations_make_the_tables_that_the_code_means(database_url: str) -> None:
    with Database(database_url) as database:
        assert upgrade(database.engine)
        assert not upgrade(database.engine)
        with database.engine.connect() as connection:
            context = MigrationContext.configure(connection, opts={"compare_type": True})
            assert compare_metadata(context, metadata) == []
