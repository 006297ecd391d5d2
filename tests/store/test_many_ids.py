"""More ids than a statement may have values: 65,535 on PostgreSQL, 32,766 on SQLite."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import pytest
import sqlalchemy as sa

from lanekeeper.domain.placement.listing import ProviderFilter
from lanekeeper.store.batch import MOST, batches
from lanekeeper.store.database import Database
from lanekeeper.store.device.device import devices_provide
from lanekeeper.store.device.report import DeviceRow, devices_merge
from lanekeeper.store.host.host import host_insert
from lanekeeper.store.placement.allocation import (
    allocations_delete,
    provider_ids_held_of,
    provider_inventories_load,
)
from lanekeeper.store.placement.consumer import consumers_find, servers_among
from lanekeeper.store.placement.hold import providers_hold
from lanekeeper.store.placement.lines import lines_of
from lanekeeper.store.placement.resource_name import classes_found, traits_found
from lanekeeper.store.placement.resource_provider import (
    generations_of,
    provider_insert,
    provider_list,
    root_set,
)
from lanekeeper.store.schema import upgrade

NOW = datetime(2026, 1, 1, tzinfo=UTC)
HOST = "11111111-1111-1111-1111-111111111111"
MANY = [f"id-{number}" for number in range(70_000)]


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    with Database(database_url, answer_within_s=60) as database:
        upgrade(database.engine)
        yield database


def test_batches_hold_each_once() -> None:
    some = list(batches([*MANY, *MANY[:10]]))
    assert sorted(MANY) == [one for batch in some for one in batch]
    assert max(map(len, some)) == MOST


@pytest.mark.parametrize(
    "asks",
    [
        generations_of,
        lambda c, ids: root_set(c, ids, "root"),
        allocations_delete,
        consumers_find,
        provider_ids_held_of,
        servers_among,
        provider_inventories_load,
        providers_hold,
        classes_found,
        traits_found,
        lines_of,
    ],
)
def test_ids_without_number(
    database: Database, asks: Callable[[sa.Connection, list[str]], object]
) -> None:
    database.write(lambda connection: asks(connection, MANY))


def test_a_list_by_what_is_free_names_no_provider_in_its_statement(database: Database) -> None:
    """Many providers of devices have some: as many as there are, they cost no value each."""
    devices = [
        DeviceRow(
            address=f"0000:{number // 256:02x}:{number % 256 // 8:02x}.{number % 8}",
            vendor_id="8086", product_id="10c9", dev_type="type-PCI", resource_class="CUSTOM_A",
        )
        for number in range(60)
    ]  # fmt: skip

    def fill(connection: sa.Connection) -> None:
        host_insert(connection, HOST, "h1", "secret", NOW)
        for address, id_ in devices_merge(connection, HOST, devices, NOW).ids.items():
            provider_insert(connection, id_, name=address, parent_id=None, root_id=id_, now=NOW)
            devices_provide(connection, {id_: id_})

    database.write(fill)
    values: list[int] = []
    with database.read() as connection:

        @sa.event.listens_for(connection, "before_cursor_execute")
        def count(*told: object) -> None:
            values.append(len(told[3]))  # type: ignore[arg-type]

        free = provider_list(connection, ProviderFilter(resources=(("CUSTOM_A", 1),)))
        none = provider_list(connection, ProviderFilter(resources=(("CUSTOM_A", 2),)))
    assert (len(free), none) == (60, [])
    assert max(values) < len(devices)
