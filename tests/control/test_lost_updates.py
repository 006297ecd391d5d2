"""Two who change the same thing at the same moment: both changes are there afterwards."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier, BrokenBarrierError

import pytest
import sqlalchemy as sa

from fleet import ADMIN, Fleet, fleet
from lanekeeper.control.compute.aggregate import (
    add_host,
    create_aggregate,
    list_aggregates,
    remove_host,
    update_aggregate,
)
from lanekeeper.control.compute.flavor import create_flavor
from lanekeeper.control.compute.server import (
    change_metadata,
    change_tags,
    lock_server,
    reset_state,
    update_server,
)
from lanekeeper.control.compute.server_create import create_servers
from lanekeeper.control.compute.server_list import show_server
from lanekeeper.control.compute.server_order import NewServer
from lanekeeper.control.site import Site
from lanekeeper.domain.compute.flavor import Flavor
from lanekeeper.domain.errors import Conflict
from lanekeeper.store.host.desired import host_lock

pytestmark = pytest.mark.service


@pytest.fixture
def world(database_url: str, tmp_path: Path) -> Iterator[Fleet]:
    with fleet(database_url, tmp_path, hosts=4) as made:
        yield made


def at_once(*work: Callable[[], object]) -> list[bool]:
    """Do it all at the same moment; whether each was done, or came too late."""
    start = Barrier(len(work))

    def one(do: Callable[[], object]) -> bool:
        start.wait(timeout=60)
        try:
            do()
        except Conflict:
            return False
        return True

    with ThreadPoolExecutor(len(work)) as pool:
        return list(pool.map(one, work))


def meet(both: Barrier) -> None:
    """Wait for the rival, who comes only if nothing keeps it out."""
    try:
        both.wait(timeout=0.5)
    except BrokenBarrierError:
        both.reset()


def test_tags_and_metadata_of_a_server(world: Fleet) -> None:
    flavor = Flavor(id="", name="m1", vcpus=1, ram_mib=64, disk_gib=1)
    asked = NewServer(
        name="s", image_id=world.image(), flavor_id=create_flavor(world.site, flavor).id
    )
    (made,) = create_servers(world.site, ADMIN, asked)
    both = Barrier(2)

    def tag(text: str) -> Callable[[], object]:
        def change(old: list[str]) -> list[str]:
            meet(both)
            return [*old, text]

        return lambda: change_tags(world.site, ADMIN, made.id, change)

    def note(key: str) -> Callable[[], object]:
        def change(old: dict[str, str]) -> dict[str, str]:
            meet(both)
            return {**old, key: key}

        return lambda: change_metadata(world.site, ADMIN, made.id, change)

    at_once(tag("a"), tag("b"))
    at_once(note("a"), note("b"))
    record = show_server(world.site, ADMIN, made.id).record
    assert (sorted(record.tags), record.metadata) == (["a", "b"], {"a": "a", "b": "b"})


@pytest.mark.parametrize(
    "change",
    [
        lambda site, server_id: reset_state(site, ADMIN, server_id, active=False),
        lambda site, server_id: lock_server(site, ADMIN, server_id, locked=True),
        lambda site, server_id: update_server(site, ADMIN, server_id, {"name": "other"}),
        lambda site, server_id: change_tags(site, ADMIN, server_id, lambda _: ["a"]),
    ],
    ids=["reset_state", "lock", "update", "tags"],
)
def test_who_changes_a_server_waits_for_its_hosts_report(
    world: Fleet, change: Callable[[Site, str], object]
) -> None:
    flavor = Flavor(id="", name="m1", vcpus=1, ram_mib=64, disk_gib=1)
    asked = NewServer(
        name="s", image_id=world.image(), flavor_id=create_flavor(world.site, flavor).id
    )
    (made,) = create_servers(world.site, ADMIN, asked)
    both, done = Barrier(2), list[str]()

    def report(connection: sa.Connection) -> None:
        done.clear()
        host_lock(connection, made.host_id or "")
        meet(both)
        meet(both)
        done.append("report")

    def rival() -> None:
        meet(both)
        change(world.site, made.id)
        done.append("change")
        meet(both)

    assert at_once(lambda: world.site.database.write(report), rival) == [True, True]
    assert done == ["report", "change"]


def test_hosts_and_metadata_of_an_aggregate(world: Fleet) -> None:
    one = str(create_aggregate(world.site, "one", None).id)
    names = sorted(world.hosts)
    done = at_once(
        *(lambda name=name: add_host(world.site, one, name) for name in names),
        *(
            lambda key=key: update_aggregate(world.site, one, name=None, metadata={key: key})
            for key in names
        ),
    )
    (found,) = list_aggregates(world.site)
    assert (all(done), sorted(found.hosts)) == (True, names)
    assert dict(found.metadata) == {name: name for name in names}


def test_a_host_gets_into_one_zone_of_two(world: Fleet) -> None:
    east, west = (str(create_aggregate(world.site, zone, zone).id) for zone in ("east", "west"))
    for _ in range(10):
        done = at_once(
            lambda: add_host(world.site, east, "h1"), lambda: add_host(world.site, west, "h1")
        )
        assert sum(done) == 1
        remove_host(world.site, east if done[0] else west, "h1")
