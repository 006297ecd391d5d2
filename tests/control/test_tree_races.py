"""Trees and classes that several clients change at once stay trees and classes."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from threading import Barrier

import pytest

from lanekeeper.clock import utc_now
from lanekeeper.config import Config
from lanekeeper.control.placement.inventory import add_inventory, delete_inventories
from lanekeeper.control.placement.resource_name import (
    delete_class,
    ensure_class,
    unknown_classes,
)
from lanekeeper.control.placement.resource_provider import (
    create_provider,
    delete_provider,
    update_provider,
)
from lanekeeper.control.site import Site
from lanekeeper.control.verify.verify import verify
from lanekeeper.domain.errors import Error
from lanekeeper.domain.placement.inventory import Inventory
from lanekeeper.store.database import Database
from lanekeeper.store.placement.inventory import inventories_of
from lanekeeper.store.schema import upgrade

pytestmark = pytest.mark.service
ROUNDS = 15
A, B, CHILD = (f"{n}0000000-0000-4000-8000-000000000000" for n in "abc")


@pytest.fixture
def site(database_url: str, tmp_path: Path) -> Iterator[Site]:
    with Database(database_url) as database:
        upgrade(database.engine)
        yield Site(database=database, config=Config(), clock=utc_now, state_dir=tmp_path)


def at_once(*works: Callable[[], object]) -> None:
    """Begin all at the same moment; what is refused is refused."""
    start = Barrier(len(works))

    def run(work: Callable[[], object]) -> None:
        start.wait(30)
        with suppress(Error):
            work()

    with ThreadPoolExecutor(len(works)) as pool:
        list(pool.map(run, works))


def nothing_is_wrong(site: Site) -> None:
    with site.database.read() as connection:
        assert [one for one in verify(connection) if not one.notice] == []
    site.inventory.current(site.database)


def move(site: Site, provider: str, parent: str | None) -> None:
    update_provider(site, provider, provider[0], (parent,), may_move=True)


def test_two_providers_never_hang_below_each_other(site: Site) -> None:
    for one in (A, B):
        create_provider(site, one[0], one, None)
    for _ in range(ROUNDS):
        at_once(lambda: move(site, A, B), lambda: move(site, B, A))
        nothing_is_wrong(site)
        for one in (A, B):
            move(site, one, None)


def test_a_child_has_the_root_that_its_parent_has(site: Site) -> None:
    for one in (A, B):
        create_provider(site, one[0], one, None)
    for _ in range(ROUNDS):
        move(site, B, A)
        at_once(lambda: create_provider(site, "child", CHILD, B), lambda: move(site, B, None))
        nothing_is_wrong(site)
        delete_provider(site, CHILD)


def test_a_class_is_not_deleted_under_who_gets_some(site: Site) -> None:
    create_provider(site, "a", A, None)
    for _ in range(ROUNDS):
        ensure_class(site, "CUSTOM_Z")
        at_once(
            lambda: add_inventory(site, A, "CUSTOM_Z", Inventory(total=1)),
            lambda: delete_class(site, "CUSTOM_Z"),
        )
        with site.database.read() as connection:
            stocked = inventories_of(connection, A)
            assert not unknown_classes(connection, stocked)
        delete_inventories(site, A)
