"""Cards that move and cards that are exchanged: what becomes of holders, ports and providers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec
import pytest
import sqlalchemy as sa
from structlog.testing import capture_logs

from fleet import ADMIN, Fleet, fleet, lab_devices
from lanekeeper.control.compute.flavor import create_flavor
from lanekeeper.control.compute.server_create import create_servers
from lanekeeper.control.compute.server_nic import NicAsked
from lanekeeper.control.compute.server_order import NewServer
from lanekeeper.control.host.desired import desired_of, desired_stamp
from lanekeeper.control.host.device import clean_device, list_devices, show_device
from lanekeeper.control.host.facts import report_facts
from lanekeeper.control.verify.verify import verify
from lanekeeper.domain.compute.flavor import Flavor
from lanekeeper.protocol import DeviceFact, HostFacts
from lanekeeper.store.tables import device, resource_provider
from lanekeeper.store.tables import port as port_table

PF, OTHER = "0000:41:00.0", "0000:21:00.0"
SLOTS = {OTHER: "1", PF: "2"}


@pytest.fixture
def site(database_url: str, tmp_path: Path) -> Iterator[Fleet]:
    with fleet(database_url, tmp_path, hosts=0) as made:
        made.host("h1", cards())
        yield made


def cards(serials: tuple[str | None, str | None] = ("a", "b")) -> list[DeviceFact]:
    """The lab's two cards with serial numbers, that with physnet1 first."""
    told = dict(zip((OTHER, PF), serials, strict=True))
    return [
        msgspec.structs.replace(one, serial=told.get(one.address), slot=SLOTS.get(one.address))
        for one in lab_devices()
    ]


def on(devices: Sequence[DeviceFact], **buses: str) -> list[DeviceFact]:
    """The same, each bus called otherwise: ``b21="c1"``."""

    def at(address: str) -> str:
        domain, bus, rest = address.split(":")
        return f"{domain}:{buses.get(f'b{bus}', bus)}:{rest}"

    return [
        msgspec.structs.replace(
            one, address=at(one.address), parent=at(one.parent) if one.parent else None
        )
        for one in devices
    ]


def tell(site: Fleet, devices: Sequence[DeviceFact]) -> None:
    facts = HostFacts(
        host_name="h1", vcpus=64, memory_mib=262144, disk_gib=2000, devices=list(devices),
        mappings={"physnet1": ["ens21f0"]},
    )  # fmt: skip
    report_facts(site.site, site.hosts["h1"], facts)


def server(site: Fleet, *ports: str) -> str:
    """A running server with a VF of the card at 41, or with ports; returns its id."""
    specs = {} if ports else {"pci_passthrough:alias": "a1:1"}
    flavor = Flavor(
        id="", name=f"m{len(ports)}", vcpus=1, ram_mib=64, disk_gib=1, extra_specs=specs
    )
    asked = NewServer(
        name="s",
        image_id=site.image(),
        flavor_id=create_flavor(site.site, flavor).id,
        networks=[NicAsked(port_id=port) for port in ports] or "none",
    )
    (made,) = create_servers(site.site, ADMIN, asked)
    site.report(made.id, "running")
    return made.id


def check(site: Fleet) -> None:
    with site.site.database.read() as connection:
        assert verify(connection) == []


def providers(site: Fleet) -> dict[str, str]:
    with site.site.database.read() as connection:
        rows = connection.execute(
            sa.select(resource_provider.c.id, resource_provider.c.name).where(
                resource_provider.c.owner == "device"
            )
        )
        return {row.id: row.name for row in rows}


def rows(site: Fleet) -> set[str]:
    with site.site.database.read() as connection:
        return set(connection.scalars(sa.select(device.c.id)))


@pytest.mark.parametrize("serials", [("a", "b"), (None, None)], ids=["by serial", "by slot"])
def test_a_card_that_moved_takes_its_holder_and_its_provider_along(
    site: Fleet, serials: tuple[str | None, str | None]
) -> None:
    tell(site, cards(serials))
    held, host_id, ids = server(site), site.hosts["h1"], rows(site)
    (before,) = desired_of(site.site, host_id).servers
    named, stamp = providers(site), desired_stamp(site.site, host_id)
    with capture_logs() as said:
        tell(site, on(cards(serials), b41="c1"))
    assert len([one for one in said if one["event"] == "device moved"]) == 8
    assert desired_stamp(site.site, host_id) != stamp
    (after,) = desired_of(site.site, host_id).servers
    (was,), (now,) = before.devices, after.devices
    assert now == msgspec.structs.replace(was, address=was.address.replace(":41:", ":c1:"))
    assert after.generation == before.generation  # what runs is left alone
    assert rows(site) == ids
    assert providers(site) == {
        id_: name.replace("0000:41:", "0000:C1:") for id_, name in named.items()
    }
    shown = show_device(site.site, now.device_id)
    assert (shown.holder, shown.state, shown.moved_from) == (held, "held", was.address)
    assert shown.moved_at == site.hands()
    check(site)


def test_two_cards_that_change_places_are_told_apart(site: Fleet) -> None:
    port = site.port(site.network()).id
    server(site, port)
    server_id, ids, named = server(site), rows(site), providers(site)
    tell(site, on(cards(), b21="41", b41="21"))
    assert rows(site) == ids
    assert sorted(providers(site).values()) == sorted(named.values())
    assert all(providers(site)[id_] != name for id_, name in named.items())
    with site.site.database.read() as connection:
        mine = sa.select(port_table.c.binding_profile).where(port_table.c.id == port)
        profile = connection.execute(mine).scalar_one()
    assert profile["pci_slot"].startswith("0000:41:10.")
    (now,) = (one for one in desired_of(site.site, site.hosts["h1"]).servers if one.devices)
    assert (now.id, now.devices[0].address[:7]) == (server_id, "0000:21")
    assert list_devices(site.site, state="quarantined") == []
    check(site)


def test_another_card_is_set_aside_until_it_was_cleaned(site: Fleet) -> None:
    held, host_id = server(site), site.hosts["h1"]
    (lost,) = list_devices(site.site, state="held")
    with capture_logs() as said:
        tell(site, cards(("a", "c")))
    aside = [one for one in said if one["event"] == "device set aside"]
    assert {one["address"] for one in aside} == {f"0000:41:10.{number}" for number in range(7)}
    (told,) = (one for one in aside if one["address"] == lost.address)
    assert (told["before"], told["holder"]) == (lost.id, held)
    shown = show_device(site.site, lost.id)
    assert (shown.state, shown.holder) == ("missing", held)
    new = list_devices(site.site, state="quarantined")
    assert [one.address for one in new] == sorted(one["address"] for one in aside)
    assert new[0].state_reason == (
        "of PF 0000:41:00.0: another card is at this address: serial c, was b"
    )
    check(site)
    for one in new:
        clean_device(site.site, one.id)
    site.clean(host_id)
    assert list_devices(site.site, state="quarantined") == []
    tell(site, cards())
    assert show_device(site.site, lost.id).state == "held"
    check(site)


def test_an_agent_that_tells_no_slot_is_understood(site: Fleet) -> None:
    ids = rows(site)
    plain = [msgspec.structs.replace(one, slot=None, serial=None) for one in cards()]
    wire = msgspec.json.encode(plain)
    assert b"slot" not in wire
    assert b"serial" not in wire
    tell(site, msgspec.json.decode(wire, type=list[DeviceFact]))
    tell(site, cards())
    assert rows(site) == ids
    assert list_devices(site.site, state="quarantined") == []
