"""The list of devices: page by page, of one host, of one state; no fleet for one device."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from fleet import Fleet, fleet, lab_devices, pf_and_vfs
from lanekeeper.control.host.device import Device, list_devices, show_device
from lanekeeper.domain.errors import Invalid, NotFound
from lanekeeper.store.device.device import devices_counted
from lanekeeper.store.device.life import Pick, claim_insert
from lanekeeper.store.tables import device

PER_HOST = len(lab_devices())


@pytest.fixture
def world(database_url: str, tmp_path: Path) -> Iterator[Fleet]:
    with fleet(database_url, tmp_path, hosts=3) as made:
        yield made


def pages(world: Fleet, size: int, host: str | None = None) -> list[Device]:
    found: list[Device] = []
    while page := list_devices(world.site, host, after=found[-1].id if found else None, limit=size):
        assert len(page) <= size
        found += page
    return found


@pytest.mark.parametrize("size", [1, 7, PER_HOST, 1000])
def test_pages_make_the_whole_list(world: Fleet, size: int) -> None:
    whole = list_devices(world.site)
    assert len(whole) == 3 * PER_HOST
    assert [(one.host, one.address) for one in whole] == sorted(
        (one.host, one.address) for one in whole
    )
    assert pages(world, size) == whole
    assert pages(world, size, "h2") == [one for one in whole if one.host == "h2"]


def test_states_are_asked_of_the_database(world: Fleet) -> None:
    one, other, *_ = list_devices(world.site, "h1")

    def work(connection: sa.Connection) -> None:
        for id_, values in ((one.id, {"present": False}), (other.id, {"state": "quarantined"})):
            connection.execute(device.update().where(device.c.id == id_).values(**values))

    world.site.database.write(work)
    assert [found.id for found in list_devices(world.site, state="missing")] == [one.id]
    assert [found.id for found in list_devices(world.site, state="quarantined")] == [other.id]
    assert len(list_devices(world.site, "h1", "available")) == PER_HOST - 2
    assert list_devices(world.site, "h2", "missing") == []


def test_what_no_entry_lists_any_more_is_not_missing(world: Fleet) -> None:
    """It is told of in facts, at its address and with its ids; a held one is told so, too."""
    still = {"0000:41:00.0": "8086:10c9", "0000:41:10.0": "8086:10ca", "0000:41:10.1": "8086:9999"}
    world.host("h4", pf_and_vfs("41", 3))
    held = next(one for one in list_devices(world.site, "h4") if one.address == "0000:41:10.0")
    world.site.database.write(lambda c: claim_insert(c, "web", [Pick(held.id, "r")], world.hands()))
    world.host("h4", (), unlisted=still)
    found = {one.address: one.state for one in list_devices(world.site, "h4")}
    assert found == {
        "0000:41:00.0": "unlisted",
        "0000:41:10.0": "unlisted",
        "0000:41:10.1": "missing",  # another is in its place
        "0000:41:10.2": "missing",
    }
    for state in ("unlisted", "missing"):
        asked = list_devices(world.site, "h4", state)
        assert [one.address for one in asked] == [at for at in found if found[at] == state]
    assert list_devices(world.site, "h4", "held") == []
    assert show_device(world.site, held.id).state == "unlisted"
    with world.site.database.read() as connection:
        counted = {row[2]: row[3] for row in devices_counted(connection) if row[0] == "h4"}
    assert counted == {"unlisted": 1}


def test_one_device_is_one_row(world: Fleet) -> None:
    wanted = list_devices(world.site)[-1]
    assert show_device(world.site, wanted.id) == wanted
    with pytest.raises(NotFound, match="no device has the id"):
        show_device(world.site, str(uuid.uuid4()))


@pytest.mark.parametrize("limit", [0, -1, 1001])
def test_a_limit_has_bounds(world: Fleet, limit: int) -> None:
    with pytest.raises(Invalid, match=f"limit {limit} is not between 1 and 1000"):
        list_devices(world.site, limit=limit)


def test_a_marker_is_a_device(world: Fleet) -> None:
    with pytest.raises(Invalid, match="marker: no device has the id nothing"):
        list_devices(world.site, after="nothing")


def test_what_waits_for_somebody_is_listed_alone(world: Fleet) -> None:
    spent, dirty, gone, ill, busy, aside, *_ = (
        one for one in list_devices(world.site, "h1") if one.listed
    )
    changes: dict[str, dict[str, object]] = {
        spent.id: {"reserved": "spent"},
        dirty.id: {"state": "quarantined"},
        gone.id: {"state": "held", "present": False},
        ill.id: {"unfit": "its link is down"},
        busy.id: {"reserved": "spent", "state": "cleaning"},
        aside.id: {"reserved": "retired"},
    }

    def work(connection: sa.Connection) -> None:
        for id_, values in changes.items():
            connection.execute(device.update().where(device.c.id == id_).values(**values))

    world.site.database.write(work)
    waiting = {one.id for one in list_devices(world.site, waiting=True)}
    assert waiting == {spent.id, dirty.id, gone.id, ill.id}
