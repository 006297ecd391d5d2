"""What time makes needless goes, and nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from msgspec.structs import replace

from fleet import ADMIN, Fleet, config, fleet
from lanekeeper.config.tree import Own
from lanekeeper.control.compute.flavor import create_flavor
from lanekeeper.control.compute.server_create import create_servers
from lanekeeper.control.compute.server_order import NewServer
from lanekeeper.control.housekeeping import tidy
from lanekeeper.domain.compute.flavor import Flavor
from lanekeeper.store.batch import MOST
from lanekeeper.store.tables import server_event
from statements import statements

pytestmark = pytest.mark.service
_KEPT_MAX = 1000


@pytest.fixture
def world(database_url: str, tmp_path: Path) -> Iterator[Fleet]:
    settings = replace(config(), lanekeeper=Own(events_kept_days=30, events_kept_max=_KEPT_MAX))
    with fleet(database_url, tmp_path, settings) as made:
        yield made


def happened(world: Fleet, server_id: str, days_ago: float, count: int = 1) -> None:
    at = world.hands() - timedelta(days=days_ago)
    rows = [
        {"server_id": server_id, "action": "reboot", "at": at - timedelta(seconds=number)}
        for number in range(count)
    ]
    world.site.database.write(lambda connection: connection.execute(server_event.insert(), rows))


def left(world: Fleet) -> dict[str, int]:
    query = sa.select(server_event.c.server_id, sa.func.count()).group_by(server_event.c.server_id)
    with world.site.database.read() as connection:
        return dict(connection.execute(query).tuples().all())


def server(world: Fleet) -> str:
    flavor = Flavor(id="", name="m1", vcpus=1, ram_mib=64, disk_gib=1)
    flavor_id = create_flavor(world.site, flavor).id
    asked = NewServer(name="s", image_id=world.image(), flavor_id=flavor_id)
    (made,) = create_servers(world.site, ADMIN, asked)
    return made.id


def test_what_was_asked_of_servers_that_are_gone_is_forgotten_in_time(world: Fleet) -> None:
    there = server(world)
    happened(world, there, 31, count=3)
    happened(world, "gone lately", 29)
    happened(world, "gone long", 29)
    happened(world, "gone long", 30, count=2 * MOST + 1)
    with statements() as said:
        tidy(world.site)
    assert left(world) == {there: 4, "gone lately": 1, "gone long": 1}
    deletions = [one for one in said if one.text.startswith("DELETE FROM server_event")]
    assert [len(one.values) for one in deletions] == [MOST, MOST, 1]


def test_of_what_is_asked_of_many_servers_the_youngest_is_kept(world: Fleet) -> None:
    there = server(world)
    happened(world, there, 2, count=3)
    happened(world, "first", 1, count=5)
    happened(world, "second", 0, count=_KEPT_MAX - 2)
    tidy(world.site)
    assert left(world) == {there: 4, "first": 2, "second": _KEPT_MAX - 2}
