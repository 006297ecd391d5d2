"""A card whose devices differ in their traits, as Placement shows it and searches it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec
import pytest
import sqlalchemy as sa

from fleet import Fleet, fleet, pf_and_vfs
from lanekeeper.control.host.facts import report_facts
from lanekeeper.control.verify.verify import verify
from lanekeeper.protocol import HostFacts
from lanekeeper.store.device.life import Pick, claim_insert
from lanekeeper.store.placement.allocation_view import allocations_load
from lanekeeper.store.placement.inventory import inventories_of
from lanekeeper.store.placement.resource_provider import traits_of
from lanekeeper.store.tables import device, resource_provider

CARD = "h1_0000:41:00.0"
NAME = "CUSTOM_PCI_8086_10CA"
MANAGED = "COMPUTE_MANAGED_PCI_DEVICE"


@dataclass(frozen=True)
class Shown:
    """A provider as osc-placement shows it: class to (total, reserved, used)."""

    name: str
    parent: str
    traits: tuple[str, ...]
    stock: dict[str, tuple[int, int, int]]


@pytest.fixture
def world(database_url: str, tmp_path: Path) -> Iterator[Fleet]:
    with fleet(database_url, tmp_path, hosts=0) as made:
        made.host("h1", [])
        yield made


def tell(world: Fleet, *tags: dict[str, str]) -> None:
    """The host tells of one card, whose VFs have *tags*."""
    pf, *vfs = pf_and_vfs("41", len(tags))
    told = [msgspec.structs.replace(vf, tags=one) for vf, one in zip(vfs, tags, strict=True)]
    facts = HostFacts(host_name="h1", vcpus=4, memory_mib=4096, disk_gib=9, devices=[pf, *told])
    report_facts(world.site, world.hosts["h1"], facts)
    with world.site.database.read() as connection:
        wrong = [one for one in verify(connection) if one.invariant != "claim.holder"]
    assert wrong == []  # but for a holder that is no server


def tree(world: Fleet) -> list[Shown]:
    """The providers below the host: the card's, then those below it by what they have."""
    with world.site.database.read() as connection:
        rows = connection.execute(sa.select(resource_provider)).mappings().all()
        names = {row["id"]: row["name"] for row in rows}
        found = [
            Shown(
                row["name"],
                names[row["parent_id"]],
                tuple(traits_of(connection, row["id"])),
                {
                    name: (one.record.total, one.record.reserved, one.record.used)
                    for name, one in inventories_of(connection, row["id"]).items()
                },
            )
            for row in rows
            if row["parent_id"]
        ]
    return sorted(found, key=lambda one: (one.name != CARD, one.traits))


def test_several_classes_are_several_inventories_of_one_provider(world: Fleet) -> None:
    tell(world, {}, {"resource_class": "CUSTOM_FAST"}, {})
    (card,) = tree(world)
    assert card.stock == {NAME: (2, 0, 0), "CUSTOM_FAST": (1, 0, 0)}
    assert card.traits == (MANAGED,)


def test_where_traits_differ_each_kind_has_a_provider_below_the_cards(world: Fleet) -> None:
    tell(world, {"traits": "RED"}, {"traits": "BLUE"}, {"traits": "BLUE"})
    card, blue, red = tree(world)
    assert (card.name, card.parent, card.traits, card.stock) == (CARD, "h1", (MANAGED,), {})
    assert (blue.parent, blue.traits, blue.stock) == (
        *(CARD, (MANAGED, "CUSTOM_BLUE")),
        {NAME: (2, 0, 0)},
    )
    assert (red.parent, red.traits, red.stock) == (
        *(CARD, (MANAGED, "CUSTOM_RED")),
        {NAME: (1, 0, 0)},
    )
    assert blue.name.startswith(f"{CARD}_")


def test_one_time_vfs_are_reserved_apart_from_their_siblings(world: Fleet) -> None:
    tell(world, {"one_time_use": "true"}, {}, {})
    once = next(one for one in tree(world) if "HW_PCI_ONE_TIME_USE" in one.traits)
    plain = next(one for one in tree(world) if one.traits == (MANAGED,) and one.stock)
    assert (once.stock, plain.stock) == ({NAME: (1, 0, 0)}, {NAME: (2, 0, 0)})

    def take(connection: sa.Connection) -> None:
        first = sa.select(device.c.id).where(device.c.address == "0000:41:10.0")
        pick = Pick(connection.execute(first).scalar_one(), "request")
        claim_insert(connection, "consumer", [pick], world.hands())

    world.site.database.write(take)
    once = next(one for one in tree(world) if "HW_PCI_ONE_TIME_USE" in one.traits)
    assert once.stock == {NAME: (1, 1, 1)}  # as Nova writes of a device for one guest


def test_a_card_comes_apart_and_together_again_under_its_holders(world: Fleet) -> None:
    tell(world, {}, {})
    with world.site.database.read() as connection:
        ids = list(connection.scalars(sa.select(device.c.id).where(device.c.pf_id.is_not(None))))
    pick = Pick(ids[0], "request")
    world.site.database.write(lambda c: claim_insert(c, "consumer", [pick], world.hands()))
    for tags, providers in (({"traits": "RED"}, 3), ({}, 1)):
        tell(world, {}, tags)
        assert len(tree(world)) == providers
        with world.site.database.read() as connection:
            (line,) = allocations_load(connection, consumer_id="consumer")
        assert (line.resource_class, line.amount) == (NAME, 1)
    assert tree(world)[0].stock == {NAME: (2, 0, 1)}


def test_a_network_that_some_vfs_serve_is_the_cards(world: Fleet) -> None:
    tell(world, {"physical_network": "physnet1"}, {})
    (card,) = tree(world)
    assert card.stock == {NAME: (1, 0, 0), "SRIOV_NET_VF": (1, 0, 0)}
    assert "CUSTOM_PHYSNET_PHYSNET1" in card.traits
