"""The fleet in memory: whatever is written, by whomever, what it follows is what is there."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from random import Random

import pytest
import sqlalchemy as sa

from fleet import Fleet, fleet
from lanekeeper.control.compute.fleet import FleetMemory
from lanekeeper.control.host.device import list_devices
from lanekeeper.control.host.device_reserve import retire_device
from lanekeeper.control.host.removal import remove_host
from lanekeeper.domain.errors import Conflict, Unavailable
from lanekeeper.domain.scheduling.fleet import Fleet as Hosts
from lanekeeper.store.compute.aggregate import aggregate_insert, aggregate_update
from lanekeeper.store.compute.capacity import host_enabled_set
from lanekeeper.store.database import Database
from lanekeeper.store.device.life import Pick, claim_insert, claim_release, device_cleaned
from lanekeeper.store.host.host import hosts_seen
from lanekeeper.store.tables import device, host, inventory, resource_provider

pytestmark = pytest.mark.service

NOW = datetime(2026, 11, 21, 9, tzinfo=UTC)
DOWN_AFTER_S = 60.0


@pytest.fixture
def world(database_url: str, tmp_path: Path) -> Iterator[Fleet]:
    with fleet(database_url, tmp_path, hosts=3) as made:
        yield made


def test_a_fleet_follows_whatever_is_written(world: Fleet) -> None:
    random, often, seldom = Random(11), FleetMemory(), FleetMemory()
    for step in range(120):
        host_id = random.choice(list(world.hosts.values()))
        work = random.choice([_claim, _free, _unlist, _forget, _count, _switch, _freeze, _zone])
        with suppress(Conflict):
            world.site.database.write(partial(work, host_id=host_id, random=random, step=step))
        if step % 4 == 0:
            check(world, often, *([seldom] if step % 40 == 0 else []))
    check(world, often, seldom)


def test_what_no_provider_counts_is_followed_too(world: Fleet) -> None:
    memory = FleetMemory()
    world.host("h1", [])  # its devices are gone, and with them their providers
    check(world, memory)
    gone = next(one for one in list_devices(world.site) if one.host == "h1" and one.listed)
    retire_device(world.site, gone.id)
    check(world, memory)


def check(world: Fleet, *following: FleetMemory, now: datetime = NOW) -> None:
    anew = FleetMemory().current(world.site.database, now, DOWN_AFTER_S)
    for memory in following:
        assert told(memory.current(world.site.database, now, DOWN_AFTER_S)) == told(anew)


def told(hosts: Hosts) -> object:
    return hosts.views, Hosts.of(hosts.views).free.keys(), hosts.free_devices.tolist()


def _claim(c: sa.Connection, host_id: str, random: Random, step: int) -> None:
    free = sa.select(device.c.id).where(
        device.c.host_id == host_id, device.c.state == "available", device.c.pf_id.is_not(None)
    )
    ids = sorted(c.scalars(free))
    if ids:
        claim_insert(c, f"server-{step}", [Pick(random.choice(ids), "r")], NOW)


def _free(c: sa.Connection, host_id: str, random: Random, step: int) -> None:
    for device_id in claim_release(c, f"server-{random.randrange(step + 1)}", NOW):
        if random.getrandbits(1):
            device_cleaned(c, host_id, device_id, 1, NOW)


def _unlist(c: sa.Connection, host_id: str, random: Random, step: int) -> None:
    one = random.choice(sorted(c.scalars(sa.select(device.c.id).filter_by(host_id=host_id))))
    mine = device.update().where(device.c.id == one)
    if random.getrandbits(1):
        c.execute(mine.values(listed=False, provider_id=None))
    else:
        c.execute(mine.values(listed=True, provider_id=host_id, tags={"trusted": "true"}))


def _forget(c: sa.Connection, host_id: str, random: Random, step: int) -> None:
    one = random.choice(sorted(c.scalars(sa.select(device.c.id).filter_by(host_id=host_id))))
    c.execute(device.update().where(device.c.id == one).values(present=~device.c.present))


def _count(c: sa.Connection, host_id: str, random: Random, step: int) -> None:
    mine = inventory.c.provider_id == host_id, inventory.c.resource_class == "VCPU"
    c.execute(inventory.update().where(*mine).values(used=random.randrange(4)))


def _switch(c: sa.Connection, host_id: str, random: Random, step: int) -> None:
    host_enabled_set(c, host_id, enabled=bool(random.getrandbits(1)), reason="dust")


def _freeze(c: sa.Connection, host_id: str, random: Random, step: int) -> None:
    values: dict[str, object] = {"frozen_reason": random.choice(["", "history lost"])}
    values["facts"] = {"mappings": random.choice([{}, {"physnet2": ["ens1"]}])}
    c.execute(host.update().where(host.c.id == host_id).values(**values))


def _zone(c: sa.Connection, host_id: str, random: Random, step: int) -> None:
    name = c.scalar(sa.select(host.c.name).where(host.c.id == host_id))
    says = {"availability_zone": f"zone-{step}"} if step % 2 else {"note": f"note-{step}"}
    made = aggregate_insert(c, f"uuid-{step}", f"aggregate-{step}", says, NOW)
    aggregate_update(c, made.id, hosts=[name])


def test_a_host_that_is_gone_is_no_choice_and_one_that_came_is(world: Fleet) -> None:
    memory = FleetMemory()
    check(world, memory)
    gone = world.host("h9")
    check(world, memory)
    world.hands.turn(3600)
    remove_host(world.site, gone)
    check(world, memory, now=world.hands())
    assert "h9" not in [view.name for view in memory.current(*_asked(world)).views]


def _asked(world: Fleet) -> tuple[Database, datetime, float]:
    return world.site.database, world.hands(), DOWN_AFTER_S


def test_an_agent_is_up_while_it_is_heard(world: Fleet) -> None:
    memory, database = FleetMemory(), world.site.database
    first, *_ = world.hosts.values()

    def up(now: datetime) -> set[str]:
        views = memory.current(database, now, DOWN_AFTER_S).views
        return {view.id for view in views if view.alive}

    assert up(NOW) == set(world.hosts.values())
    late = NOW + timedelta(seconds=DOWN_AFTER_S + 1)
    assert up(late) == set()
    database.write(lambda c: hosts_seen(c, [(first, late)]))
    assert up(late) == {first}
    assert up(NOW) == set(world.hosts.values())
    check(world, memory, now=late)


def test_a_provider_that_is_nobodys_host_changes_nothing(world: Fleet) -> None:
    memory, database = FleetMemory(), world.site.database
    before = memory.current(database, NOW, DOWN_AFTER_S)
    database.write(
        lambda c: c.execute(
            resource_provider.insert().values(id="p", name="p", root_id="p", updated_at=NOW)
        )
    )
    assert memory.current(database, NOW, DOWN_AFTER_S) is before


def test_a_change_is_not_lost_with_the_look_that_saw_it(
    world: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    memory, database = FleetMemory(), world.site.database
    first, *_ = world.hosts.values()
    memory.current(database, NOW, DOWN_AFTER_S)
    database.write(lambda c: host_enabled_set(c, first, enabled=False, reason="dust"))

    def away(*_: object) -> None:
        raise Unavailable("the database is away")

    with monkeypatch.context() as broken:
        broken.setattr("lanekeeper.control.compute.fleet.hosts_heard", away)
        with pytest.raises(Unavailable):
            memory.current(database, NOW, DOWN_AFTER_S)
    check(world, memory)
    view = memory.current(database, NOW, DOWN_AFTER_S).view(first)
    assert view is not None
    assert not view.enabled
