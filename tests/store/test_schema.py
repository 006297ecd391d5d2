"""Migrations: they make the tables that the code means, and lose nothing on the way there."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext

from fleet import ADMIN, fleet
from lanekeeper.control.compute.flavor import create_flavor
from lanekeeper.control.compute.server_create import create_servers
from lanekeeper.control.compute.server_nic import NicAsked
from lanekeeper.control.compute.server_order import NewServer
from lanekeeper.control.verify.verify import verify
from lanekeeper.domain.compute.flavor import Flavor
from lanekeeper.domain.errors import Unavailable
from lanekeeper.main import main
from lanekeeper.store.database import Database, read_only
from lanekeeper.store.network.network import network_list
from lanekeeper.store.network.port import port_show
from lanekeeper.store.schema import _LOCK, head, revision, revisions, upgrade
from lanekeeper.store.tables import claim, metadata
from postgres import PostgreSQL


def test_migrations_make_the_tables_that_the_code_means(empty_database_url: str) -> None:
    with Database(empty_database_url) as database:
        assert upgrade(database.engine)
        assert not upgrade(database.engine)
        with database.engine.connect() as connection:
            context = MigrationContext.configure(connection, opts={"compare_type": True})
            assert compare_metadata(context, metadata) == []


def test_migrations_make_the_checks_that_the_code_means(empty_database_url: str) -> None:
    """Which alembic does not compare."""

    def checks(engine: sa.Engine) -> dict[tuple[str, str], set[str]]:
        seen = sa.inspect(engine)
        return {
            (table, str(check["name"])): set(re.findall(r"'(\w+)'|(\d+)", check["sqltext"]))
            for table in metadata.tables
            for check in seen.get_check_constraints(table)
        }

    with Database(empty_database_url) as database, Database("sqlite://") as fresh:
        upgrade(database.engine)
        metadata.create_all(fresh.engine)
        assert checks(database.engine) == checks(fresh.engine)
        with database.engine.connect() as connection:
            if connection.dialect.name == "sqlite":
                assert connection.exec_driver_sql("PRAGMA integrity_check").scalar() == "ok"


def test_an_upgrade_waits_for_its_turn_and_not_for_ever(postgresql: PostgreSQL) -> None:
    url = postgresql.url(postgresql.create())
    with Database(url) as mine, Database(url) as other:
        with other.engine.begin() as connection:
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_LOCK)))
            with pytest.raises(Unavailable, match=r"bringing the database to a version for 0\.1 s"):
                upgrade(mine.engine, turn_s=0.1)
            with mine.engine.connect() as again:
                assert revision(again) is None
        assert upgrade(mine.engine, turn_s=30)
        with mine.engine.connect() as again:
            assert again.scalar(sa.text("SHOW lock_timeout")) == "0"


def rows(connection: sa.Connection, table: sa.Table) -> list[dict[str, Any]]:
    order = [table.c[column.name] for column in table.primary_key]
    return [dict(row) for row in connection.execute(sa.select(table).order_by(*order)).mappings()]


GONE = {"network": {"shared": True}}
"""Columns that earlier tables have and today's have not, with what stood there."""


def copy_into(source: sa.Connection, target: sa.Connection) -> dict[str, list[dict[str, Any]]]:
    """Put rows of today's tables into earlier ones, as far as those have the columns."""
    earlier = sa.MetaData()
    earlier.reflect(target)
    copied = {}
    for table in metadata.sorted_tables:
        if table.name not in earlier.tables or table.name == "change_log":  # triggers write it
            continue
        there = {column.name for column in earlier.tables[table.name].columns}
        gone = {name: it for name, it in GONE.get(table.name, {}).items() if name in there}
        kept = [
            {name: value for name, value in row.items() if name in there}
            for row in rows(source, table)
        ]
        if table.name == "device":  # a VF's row names its PF's
            kept.sort(key=lambda row: row["pf_id"] is not None)
        if table.name == "resource_provider":
            kept.sort(key=lambda row: row["parent_id"] is not None)
        if kept:
            columns = [sa.column(one.name, one.type) for one in table.c if one.name in there]
            columns += [sa.column(name) for name in gone]
            target.execute(
                sa.insert(sa.table(table.name, *columns)), [{**row, **gone} for row in kept]
            )
        copied[table.name] = kept
    return copied


# Each goes the whole way from there; those in between are for the longer campaigns.
_ALWAYS = {revisions()[0], *revisions()[-3:]}


@pytest.mark.parametrize(
    "earlier",
    [pytest.param(one, marks=[] if one in _ALWAYS else [pytest.mark.long]) for one in revisions()],
)
def test_an_earlier_database_keeps_its_rows(
    empty_database_url: str, tmp_path: Path, earlier: str
) -> None:
    with fleet(f"sqlite:///{tmp_path / 'today.db'}", tmp_path, hosts=2) as today:
        today.port(today.network())
        today.image()
        with Database(empty_database_url) as database:
            upgrade(database.engine, earlier)
            with (
                today.site.database.read() as source,
                database.engine.begin() as target,
            ):
                assert revision(target) == earlier
                before = copy_into(source, target)
    (tmp_path / "url").write_text(empty_database_url)
    options = ["--state-dir", str(tmp_path / "none"), "--database-url-file", str(tmp_path / "url")]
    assert main(["db", "upgrade", *options]) == 0
    with read_only(empty_database_url) as connection:
        assert revision(connection) == head()
        assert verify(connection) == []
        for name, kept in before.items():
            after = rows(connection, metadata.tables[name])
            for row, old in zip(after, sorted_by_key(name, kept), strict=True):
                assert {key: row[key] for key in old} == old
    assert main(["db", "check", *options]) == 0
    assert main(["db", "upgrade", *options]) == 0  # nothing to do


def sorted_by_key(name: str, kept: list[dict[str, Any]]) -> list[dict[str, Any]]:
    key = [column.name for column in metadata.tables[name].primary_key]
    return sorted(kept, key=lambda row: [row[column] for column in key])


def test_claims_of_before_there_were_quotas_get_the_names_of_their_aliases(
    empty_database_url: str, tmp_path: Path
) -> None:
    with fleet(f"sqlite:///{tmp_path / 'today.db'}", tmp_path) as today:
        specs = {"pci_passthrough:alias": "a1:2"}
        new = Flavor(id="f", name="f", vcpus=1, ram_mib=64, disk_gib=1, extra_specs=specs)
        create_flavor(today.site, new)
        nic = NicAsked(network_id=today.network())
        asked = NewServer(name="s", flavor_id="f", image_id=today.image(), networks=[nic])
        create_servers(today.site, ADMIN, asked)
        with Database(empty_database_url) as database:
            upgrade(database.engine, "0018")
            with today.site.database.read() as source, database.engine.begin() as target:
                assert "alias" not in copy_into(source, target)["claim"][0]
            upgrade(database.engine)
            with database.read() as connection:
                names = connection.scalars(sa.select(claim.c.alias).order_by(claim.c.alias)).all()
    assert sorted(names, key=str) == [None, "a1", "a1"]


def test_networks_of_before_there_were_policies_stay_shared_and_ports_on_their_segment(
    empty_database_url: str, tmp_path: Path
) -> None:
    with fleet(f"sqlite:///{tmp_path / 'today.db'}", tmp_path) as today:
        network_id = today.network()
        port_id = today.port(network_id).id
        with Database(empty_database_url) as database:
            upgrade(database.engine, "0022")
            with today.site.database.read() as source, database.engine.begin() as target:
                copy_into(source, target)
                target.execute(sa.text("UPDATE port SET vif_type = 'hw_veb'"))
            upgrade(database.engine)
            with database.read() as connection:
                (found,) = network_list(connection, project_id="another")
                bound = port_show(connection, port_id)
    assert (found.id, found.shared_with) == (network_id, frozenset({"*"}))
    assert bound is not None
    assert bound.segment_id == found.segments[0].id
