"""A device's history: written with what happens, told whole, forgotten in time."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from msgspec.structs import replace

from fleet import ADMIN, PROJECT, Fleet, config, fleet, pf_and_vfs
from lanekeeper.api.lanekeeper.face import FACE
from lanekeeper.config.tree import Own
from lanekeeper.control.caller import Caller
from lanekeeper.control.compute.flavor import create_flavor
from lanekeeper.control.compute.server import delete_server
from lanekeeper.control.compute.server_create import create_servers
from lanekeeper.control.compute.server_order import NewServer
from lanekeeper.control.host.device import clean_device, list_devices
from lanekeeper.control.host.device_history import DeviceEvent, actor_of, device_history
from lanekeeper.control.host.device_reserve import release_device, retire_device
from lanekeeper.control.host.host import report_state
from lanekeeper.control.host.removal import remove_host
from lanekeeper.control.housekeeping import tidy
from lanekeeper.domain.compute.flavor import Flavor
from lanekeeper.domain.errors import Conflict, Invalid, NotFound
from lanekeeper.protocol import CleaningState, HostState
from lanekeeper.store.batch import MOST
from lanekeeper.store.device.history import What, device_place, history_write
from lanekeeper.store.device.life import Pick, claim_insert

pytestmark = pytest.mark.service
_KEPT_MAX = 1000


@pytest.fixture
def world(database_url: str, tmp_path: Path) -> Iterator[Fleet]:
    own = Own(device_history_kept_days=30, device_history_kept_max=_KEPT_MAX)
    with fleet(database_url, tmp_path, replace(config(), lanekeeper=own)) as made:
        made.seen()
        yield made


def held(world: Fleet) -> tuple[str, str]:
    """Returns the id of a server and that of its device."""
    spec = {"pci_passthrough:alias": "a1:1"}
    flavor = Flavor(id="m1", name="m1", vcpus=1, ram_mib=64, disk_gib=1, extra_specs=spec)
    create_flavor(world.site, flavor)
    asked = NewServer(name="web", flavor_id="m1", image_id=world.image())
    (server,) = create_servers(world.site, ADMIN, asked)
    world.obey()
    (device_id,) = (one.id for one in list_devices(world.site) if one.holder)
    return server.id, device_id


def told(events: list[DeviceEvent]) -> list[str]:
    return [one.what for one in reversed(events)]


def test_a_devices_way_is_told_with_holder_steps_and_reasons(world: Fleet) -> None:
    server_id, device_id = held(world)
    world.hands.turn(60)
    delete_server(world.site, ADMIN, server_id)
    world.report(server_id, "absent")
    for round_, clean in ((1, False), (2, True)):
        done = CleaningState(
            device_id=device_id, round=round_, clean=clean, steps=["VF settings at rest"],
            problem="" if clean else "it did not reset", seconds=1.5,
        )  # fmt: skip
        for _ in range(2):  # told twice, noted once
            report_state(world.site, world.hosts["h1"], HostState(cleaned=[done]))
        if not clean:
            clean_device(world.site, device_id)
    retire_device(world.site, device_id)
    release_device(world.site, device_id)
    events = device_history(world.site, device_id)
    assert told(events) == [
        "claimed", "released", "quarantined", "cleaning asked for", "cleaned", "retired",
        "returned",
    ]  # fmt: skip
    claimed, released, bad, _, good, *_ = reversed(events)
    assert (claimed.holder, released.holder) == (server_id, server_id)
    assert (claimed.host, claimed.project_id) == ("h1", PROJECT)
    assert released.at - claimed.at == timedelta(seconds=60)
    assert bad.detail["reason"] == "it did not reset"
    assert good.detail == {"round": 2, "steps": ["VF settings at rest"], "seconds": 1.5}
    assert device_history(world.site, claimed.address, "h1") == events
    assert (claimed.holder_name, released.holder_name) == ("web", "web")  # it is gone
    with pytest.raises(NotFound, match="no host is called 'h2'"):
        device_history(world.site, claimed.address, "h2")
    assert told(device_history(world.site, device_id, limit=1)) == ["returned"]


def test_who_asked_is_told(world: Fleet) -> None:
    server_id, device_id = held(world)
    delete_server(world.site, dataclasses.replace(ADMIN, request_id="req-1"), server_id)
    world.obey()
    me = Caller(user_id="op", user_name="op", project_id="admins", request_id="req-2")
    retire_device(world.site, device_id, actor_of(me))
    release_device(world.site, device_id, actor_of(me))
    found = {one.what: one.by for one in device_history(world.site, device_id)}
    operator = {"user_id": "op", "project_id": "admins", "request_id": "req-2"}
    assert found == {
        "claimed": None,
        "released": {"user_id": ADMIN.user_id, "project_id": PROJECT, "request_id": "req-1"},
        "cleaned": None,
        "retired": operator,
        "returned": operator,
    }


def test_that_it_is_spent_is_an_event(world: Fleet) -> None:
    """With the claim, or when an entry says so while a guest has it; once."""
    one, other, *_ = pf_and_vfs("41", 3)[1:]
    pf = pf_and_vfs("41", 0)[0]
    once = [replace(vf, tags={"one_time_use": "true"}) for vf in (one, other)]
    world.host("h9", [pf, once[0], other])
    ids = {one.address: one.id for one in list_devices(world.site, "h9")}
    picks = [Pick(ids[one.address], "r1"), Pick(ids[other.address], "r2")]
    world.site.database.write(lambda c: claim_insert(c, "web", picks, world.hands()))
    for _ in range(2):
        world.host("h9", [pf, *once])
    for vf in (one, other):
        events = device_history(world.site, ids[vf.address])
        assert told(events) == ["claimed", "spent"]
        assert {event.holder for event in events} == {"web"}


def test_what_is_taken_back_is_not_noted(world: Fleet) -> None:
    one, other, *_ = [one for one in list_devices(world.site) if one.listed]
    retire_device(world.site, other.id)
    picks = [Pick(one.id, "r1"), Pick(other.id, "r2")]
    with pytest.raises(Conflict):
        world.site.database.write(lambda c: claim_insert(c, "nobody", picks, world.hands()))
    assert device_history(world.site, one.id) == []


def test_it_outlives_the_host_and_is_found_by_address(world: Fleet) -> None:
    server_id, device_id = held(world)
    address = next(one.address for one in list_devices(world.site) if one.id == device_id)
    delete_server(world.site, ADMIN, server_id)
    world.obey()
    remove_host(world.site, world.hosts.pop("h1"))
    for device in (device_id, address):
        events = device_history(world.site, device)
        assert told(events) == ["claimed", "released", "cleaned"]
        assert {one.host for one in events} == {None}


def test_it_is_kept_for_so_long_and_so_many(world: Fleet) -> None:
    one, *_ = list_devices(world.site)

    def happened(days_ago: float, count: int) -> None:
        def work(connection: object) -> None:
            place = device_place(connection, one.id)  # type: ignore[arg-type]
            at = world.hands() - timedelta(days=days_ago)
            history_write(connection, [place] * count, What.CLEANED, at)  # type: ignore[arg-type]

        world.site.database.write(work)

    happened(31, MOST + 3)
    happened(29, 2)
    tidy(world.site)
    assert len(device_history(world.site, one.id)) == 2
    happened(1, _KEPT_MAX)
    tidy(world.site)
    events = device_history(world.site, one.id)
    assert len(events) == _KEPT_MAX
    assert {one.at for one in events} == {world.hands() - timedelta(days=1)}


def test_wrong_questions_are_told_what_is_right(world: Fleet) -> None:
    with pytest.raises(Invalid, match="neither the id of a device nor a PCI address"):
        device_history(world.site, "web")
    with pytest.raises(NotFound, match="no device has the id"):
        device_history(world.site, "0" * 32)
    with pytest.raises(NotFound, match="no device of h1 is at 0000:99"):
        device_history(world.site, "0000:99:00.0", "h1")
    assert device_history(world.site, "0000:41:10.0") == []  # there, and nothing became of it
    with pytest.raises(Invalid, match="limit 0 is not between 1 and 1000"):
        device_history(world.site, "0000:41:10.0", limit=0)


def test_over_http(world: Fleet) -> None:
    _, device_id = held(world)
    http, member = world.client(FACE), world.client(FACE, who="member")
    path = f"/lanekeeper/v1/devices/{device_id}"
    (event,) = http.get(f"{path}/history").json()["events"]
    assert (event["what"], event["holder_name"]) == ("claimed", "web")
    by_address = f"/lanekeeper/v1/devices/{event['address']}/history?host=h1&limit=5"
    assert http.get(by_address).json()["events"] == [event]
    assert member.get(f"{path}/history").status_code == 403
    assert http.get(f"{path}/history?limit=x").status_code == 400
    assert http.post(f"{path}/retire").json()["device"]["reserved"] == "retired"
    assert http.post(f"{path}/release").json()["device"]["reserved"] == ""
    assert http.post(f"{path}/release").status_code == 409
    (found,) = http.get(f"/lanekeeper/v1/devices?address={event['address']}").json()["devices"]
    assert found["id"] == device_id
    assert http.get("/lanekeeper/v1/devices?address=x").status_code == 400
    assert member.post(f"{path}/release").status_code == 403
