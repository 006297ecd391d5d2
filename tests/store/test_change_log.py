"""The change log: whatever is written, by whomever, a snapshot that follows it is the truth."""

from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from itertools import product
from random import Random

import numpy as np
import pytest
import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from lanekeeper.control.placement.memory import InventoryMemory
from lanekeeper.domain.errors import Conflict
from lanekeeper.domain.placement.snapshot import Snapshot
from lanekeeper.store.change_log import (
    KEPT,
    Seen,
    change_log_forget,
    change_log_now,
    change_log_since,
    change_log_trim,
)
from lanekeeper.store.database import Database
from lanekeeper.store.device.life import Pick, claim_insert, claim_release, device_cleaned
from lanekeeper.store.device.report import DeviceRow, devices_merge
from lanekeeper.store.host.host import host_insert
from lanekeeper.store.schema import upgrade
from lanekeeper.store.tables import (
    change_log,
    device,
    inventory,
    provider_aggregate,
    provider_trait,
    resource_provider,
)

NOW = datetime(2026, 1, 1, tzinfo=UTC)
HOST = "11111111-1111-1111-1111-111111111111"


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    with Database(database_url) as database:
        upgrade(database.engine)
        yield database


def make(connection: sa.Connection, name: str, parent: str | None = None, root: str = "") -> None:
    connection.execute(
        resource_provider.insert().values(
            id=name, name=name, parent_id=parent, root_id=root or name, updated_at=NOW
        )
    )


def stock(connection: sa.Connection, name: str, class_: str, total: int, used: int = 0) -> None:
    connection.execute(
        inventory.delete().where(
            inventory.c.provider_id == name, inventory.c.resource_class == class_
        )
    )
    connection.execute(
        inventory.insert().values(
            provider_id=name,
            resource_class=class_,
            total=total,
            capacity=total,
            used=used,
            updated_at=NOW,
        )
    )


def plain(snapshot: Snapshot) -> object:
    """Everything that a snapshot says, by ids instead of rows."""
    trees = snapshot.shape.trees

    def ids(rows: np.ndarray) -> frozenset[str]:
        return frozenset(trees.ids[row] for row in rows)

    return (
        {
            id_: (
                trees.ids[trees.root[row]],
                trees.parent[row] >= 0 and trees.ids[trees.parent[row]],
            )
            for id_, row in trees.row_of.items()
        },
        {name: ids(rows) for name, rows in snapshot.shape.traits.rows_of.items()},
        {name: ids(rows) for name, rows in snapshot.shape.aggregates.rows_of.items()},
        {
            name: {trees.ids[row]: tuple(one.values[:, n]) for n, row in enumerate(one.rows)}
            for name, one in snapshot.stocks.items()
        },
    )


def check(database: Database, *following: InventoryMemory) -> None:
    anew = plain(InventoryMemory().current(database))
    for memory in following:
        assert plain(memory.current(database)) == anew


@pytest.mark.service
def test_a_snapshot_follows_whatever_is_written(database: Database) -> None:
    random, often, seldom = Random(17), InventoryMemory(), InventoryMemory()
    names = [f"p{n}" for n in range(12)]
    for step in range(300):
        name, other = random.sample(names, 2)

        def work(connection: sa.Connection, name: str = name, other: str = other) -> None:
            mine = resource_provider.c.id == name
            row = connection.execute(sa.select(resource_provider).where(mine)).one_or_none()
            match random.randrange(8):
                case 7:  # as a class is renamed
                    renamed = inventory.update().where(inventory.c.resource_class == "A")
                    connection.execute(renamed.values(resource_class="C"))
                case 0 if row is None:
                    make(connection, name)
                case 1 if row is not None:
                    connection.execute(resource_provider.delete().where(mine))
                case 2 if row is not None and row.root_id == name:
                    above = connection.execute(
                        sa.select(resource_provider).where(resource_provider.c.id == other)
                    ).one_or_none()
                    if above is not None and above.root_id != name:
                        below = resource_provider.c.root_id == name
                        connection.execute(
                            resource_provider.update().where(below).values(root_id=above.root_id)
                        )
                        connection.execute(
                            resource_provider.update().where(mine).values(parent_id=other)
                        )
                case 3 if row is not None:
                    stock(connection, name, random.choice("AB"), random.randrange(9))
                case 4 if row is not None:
                    connection.execute(
                        inventory.update()
                        .where(inventory.c.provider_id == name)
                        .values(used=inventory.c.used + 1)
                    )
                case 5 if row is not None:
                    pair = {"provider_id": name, "trait": random.choice("TUV")}
                    if connection.execute(provider_trait.delete().filter_by(**pair)).rowcount == 0:
                        connection.execute(provider_trait.insert().values(**pair))
                case 6 if row is not None:
                    pair = {"provider_id": name, "aggregate_id": random.choice("GHI")}
                    gone = provider_aggregate.delete().filter_by(**pair)
                    if connection.execute(gone).rowcount == 0:
                        connection.execute(provider_aggregate.insert().values(**pair))
            if random.random() < 0.1:
                raise Conflict("what was written is undone")

        with suppress(Conflict, IntegrityError):  # a provider with children stays
            database.write(work)
        if step % 5 == 0:
            check(database, often, *([seldom] if step % 50 == 0 else []))
    check(database, often, seldom)


@pytest.mark.service
def test_a_snapshot_follows_the_life_of_devices(database: Database) -> None:
    pf = DeviceRow(
        address="0000:21:00.0",
        vendor_id="8086",
        product_id="10c9",
        dev_type="type-PF",
        resource_class="CUSTOM_SRIOV_NET_PF",
    )
    vfs = [
        DeviceRow(
            address=f"0000:21:10.{number}",
            vendor_id="8086",
            product_id="10ca",
            dev_type="type-VF",
            parent=pf.address,
            vf_index=number,
            resource_class="SRIOV_NET_VF",
        )
        for number in range(4)
    ]
    database.write(lambda c: host_insert(c, HOST, "h1", "secret", NOW))
    ids = database.write(lambda c: devices_merge(c, HOST, [pf, *vfs], NOW).ids)
    memory = InventoryMemory()

    def place(connection: sa.Connection) -> None:
        make(connection, "card")
        connection.execute(device.update().values(provider_id="card"))

    def free() -> dict[str, int]:
        check(database, memory)
        snapshot = memory.current(database)
        return {
            name: int(one.values[0, 0] - one.values[1, 0]) for name, one in snapshot.stocks.items()
        }

    database.write(place)
    assert free() == {"CUSTOM_SRIOV_NET_PF": 1, "SRIOV_NET_VF": 4}
    database.write(lambda c: claim_insert(c, "s", [Pick(ids[vfs[0].address], "r")], NOW))
    assert free() == {"CUSTOM_SRIOV_NET_PF": 0, "SRIOV_NET_VF": 3}
    database.write(lambda c: claim_release(c, "s", NOW))
    assert free() == {"CUSTOM_SRIOV_NET_PF": 0, "SRIOV_NET_VF": 3}
    database.write(lambda c: device_cleaned(c, HOST, ids[vfs[0].address], 1, NOW))
    assert free() == {"CUSTOM_SRIOV_NET_PF": 1, "SRIOV_NET_VF": 4}
    database.write(lambda c: claim_insert(c, "s", [Pick(ids[pf.address], "r")], NOW))
    assert free() == {"CUSTOM_SRIOV_NET_PF": 0, "SRIOV_NET_VF": 0}
    database.write(lambda c: devices_merge(c, HOST, [pf, *vfs[:2]], NOW))
    assert free() == {"CUSTOM_SRIOV_NET_PF": 0, "SRIOV_NET_VF": 0}


@pytest.mark.service
def test_what_commits_late_is_not_missed(database: Database) -> None:
    """On PostgreSQL a line with an earlier position can become visible after a later one."""
    if database.engine.dialect.name == "sqlite":
        pytest.skip("SQLite has one writer at a time")
    memory = InventoryMemory()
    check(database, memory)
    slow = database.engine.connect()
    transaction = slow.begin()
    make(slow, "slow")  # its line has its position now
    for name in ("quick", "quicker"):
        database.write(lambda c, name=name: make(c, name))  # type: ignore[misc]
        assert name in memory.current(database).shape.trees.row_of
    transaction.commit()
    slow.close()
    assert "slow" in memory.current(database).shape.trees.row_of
    check(database, memory)


@pytest.mark.service
def test_whoever_is_too_far_behind_or_ahead_is_told(database: Database) -> None:
    for name in "abc":
        database.write(lambda c, name=name: make(c, name))  # type: ignore[misc]
    with database.read() as connection:
        now = change_log_now(connection)
        assert change_log_since(connection, Seen()).providers == frozenset("abc")
        assert change_log_since(connection, now).providers == frozenset()
        # A restored backup, or another cluster.
        lost = Seen(now.position + 5, now.xmax + 1_000_000)
        assert change_log_since(connection, lost).providers is None
    database.write(change_log_forget)
    with database.read() as connection:
        assert change_log_since(connection, now).providers is None
        if connection.dialect.name == "postgresql":  # no dead lines that a search would pass
            assert connection.scalar(sa.text("SELECT pg_relation_size('change_log')")) == 0


@pytest.mark.service
def test_who_is_up_to_date_is_so_whatever_else_goes_on(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A transaction that stays open, anywhere in the cluster, makes nobody read all anew."""
    monkeypatch.setattr("lanekeeper.store.change_log.KEPT", 3)

    def write(name: str) -> None:
        database.write(lambda c: make(c, name))
        database.write(change_log_trim)

    for name in "abcdef":
        write(name)
    others = database.engine.connect()
    if database.engine.dialect.name == "postgresql":
        others.execute(sa.text("SELECT pg_current_xact_id()"))
    with others, database.read() as connection:
        seen = change_log_now(connection)
    for name in "ghi":
        write(name)
        with database.read() as connection:
            changes = change_log_since(connection, seen)
        assert changes.providers == frozenset(name)
        seen = changes.seen
    for name in "jklmn":
        write(name)
    with database.read() as connection:
        assert change_log_since(connection, seen).providers is None


@pytest.mark.service
def test_old_lines_are_forgotten_a_little_at_a_time(database: Database) -> None:
    told = int(database.engine.dialect.name == "postgresql")  # SQLite counts no transactions
    lines = [
        {"position": n + 1, "xid": 1 + (n >= 15_000), "provider_id": "p", "amounts_only": True}
        for n in range(KEPT + 15_000)
    ]
    database.write(lambda c: c.execute(change_log.insert(), lines))
    assert [database.write(change_log_trim) for _ in range(3)] == [True, False, False]
    with database.read() as connection:
        assert change_log_since(connection, Seen(14_999, told)).providers is None
        assert change_log_since(connection, Seen(15_000, 2 * told)).providers is not None
    with database.read() as connection:
        assert connection.scalar(sa.select(sa.func.count()).select_from(change_log)) == KEPT


def test_every_table_and_event_has_a_trigger() -> None:
    with Database("sqlite://") as database:
        upgrade(database.engine)
        with database.engine.connect() as connection:
            found = connection.execute(
                sa.text("SELECT tbl_name, name FROM sqlite_master WHERE type = 'trigger'")
            ).all()
    tables = {
        "resource_provider",
        "provider_trait",
        "provider_aggregate",
        "inventory",
        "device",
        "card",
        "host",
        "host_aggregate",
    }
    wanted = {
        (t, f"change_log_{t}_{e}") for t, e in product(tables, ("insert", "update", "delete"))
    }
    assert {tuple(row) for row in found} == wanted
