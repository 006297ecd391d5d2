"""A configuration that would take a card from under a guest is refused, whole, and named."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec import structs

from fleet import ADMIN, Fleet, fleet, pf_and_vfs
from lanekeeper.control.compute.flavor import create_flavor
from lanekeeper.control.compute.server import delete_server
from lanekeeper.control.compute.server_create import create_servers
from lanekeeper.control.compute.server_order import NewServer
from lanekeeper.control.host.device import list_devices
from lanekeeper.control.host.facts import report_facts, try_facts
from lanekeeper.control.verify.verify import verify
from lanekeeper.domain.compute.flavor import Flavor
from lanekeeper.domain.errors import Conflict
from lanekeeper.protocol import DeviceFact, EntryFact, HostFacts, PfFact

pytestmark = pytest.mark.service


def card(listed: str, entry: int) -> list[DeviceFact]:
    """A card of which one side is listed; a VF that is not is not told at all."""
    pf, *vfs = pf_and_vfs("41", 2)
    if listed == "whole":
        return [structs.replace(pf, listed=True, entry=entry)]
    return [pf, *(structs.replace(vf, entry=entry) for vf in vfs)]


@pytest.fixture
def world(database_url: str, tmp_path: Path) -> Iterator[Fleet]:
    with fleet(database_url, tmp_path, hosts=0) as made:
        yield made


def flavor(alias: str) -> Flavor:
    spec = {"pci_passthrough:alias": f"{alias}:1"}
    return Flavor(id=alias, name=alias, vcpus=1, ram_mib=64, disk_gib=1, extra_specs=spec)


def boot(world: Fleet, alias: str) -> str:
    world.seen()
    create_flavor(world.site, flavor(alias))
    asked = NewServer(name="web", flavor_id=alias, image_id=world.image())
    (server,) = create_servers(world.site, ADMIN, asked)
    world.obey()
    return server.id


def facts(devices: list[DeviceFact], *entries: EntryFact) -> HostFacts:
    size = HostFacts(host_name="h1", vcpus=64, memory_mib=262144, disk_gib=2000)
    return structs.replace(size, devices=devices, device_spec=list(entries) or None)


def tell(world: Fleet, devices: list[DeviceFact], *entries: EntryFact) -> None:
    report_facts(world.site, world.hosts["h1"], facts(devices, *entries))


@pytest.mark.parametrize(
    ("before", "after", "alias", "named"),
    [
        ("whole", "parts", "whole", r"VFs of PF 0000:41:00\.0 .*, which entry 1 .* guest web"),
        ("parts", "whole", "a1", r"1 VF, which entry 1 listed: 0000:41:10\.0 by web"),
    ],
)
def test_a_card_is_not_turned_under_a_guest(
    world: Fleet, before: str, after: str, alias: str, named: str
) -> None:
    world.host("h1", card(before, entry=0))
    server_id = boot(world, alias)
    stood = list_devices(world.site, "h1")
    assert [one.holder for one in stood if one.holder] == [server_id]
    for _ in range(2):  # however often it is told
        with pytest.raises(Conflict, match=f"entry 2 lists .*{named}") as refused:
            tell(world, card(after, entry=1))
        assert "list " in refused.value.hint
    assert list_devices(world.site, "h1") == stood
    tell(world, card(before, entry=1))  # another entry, the same side
    delete_server(world.site, ADMIN, server_id)
    world.obey()
    tell(world, card(after, entry=1))
    listed = [one.dev_type for one in list_devices(world.site, "h1") if one.listed]
    assert set(listed) >= {"type-PF" if after == "whole" else "type-VF"}


@pytest.mark.parametrize(
    ("side", "refusal"),
    [
        (
            "whole",
            "lists VFs of PF 0000:41:00.0 (0000:41:10.0, ...), which no entry lists any more and "
            "guest web ({server}) holds",
        ),
        (
            "parts",
            "lists PF 0000:41:00.0, of which guests hold 1 VF, which no entry lists any more: "
            "0000:41:10.0 by web",
        ),
    ],
)
def test_an_entry_that_goes_alone_is_taken_and_the_other_side_refused_later(
    world: Fleet, side: str, refusal: str
) -> None:
    world.host("h1", card(side, entry=0))
    server_id = boot(world, "whole" if side == "whole" else "a1")
    tell(world, [])
    other = EntryFact(text="other side", source="nova.conf:9")
    with pytest.raises(Conflict) as refused:
        tell(world, card("parts" if side == "whole" else "whole", entry=0), other)
    said = f"entry 1 (nova.conf:9) {refusal.format(server=server_id)}"
    assert str(refused.value) == f"[pci] device_spec of h1: {said}"


@pytest.mark.parametrize(("vfs", "is_barred"), [(2, True), (0, False), (None, True)])
def test_a_pf_waits_for_its_vfs_that_are_dirty_and_no_longer_listed(
    world: Fleet, vfs: int | None, is_barred: bool
) -> None:
    """VFs that are gone bar nobody; of an agent that does not tell, what was told last counts."""
    pf = PfFact(address="0000:41:00.0", vendor_id="8086", product_id="10c9", vfs_max=7)
    world.host("h1", card("parts", entry=0), pfs=[structs.replace(pf, vfs=2)])
    server_id = boot(world, "a1")
    delete_server(world.site, ADMIN, server_id)
    world.report(server_id, "absent")  # and its VF is not clean yet
    world.host("h1", card("whole", entry=1), pfs=[structs.replace(pf, vfs=vfs)])
    world.seen()
    create_flavor(world.site, flavor("whole"))
    order = NewServer(name="pf", flavor_id="whole", image_id=world.image())
    (made,) = create_servers(world.site, ADMIN, order)
    assert (made.host_id is None) == is_barred
    with world.site.database.read() as connection:
        assert [one for one in verify(connection) if not one.notice] == []


def test_a_trial_says_what_would_be_refused_and_takes_nothing_over(world: Fleet) -> None:
    host_id = world.host("h1", card("parts", entry=0))
    boot(world, "a1")
    stood = list_devices(world.site, "h1")
    with pytest.raises(Conflict, match=r"entry 2 lists PF 0000:41:00\.0"):
        try_facts(world.site, host_id, facts(card("whole", entry=1)))
    try_facts(world.site, host_id, facts([]))
    assert list_devices(world.site, "h1") == stood


def test_lines_are_named_and_each_guest_that_would_lose_its_device(world: Fleet) -> None:
    vfs, whole = (
        EntryFact(text="vfs", source="nova.conf:3"),
        EntryFact(text="whole", source="nova.conf:7"),
    )
    world.host("h1", card("parts", entry=0))
    tell(world, card("parts", entry=0), vfs)
    boot(world, "a1")
    order = NewServer(name="db", flavor_id="a1", image_id=world.image())
    create_servers(world.site, ADMIN, order)
    with pytest.raises(Conflict) as refused:
        tell(world, card("whole", entry=0), whole)
    assert "entry 1 (nova.conf:7) lists PF" in str(refused.value)
    assert str(refused.value).endswith(
        "of which guests hold 2 VFs, which entry 1 (nova.conf:3) listed: 0000:41:10.0 by web, "
        "0000:41:10.1 by db"
    )
    assert refused.value.hint.startswith("list 0000:41:10.0, 0000:41:10.1 again, or delete web, db")


def test_the_same_entries_are_not_to_blame_for_a_card_that_changed(world: Fleet) -> None:
    """The VF of a guest goes away under it: what is there is taken over, and nobody gets the PF."""
    entry = EntryFact(text="card")
    world.host("h1", card("parts", entry=0))
    tell(world, card("parts", entry=0), entry)
    server_id = boot(world, "a1")
    tell(world, card("whole", entry=0), entry)
    stood = {one.address: one for one in list_devices(world.site, "h1")}
    assert stood["0000:41:10.0"].holder == server_id
    create_flavor(world.site, flavor("whole"))
    order = NewServer(name="pf", flavor_id="whole", image_id=world.image())
    (made,) = create_servers(world.site, ADMIN, order)
    assert made.host_id is None
