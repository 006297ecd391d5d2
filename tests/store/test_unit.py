"""Functions that are given away together: to one holder, or to none, and clean all of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime

import pytest
import sqlalchemy as sa

from lanekeeper.control.verify.verify import verify
from lanekeeper.domain.errors import Conflict
from lanekeeper.domain.pci.device import Reserve
from lanekeeper.domain.scheduling.host import Standing
from lanekeeper.store.change_log import change_log_now, change_log_since
from lanekeeper.store.compute.capacity import host_views
from lanekeeper.store.database import Database
from lanekeeper.store.device.device import devices_provide
from lanekeeper.store.device.health import fitness_set
from lanekeeper.store.device.life import Pick, claim_insert, claim_release, device_cleaned
from lanekeeper.store.device.report import DeviceRow, devices_merge
from lanekeeper.store.device.reserve import reserve_set
from lanekeeper.store.host.host import host_insert
from lanekeeper.store.placement.inventory import counted
from lanekeeper.store.schema import upgrade
from lanekeeper.store.tables import claim, device

NOW = datetime(2026, 1, 1, tzinfo=UTC)
HOST = "11111111-1111-1111-1111-111111111111"
GPU = DeviceRow(
    address="0000:51:00.0", vendor_id="10de", product_id="1db6", dev_type="type-PCI",
    resource_class="CUSTOM_GPU", unit="0000:51:00.0",
)  # fmt: skip
SOUND = replace(
    GPU, address="0000:51:00.1", product_id="10f2", resource_class="CUSTOM_SOUND",
    tags={"one_time_use": "true"},
)  # fmt: skip
LONE = replace(GPU, address="0000:61:00.0", unit=None)


class Host:
    def __init__(self, database: Database) -> None:
        self.database = database
        self.ids = database.write(lambda c: devices_merge(c, HOST, [GPU, SOUND, LONE], NOW).ids)
        owners = {one: f"p {one}" for one in self.ids.values()}
        database.write(lambda c: devices_provide(c, owners))
        self.gpu, self.sound, self.lone = (self.ids[one.address] for one in (GPU, SOUND, LONE))

    def take(self, consumer: str, *device_ids: str) -> None:
        picks = [Pick(one, f"request {one}") for one in device_ids]
        self.database.write(lambda c: claim_insert(c, consumer, picks, NOW))

    def held(self) -> dict[str, str]:
        with self.database.read() as connection:
            return {row.device_id: row.consumer_id for row in connection.execute(sa.select(claim))}

    def free(self) -> set[str]:
        """Those that Placement counts as free; the scheduler has to say the same."""
        with self.database.read() as connection:
            free = {row[0][2:] for row in connection.execute(counted(None)) if row[4]}
            (view,) = host_views(connection, NOW, ())
        assert free == {one.id for one in view.devices if one.standing is Standing.FREE}
        return free

    def standing(self, device_id: str) -> Standing:
        with self.database.read() as connection:
            (view,) = host_views(connection, NOW, ())
        return next(one.standing for one in view.devices if one.id == device_id)

    def cleaned(self, device_id: str, problem: str = "") -> None:
        def work(connection: sa.Connection) -> bool:
            mine = sa.select(device.c.cleaning_round).where(device.c.id == device_id)
            round_ = connection.execute(mine).scalar_one()
            return device_cleaned(connection, HOST, device_id, round_, NOW, problem=problem)

        assert self.database.write(work)


@pytest.fixture
def host(database_url: str) -> Iterator[Host]:
    with Database(database_url) as database:
        upgrade(database.engine)
        database.write(lambda c: host_insert(c, HOST, "h1", "secret", NOW))
        yield Host(database)


def test_who_claims_a_part_has_all_of_it_until_all_of_it_is_clean(host: Host) -> None:
    host.take("one", host.gpu)
    assert host.held() == {host.gpu: "one", host.sound: "one"}
    assert host.free() == {host.lone}
    with pytest.raises(Conflict):
        host.take("two", host.sound)
    host.database.write(lambda c: claim_release(c, "one", NOW))
    host.cleaned(host.gpu)
    assert host.free() == {host.lone}
    assert host.standing(host.gpu) is Standing.TIED
    with pytest.raises(Conflict):
        host.take("two", host.gpu)
    assert host.held() == {}
    host.cleaned(host.sound)
    assert host.standing(host.sound) is Standing.SPENT
    host.database.write(lambda c: reserve_set(c, host.sound, Reserve.NOT, NOW))
    assert host.free() == {host.gpu, host.sound, host.lone}


def test_both_parts_may_be_asked_for_by_one(host: Host) -> None:
    host.take("one", host.sound, host.gpu)
    with host.database.read() as connection:
        requests = set(connection.scalars(sa.select(claim.c.request_id)))
    assert requests == {f"request {host.gpu}", f"request {host.sound}"}


def test_what_came_along_goes_with_the_request_that_brought_it(host: Host) -> None:
    host.take("one", host.gpu, host.lone)
    host.database.write(lambda c: claim_release(c, "one", NOW, f"request {host.gpu}"))
    assert host.held() == {host.lone: "one"}


def test_what_another_request_needs_stays_as_what_comes_along(host: Host) -> None:
    host.take("one", host.gpu, host.sound, host.lone)
    request = f"request {host.gpu}"
    gone = host.database.write(lambda c: claim_release(c, "one", NOW, request))
    assert (gone, host.held()) == ((), dict.fromkeys((host.gpu, host.sound, host.lone), "one"))
    assert host.database.write(lambda c: claim_release(c, "one", NOW, request)) == ()
    gone = host.database.write(lambda c: claim_release(c, "one", NOW, f"request {host.sound}"))
    assert gone == tuple(sorted((host.gpu, host.sound)))
    assert host.held() == {host.lone: "one"}


@pytest.mark.parametrize("ill", ["unfit", "reserved", "quarantined"])
def test_a_part_that_cannot_be_had_keeps_the_rest_back(host: Host, ill: str) -> None:
    if ill == "unfit":
        host.database.write(lambda c: fitness_set(c, host.sound, "its link is down"))
    elif ill == "reserved":
        host.database.write(lambda c: reserve_set(c, host.sound, Reserve.ASIDE, NOW))
    else:
        host.take("one", host.gpu)
        host.database.write(lambda c: claim_release(c, "one", NOW))
        host.cleaned(host.gpu)
        host.cleaned(host.sound, "stuck")
    assert host.free() == {host.lone}
    assert host.standing(host.gpu) is Standing.TIED
    with pytest.raises(Conflict):
        host.take("two", host.gpu)


def test_the_change_log_names_all_of_a_unit(host: Host) -> None:
    with host.database.read() as connection:
        seen = change_log_now(connection)
    host.database.write(lambda c: reserve_set(c, host.sound, Reserve.ASIDE, NOW))
    with host.database.read() as connection:
        changes = change_log_since(connection, seen)
    assert changes.amounts == {f"p {host.gpu}", f"p {host.sound}"}


def test_verify_finds_a_unit_with_two_holders(host: Host) -> None:
    host.take("one", host.gpu)
    mine = claim.update().where(claim.c.device_id == host.sound).values(consumer_id="two")
    host.database.write(lambda c: c.execute(mine))
    with host.database.read() as connection:
        found = {one.invariant for one in verify(connection)}
    assert "device.unit" in found
