"""A host that goes and comes back: what was not clean is not clean."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec
import pytest

from fleet import Fleet, fleet, pf_and_vfs
from lanekeeper.control.host.device import clean_device, list_devices
from lanekeeper.control.host.removal import remove_host
from lanekeeper.control.verify.verify import verify
from lanekeeper.protocol import DeviceFact
from lanekeeper.store.device.life import device_set_aside

pytestmark = pytest.mark.service

SERIAL = "00-1b-21-ff-ff-aa-01-01"


@pytest.fixture
def world(database_url: str, tmp_path: Path) -> Iterator[Fleet]:
    with fleet(database_url, tmp_path) as made:
        yield made


def set_aside(world: Fleet, host: str, *addresses: str) -> None:
    ids = [one.id for one in list_devices(world.site, host) if one.address in addresses]
    assert len(ids) == len(addresses)
    for device_id in ids:
        world.site.database.write(
            lambda c, one=device_id: device_set_aside(c, one, "it did not reset", world.hands())  # type: ignore[misc]
        )


def quarantined(world: Fleet, host: str) -> list[tuple[str, str]]:
    with world.site.database.read() as connection:
        assert verify(connection) == []
    found = list_devices(world.site, host, "quarantined")
    return [(one.address, one.state_reason) for one in found]


def card(bus: str, serial: str = SERIAL, function: int = 0) -> list[DeviceFact]:
    pf, *vfs = pf_and_vfs(bus)
    named = pf.address.replace(".0", f".{function}")
    changed = msgspec.structs.replace(pf, serial=serial, address=named)
    return [changed, *(msgspec.structs.replace(vf, parent=named) for vf in vfs)]


def test_a_quarantined_device_comes_back_quarantined_until_it_is_cleaned(world: Fleet) -> None:
    why = "it did not reset"
    whole, *_ = card("21", "the-other-card")
    devices = [msgspec.structs.replace(whole, listed=True), *card("41")]
    world.host("h1", devices)
    set_aside(world, "h1", "0000:41:10.3", "0000:21:00.0")
    remove_host(world.site, world.hosts["h1"])
    world.host("h1", devices)
    assert quarantined(world, "h1") == [("0000:21:00.0", why), ("0000:41:10.3", why)]
    for one in list_devices(world.site, "h1", "quarantined"):
        clean_device(world.site, one.id)
    world.clean(world.hosts["h1"])
    world.seen()
    assert quarantined(world, "h1") == []
    remove_host(world.site, world.hosts["h1"])
    world.host("h1", devices)
    assert quarantined(world, "h1") == []


def test_what_a_dead_host_had_not_cleaned_comes_back_quarantined(world: Fleet) -> None:
    set_aside(world, "h1", "0000:41:10.3")
    (dirty,) = list_devices(world.site, "h1", "quarantined")
    clean_device(world.site, dirty.id)
    world.hands.turn(10_000)
    remove_host(world.site, world.hosts["h1"])
    world.host("h1")
    assert quarantined(world, "h1") == [
        ("0000:41:10.3", "its host was removed before it had been cleaned")
    ]


@pytest.mark.parametrize(
    ("host", "devices", "expected"),
    [
        ("h2", card("51"), ["0000:51:10.2"]),  # another slot of another host
        ("h1", card("41", serial="00-00-00-00-00-00-00-02"), []),  # another card in that slot
        ("h1", pf_and_vfs("41"), ["0000:41:10.2"]),  # the number cannot be read any more
        ("h2", pf_and_vfs("41"), []),
        ("h2", card("51", function=1), []),  # the card's other port
    ],
)
def test_a_card_is_known_again_by_its_serial_number(
    world: Fleet, host: str, devices: Sequence[DeviceFact], expected: list[str]
) -> None:
    remove_host(world.site, world.hosts["h1"])
    world.host("h1", card("41"))
    set_aside(world, "h1", "0000:41:10.2")
    remove_host(world.site, world.hosts["h1"])
    world.host(host, devices)
    assert [address for address, _ in quarantined(world, host)] == expected
