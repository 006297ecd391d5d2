"""Who holds several things holds them in one order: PostgreSQL finds no deadlock, ever."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from random import Random
from uuid import UUID

import pytest
import sqlalchemy as sa

from fleet import Fleet, fleet, lab_devices
from lanekeeper.control.host.facts import report_facts
from lanekeeper.control.host.removal import remove_host
from lanekeeper.control.placement.allocation import delete_allocations, put_allocations
from lanekeeper.control.placement.consumer import ConsumerClaim
from lanekeeper.control.placement.inventory import list_inventories, put_inventories
from lanekeeper.control.placement.provider_label import put_aggregates
from lanekeeper.control.placement.reshape import NewInventory, reshape
from lanekeeper.control.placement.resource_name import ensure_class, rename_class
from lanekeeper.control.placement.resource_provider import create_provider, update_provider
from lanekeeper.control.verify.verify import verify
from lanekeeper.domain.errors import Error
from lanekeeper.domain.placement.inventory import Inventory
from lanekeeper.protocol import HostFacts
from lanekeeper.store.placement.hold import classes_hold, trees_hold
from lanekeeper.store.placement.resource_provider import provider_insert
from lanekeeper.store.tables import resource_provider
from postgres import PostgreSQL
from storm import in_threads

pytestmark = pytest.mark.service
_ROUNDS, _PROVIDERS = 80, 5
_CLASSES = ("CUSTOM_A", "CUSTOM_B")
_OTHER = "CUSTOM_C"
_PF = "0000:41:00.0"


def identifier(random: Random) -> str:
    return str(UUID(int=random.getrandbits(128), version=4))


class Actor:
    """One who does everything that holds several rows, on the same few providers as all others."""

    def __init__(
        self, fleet: Fleet, random: Random, providers: list[str], consumers: list[str]
    ) -> None:
        self._fleet, self._site = fleet, fleet.site
        self._random, self._providers, self._consumers = random, providers, consumers

    def act(self) -> None:
        doing: tuple[Callable[[], object], ...] = (
            self._claim,
            self._claim,
            self._reshape,
            self._move,
            self._rename,
            self._report,
            self._mark,
            self._drop,
        )
        for _ in range(_ROUNDS):
            with suppress(Error):  # a lost race, a full provider: as it may be
                self._random.choice(doing)()

    def _claims(self) -> list[ConsumerClaim]:
        every = [*self._providers, *self._fleet.hosts.values()]
        return [
            ConsumerClaim(
                consumer_id=consumer,
                amounts={
                    provider: {"VCPU" if provider in self._fleet.hosts.values() else name: 1}
                    for provider in self._random.sample(every, self._random.randint(0, 3))
                    for name in [self._random.choice(_CLASSES)]
                },
                project_id="p",
                user_id="u",
            )
            for consumer in self._random.sample(self._consumers, 2)
        ]

    def _claim(self) -> None:
        put_allocations(self._site, self._claims())

    def _drop(self) -> None:
        delete_allocations(self._site, self._random.choice(self._consumers))

    def _reshape(self) -> None:
        stocks = []
        for provider in self._random.sample(self._providers, 2):
            generation = list_inventories(self._site, provider)[0].generation
            wanted = {name: Inventory(total=self._random.randint(20, 30)) for name in _CLASSES}
            stocks.append(NewInventory(provider, generation, wanted))
        reshape(self._site, stocks, self._claims())

    def _move(self) -> None:
        one, other = self._random.sample(self._providers, 2)
        parent = self._random.choice((None, other))
        update_provider(self._site, one, one, (parent,), may_move=True)

    def _rename(self) -> None:
        name = self._random.choice(_CLASSES)
        rename_class(self._site, name, _OTHER)
        rename_class(self._site, _OTHER, name)

    def _mark(self) -> None:
        marks = set(self._random.sample(self._consumers, 2))
        put_aggregates(self._site, self._random.choice(self._providers), None, marks)

    def _report(self) -> None:
        name = self._random.choice(sorted(self._fleet.hosts))
        tell(
            self._fleet, name, cards=self._random.choice((1, 2)), vcpus=self._random.choice((8, 9))
        )


def tell(fleet: Fleet, name: str, *, cards: int, vcpus: int = 8) -> None:
    devices = [one for one in lab_devices() if cards > 1 or _PF not in (one.address, one.parent)]
    facts = HostFacts(
        host_name=name, vcpus=vcpus, memory_mib=4096, disk_gib=100, devices=devices, mappings={}
    )
    report_facts(fleet.site, fleet.hosts[name], facts)


def test_nobody_waits_in_a_circle(postgresql: PostgreSQL, tmp_path: Path) -> None:
    before, random = postgresql.deadlocks(), Random(7)
    url = postgresql.url(postgresql.create())
    with fleet(url, tmp_path, hosts=2) as made:
        for name in _CLASSES:
            ensure_class(made.site, name)
        providers = [identifier(random) for _ in range(_PROVIDERS)]
        for provider in providers:
            create_provider(made.site, provider, provider, None)
            stock = {name: Inventory(total=25) for name in _CLASSES}
            put_inventories(made.site, provider, 0, stock)
        consumers = [identifier(random) for _ in range(6)]
        actors = [Actor(made, Random(number), providers, consumers) for number in range(6)]
        in_threads([actor.act for actor in actors])
        with made.site.database.read() as connection:
            assert [one for one in verify(connection) if not one.notice] == []
    assert postgresql.deadlocks() == before


@pytest.fixture
def world(postgresql: PostgreSQL, tmp_path: Path) -> Iterator[Fleet]:
    with fleet(postgresql.url(postgresql.create()), tmp_path) as made:
        yield made


def provider_of_card(world: Fleet) -> tuple[str, str]:
    """Id and name of the provider of the card that may be away."""
    named = resource_provider.c.name.like(f"%{_PF}%")
    with world.site.database.read() as connection:
        id_, name = connection.execute(
            sa.select(resource_provider.c.id, resource_provider.c.name).where(named)
        ).one()
    return id_, name


def hang_below(world: Fleet, parent_id: str, *, meanwhile: Callable[[], object]) -> list[Exception]:
    """Hang a client's provider below another; *meanwhile* begins before that is committed.

    Returns what *meanwhile* raised.
    """
    child, failures = identifier(Random(1)), list[Exception]()
    hung, waited = threading.Event(), threading.Event()

    def other() -> None:
        assert hung.wait(30)
        threading.Timer(0.3, waited.set).start()  # it waits for the child, and cannot say so
        try:
            meanwhile()
        except Exception as error:
            failures.append(error)

    def hang(connection: sa.Connection) -> None:
        trees_hold(connection)
        provider_insert(
            connection, child, name="child", parent_id=parent_id,
            root_id=world.hosts["h1"], now=world.site.clock(),
        )  # fmt: skip
        hung.set()
        assert waited.wait(30)

    in_threads([other, lambda: world.site.database.write(hang)])
    return failures


def test_a_card_that_goes_while_a_client_hangs_something_below_it(world: Fleet) -> None:
    """The report is taken; the provider stays for what was hung below it, with its name."""
    known = provider_of_card(world)
    failures = hang_below(world, known[0], meanwhile=lambda: tell(world, "h1", cards=1))
    assert failures == []
    assert provider_of_card(world) == known


def test_a_host_that_goes_while_a_client_hangs_something_below_it(world: Fleet) -> None:
    home = world.hosts["h1"]
    failures = hang_below(world, home, meanwhile=lambda: remove_host(world.site, home))
    assert failures == []
    with world.site.database.read() as connection:
        assert connection.scalars(sa.select(resource_provider.c.id)).all() == []


def test_a_name_that_is_not_there_yet_is_held_as_well(world: Fleet) -> None:
    """Else it would come, be found and go while an inventory is written under it."""
    site, come = world.site, threading.Event()
    ensure_class(site, "CUSTOM_B")

    def rename() -> None:
        rename_class(site, "CUSTOM_B", "CUSTOM_A")
        come.set()

    renaming = threading.Thread(target=rename)

    def write(connection: sa.Connection) -> None:
        classes_hold(connection)
        renaming.start()
        assert not come.wait(0.5)

    site.database.write(write)
    renaming.join(30)
    assert come.is_set()
