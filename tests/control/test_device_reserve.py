"""What is spent, set aside or retired: given to nobody until its return is asked for."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from fleet import ADMIN, Fleet, fleet, pf_and_vfs
from lanekeeper.cli.device import list_text
from lanekeeper.control.compute.flavor import create_flavor
from lanekeeper.control.compute.server import delete_server
from lanekeeper.control.compute.server_create import create_servers
from lanekeeper.control.compute.server_list import show_server
from lanekeeper.control.compute.server_order import NewServer
from lanekeeper.control.host.device import Device, clean_device, list_devices, show_device
from lanekeeper.control.host.device_reserve import release_device, retire_device, retired_note
from lanekeeper.control.host.facts import report_facts
from lanekeeper.control.host.host import report_state
from lanekeeper.control.host.removal import remove_host
from lanekeeper.control.placement.inventory import (
    change_inventory,
    list_inventories,
    put_inventories,
)
from lanekeeper.control.verify.verify import verify
from lanekeeper.domain.compute.flavor import Flavor
from lanekeeper.domain.compute.server import status_of
from lanekeeper.domain.errors import Conflict, Invalid, NotFound
from lanekeeper.domain.placement.inventory import Inventory
from lanekeeper.protocol import CleaningState, DeviceFact, HostFacts, HostState, PfFact
from lanekeeper.store.device.device import devices_to_clean

pytestmark = pytest.mark.service
A1 = "CUSTOM_PCI_8086_10CA"


def once(vfs: int = 2, **tags: str) -> list[DeviceFact]:
    """A card whose VFs are for one guest each."""
    pf, *some = pf_and_vfs("41", vfs)
    return [pf, *(msgspec.structs.replace(vf, tags={"one_time_use": "true"} | tags) for vf in some)]


@pytest.fixture
def world(database_url: str, tmp_path: Path) -> Iterator[Fleet]:
    with fleet(database_url, tmp_path, hosts=0) as made:
        made.host("h1", once())
        made.seen()
        create_flavor(
            made.site,
            Flavor(
                id="one", name="one", vcpus=1, ram_mib=64, disk_gib=1,
                extra_specs={"pci_passthrough:alias": "a1:1"},
            ),
        )  # fmt: skip
        yield made
        with made.site.database.read() as connection:
            assert verify(connection) == []


def boot(world: Fleet, name: str) -> tuple[str, str, str]:
    """Returns the server's id, its status and its fault."""
    asked = NewServer(name=name, flavor_id="one", image_id=world.image(name))
    (server,) = create_servers(world.site, ADMIN, asked)
    world.obey()
    record = show_server(world.site, ADMIN, server.id).record
    fault = record.fault["message"] if record.fault else ""
    return server.id, status_of(record.vm_state, record.task_state), fault


def tell(world: Fleet, devices: list[DeviceFact]) -> None:
    facts = HostFacts(
        host_name="h1", vcpus=64, memory_mib=262144, disk_gib=2000, devices=devices,
        mappings={"physnet1": ["ens21f0"]},
    )  # fmt: skip
    report_facts(world.site, world.hosts["h1"], facts)


def vfs(world: Fleet) -> list[Device]:
    return [one for one in list_devices(world.site, "h1") if one.listed]


def kept(world: Fleet) -> list[tuple[str, str]]:
    return [(one.state, one.reserved) for one in vfs(world)]


def provider(world: Fleet) -> tuple[str, int, Inventory]:
    with world.site.database.read() as connection:
        (id_,) = connection.exec_driver_sql(
            "SELECT DISTINCT provider_id FROM device WHERE listed"
        ).scalars()
    row, found = list_inventories(world.site, id_)
    return id_, row.generation, found[A1].record


def counts(world: Fleet) -> tuple[int, int, int]:
    record = provider(world)[2]
    return record.total, record.reserved, record.used


def reserve(world: Fleet, amount: int) -> None:
    id_, generation, record = provider(world)
    put_inventories(world.site, id_, generation, {A1: replace(record, reserved=amount, used=0)})


def test_hole_7_what_is_spent_stays_spent(world: Fleet) -> None:
    first, status, _ = boot(world, "first")
    assert (status, counts(world)) == ("ACTIVE", (2, 0, 1))
    second, status, _ = boot(world, "second")
    assert (status, counts(world)) == ("ACTIVE", (2, 2, 2))
    with pytest.raises(Conflict, match="is held by first"):
        reserve(world, 0)
    for server_id in (first, second):
        delete_server(world.site, ADMIN, server_id)
        world.obey()
    assert (kept(world), counts(world)) == ([("available", "spent")] * 2, (2, 2, 0))
    _, status, fault = boot(world, "third")
    assert status == "ERROR"
    assert "0 are free, 2 are spent (one-time-use)" in fault
    tell(world, [])  # the card is away
    tell(world, once(resource_class="CUSTOM_OTHER"))
    pf, *some = once()
    tell(world, [pf, *(msgspec.structs.replace(one, listed=False) for one in some)])
    tell(world, [pf, *(msgspec.structs.replace(one, tags={}) for one in some)])
    assert counts(world) == (2, 2, 0)
    reserve(world, 1)
    assert kept(world) == [("available", ""), ("available", "spent")]
    reserve(world, 0)
    assert boot(world, "fourth")[1] == "ACTIVE"


def test_its_return_is_refused_until_it_is_clean_and_says_at_what_it_stands(world: Fleet) -> None:
    server_id, _, _ = boot(world, "web")
    device_id = next(one.id for one in vfs(world) if one.holder)
    with pytest.raises(Conflict, match="is held by web"):
        release_device(world.site, device_id)
    delete_server(world.site, ADMIN, server_id)
    world.report(server_id, "absent")
    for ask in (lambda: release_device(world.site, device_id), lambda: reserve(world, 0)):
        with pytest.raises(Conflict, match="is being cleaned, round 1 since 2026-11-21"):
            ask()
    with world.site.database.read() as connection:
        (row,) = devices_to_clean(connection, world.hosts["h1"])
    bad = CleaningState(device_id=device_id, round=1, clean=False, problem="function reset: no.")
    assert row["id"] == device_id
    report_state(world.site, world.hosts["h1"], HostState(cleaned=[bad]))
    for ask in (lambda: release_device(world.site, device_id), lambda: reserve(world, 0)):
        with pytest.raises(Conflict, match=r"is quarantined: function reset: no\b"):
            ask()
    assert ("quarantined", "spent") in kept(world)


def test_one_time_use_that_is_said_while_a_guest_has_it_spends_it(world: Fleet) -> None:
    pf, *some = once()
    tell(world, [pf, *(msgspec.structs.replace(one, tags={}) for one in some)])
    boot(world, "web")
    assert ("held", "") in kept(world)
    tell(world, once())
    assert sorted(kept(world)) == [("available", ""), ("held", "spent")]


def test_hole_7_what_is_set_aside_stays_so_when_vfs_come(world: Fleet) -> None:
    reserve(world, 1)
    assert kept(world) == [("available", "reserved"), ("available", "")]
    tell(world, once(4))
    assert counts(world) == (4, 1, 0)
    server_id = boot(world, "web")[0]
    assert vfs(world)[0].holder is None
    reserve(world, 4)  # the one that is held, too, for afterwards
    assert counts(world) == (4, 4, 1)
    assert boot(world, "other")[1] == "ERROR"
    delete_server(world.site, ADMIN, server_id)
    world.obey()
    reserve(world, 0)
    assert counts(world) == (4, 0, 0)


def test_a_retired_device_returns_when_it_is_released_and_by_nothing_else(world: Fleet) -> None:
    one, other = vfs(world)
    retire_device(world.site, one.id)
    assert retire_device(world.site, other.id).reserved == "retired"
    assert "2 are retired" in boot(world, "web")[2]
    with pytest.raises(Conflict, match="is retired"):
        reserve(world, 0)
    assert release_device(world.site, one.id).reserved == ""
    with pytest.raises(Conflict, match="neither spent, reserved nor retired: it is available"):
        release_device(world.site, one.id)
    with pytest.raises(NotFound):
        retire_device(world.site, "00000000-0000-0000-0000-000000000000")
    assert boot(world, "other")[1] == "ACTIVE"


def test_a_retired_device_that_is_held_is_released_at_once(world: Fleet) -> None:
    tell(world, [msgspec.structs.replace(one, tags={}) for one in once()])
    server_id = boot(world, "web")[0]
    device_id = next(one.id for one in vfs(world) if one.holder)
    assert retire_device(world.site, device_id).reserved == "retired"
    assert release_device(world.site, device_id).reserved == ""
    retire_device(world.site, device_id)
    delete_server(world.site, ADMIN, server_id)
    world.report(server_id, "absent")
    released = release_device(world.site, device_id)
    assert (released.state, released.reserved) == ("cleaning", "")


def test_what_is_spent_is_so_after_it_was_retired(world: Fleet) -> None:
    server_id = boot(world, "web")[0]
    device_id = next(one.id for one in vfs(world) if one.holder)
    for _ in range(2):
        assert retire_device(world.site, device_id).reserved == "retired, spent"
    assert release_device(world.site, device_id).reserved == "spent"
    retire_device(world.site, device_id)
    delete_server(world.site, ADMIN, server_id)
    world.obey()
    boot(world, "other")
    assert "1 are spent (one-time-use), 1 are retired" not in boot(world, "third")[2]
    assert "1 are retired" in boot(world, "fourth")[2]
    assert release_device(world.site, device_id).reserved == "spent"
    assert release_device(world.site, device_id).reserved == ""  # asked for, in so many words
    assert boot(world, "fifth")[1] == "ACTIVE"


def test_what_was_set_aside_is_so_after_it_was_retired(world: Fleet) -> None:
    one, _ = vfs(world)
    reserve(world, 1)
    for _ in range(2):
        assert retire_device(world.site, one.id).reserved == "retired, reserved"
    assert "1 are free" not in boot(world, "web")[2]
    with pytest.raises(Conflict, match="is retired"):
        reserve(world, 0)
    assert release_device(world.site, one.id).reserved == "reserved"
    assert release_device(world.site, one.id).reserved == ""


def test_what_is_spent_while_it_is_retired_is_both(world: Fleet) -> None:
    plain = [msgspec.structs.replace(one, tags={}) for one in once()]
    tell(world, plain)
    boot(world, "web")
    device_id = next(one.id for one in vfs(world) if one.holder)
    retire_device(world.site, device_id)
    tell(world, once())
    assert show_device(world.site, device_id).reserved == "retired, spent"
    assert release_device(world.site, device_id).reserved == "spent"


def test_retiring_what_nobody_is_given_says_so(world: Fleet) -> None:
    pf = next(one for one in list_devices(world.site, "h1") if one.pf_address is None)
    vf, other = vfs(world)
    assert retired_note(world.site, retire_device(world.site, vf.id)) == ""
    note = retired_note(world.site, retire_device(world.site, pf.id))
    assert "no entry of [pci] device_spec of h1 lists 0000:41:00.0" in note
    assert f"Of its VFs 1 are listed and given to guests as before ({other.address})" in note
    tell(world, [])
    assert "does not tell of" in retired_note(world.site, retire_device(world.site, other.id))


def test_what_is_kept_back_is_so_when_its_removed_host_returns(world: Fleet) -> None:
    one, _ = vfs(world)
    retire_device(world.site, one.id)
    remove_host(world.site, world.hosts.pop("h1"))
    world.host("h1", once())
    assert kept(world) == [("available", "retired"), ("available", "")]


def test_nothing_but_reserved_of_such_an_inventory_can_be_written(world: Fleet) -> None:
    id_, generation, record = provider(world)
    for changed in (replace(record, total=9), replace(record, allocation_ratio=2.0)):
        with pytest.raises(Conflict, match=f"of {A1} only reserved may be set"):
            put_inventories(world.site, id_, generation, {A1: changed})
    with pytest.raises(Conflict, match=f"{A1} cannot go"):
        put_inventories(world.site, id_, generation, {})
    with pytest.raises(Conflict, match="generation conflict"):
        change_inventory(world.site, id_, generation + 7, A1, record)
    with pytest.raises(Invalid, match="No inventory of class VCPU"):
        change_inventory(world.site, id_, generation, "VCPU", record)
    assert counts(world) == (2, 0, 0)


def whole(world: Fleet) -> list[DeviceFact]:
    """The same card, partitioned anew: its PF is listed, and it has no VFs."""
    pf, *_ = once()
    return [msgspec.structs.replace(pf, listed=True)]


def boot_whole(world: Fleet, name: str) -> tuple[str, str, str]:
    create_flavor(
        world.site,
        Flavor(
            id=f"whole{name}", name=f"whole{name}", vcpus=1, ram_mib=64, disk_gib=1,
            extra_specs={"pci_passthrough:alias": "whole:1"},
        ),
    )  # fmt: skip
    asked = NewServer(name=name, flavor_id=f"whole{name}", image_id=world.image(name))
    (server,) = create_servers(world.site, ADMIN, asked)
    world.obey()
    record = show_server(world.site, ADMIN, server.id).record
    fault = record.fault["message"] if record.fault else ""
    return server.id, status_of(record.vm_state, record.task_state), fault


def end(world: Fleet, server_id: str) -> None:
    delete_server(world.site, ADMIN, server_id)
    world.obey()


def test_a_spent_vf_keeps_its_pf_back_until_it_is_released(world: Fleet) -> None:
    server_id, _, _ = boot(world, "web")
    spent = next(one.id for one in vfs(world) if one.holder)
    end(world, server_id)
    assert boot(world, "beside")[1] == "ACTIVE"
    (beside,) = (one for one in vfs(world) if one.holder)
    end(world, str(beside.holder))
    release_device(world.site, beside.id)
    tell(world, whole(world))
    (id_,) = (
        one.id for one in list_devices(world.site, "h1") if one.listed and one.pf_address is None
    )
    _, status, fault = boot_whole(world, "whole")
    assert status == "ERROR"
    assert "since its card's other side is spent (0000:41:10." in fault
    assert spent in [one.id for one in list_devices(world.site, waiting=True)]
    assert show_device(world.site, id_).state == "available"
    release_device(world.site, spent)
    assert boot_whole(world, "again")[1] == "ACTIVE"


def test_a_spent_pf_keeps_its_vfs_back_until_it_is_released(world: Fleet) -> None:
    (pf,) = whole(world)
    tell(world, [msgspec.structs.replace(pf, tags={"one_time_use": "true"})])
    server_id, status, _ = boot_whole(world, "whole")
    assert status == "ACTIVE"
    end(world, server_id)
    tell(world, once())
    _, status, fault = boot(world, "vf")
    assert status == "ERROR"
    assert "2 are kept back, since its card's other side is spent (0000:41:00.0)" in fault
    assert counts(world) == (2, 2, 0)
    (spent,) = (one.id for one in list_devices(world.site, waiting=True))
    retire_device(world.site, spent)
    assert boot(world, "retired")[1] == "ERROR"
    release_device(world.site, spent)
    release_device(world.site, spent)
    assert counts(world) == (2, 0, 0)
    assert boot(world, "again")[1] == "ACTIVE"


def test_a_list_can_be_of_what_is_kept_back(world: Fleet) -> None:
    server_id, _, _ = boot(world, "web")
    first, second = vfs(world)
    spent, other = (first, second) if first.holder else (second, first)
    retire_device(world.site, other.id)

    def listed(state: str) -> list[str]:
        return [one.id for one in list_devices(world.site, state=state)]

    assert (listed("spent"), listed("retired"), listed("reserved")) == ([spent.id], [other.id], [])
    retire_device(world.site, spent.id)
    assert listed("spent") == [spent.id]
    assert sorted(listed("retired")) == sorted([spent.id, other.id])
    end(world, server_id)


def test_what_was_not_cleaned_before_it_was_unlisted_waits_for_somebody(world: Fleet) -> None:
    server_id, _, _ = boot(world, "web")
    (held,) = (one for one in vfs(world) if one.holder)
    pf, *_ = once()
    emptied = HostFacts(
        host_name="h1", vcpus=64, memory_mib=262144, disk_gib=2000,
        pfs=[PfFact(address=pf.address, vendor_id="8086", product_id="10c9", vfs_max=7, vfs=2)],
        unlisted={held.address: "8086:10ca"},
    )  # fmt: skip
    report_facts(world.site, world.hosts["h1"], emptied)
    with pytest.raises(Conflict) as not_dirty:  # its guest has it still: nobody calls that clean
        clean_device(world.site, held.id)
    assert str(not_dirty.value) == f"device {held.address} on h1 is unlisted, not quarantined"
    delete_server(world.site, ADMIN, server_id)
    world.report(server_id, "absent")
    listed = [msgspec.structs.replace(pf, listed=True)]
    report_facts(world.site, world.hosts["h1"], msgspec.structs.replace(emptied, devices=listed))
    (waits,) = list_devices(world.site, waiting=True)
    assert (waits.id, waits.state, waits.listed) == (held.id, "unlisted", False)
    assert held.address in list_text([msgspec.to_builtins(waits)])
    for refused in (clean_device, release_device):
        with pytest.raises(Conflict, match=r"no entry of \[pci\] device_spec of h1 lists") as told:
            refused(world.site, held.id)
        assert "it left before it was clean" in str(told.value)
        assert "have an entry list it again" in told.value.hint
    _, status, fault = boot_whole(world, "whole")
    assert status == "ERROR"
    assert f"since its card's other side is not clean ({held.address})" in fault
    assert f"list {held.address} again" in fault


@pytest.mark.parametrize(
    ("listed", "says", "helps"),
    [
        (True, "no entry of [pci] device_spec of h1 lists it", "have an entry list it again"),
        (False, "h1 does not tell of it now", "have it back on h1"),
    ],
)
def test_what_is_quarantined_and_away_is_not_cleaned_before_it_is_back(
    world: Fleet, listed: bool, says: str, helps: str
) -> None:
    pf, first, second = pf_and_vfs("41", 2)
    host_id = world.host("h1", [pf, first, second])
    server_id, _, _ = boot(world, "web")
    (held,) = (one for one in vfs(world) if one.holder)
    delete_server(world.site, ADMIN, server_id)
    world.report(server_id, "absent")
    failed = CleaningState(device_id=held.id, round=1, clean=False, problem="reset failed")
    report_state(world.site, host_id, HostState(cleaned=[failed]))
    unlisted = {held.address: "8086:10ca"} if listed else {}
    world.host("h1", [], unlisted=unlisted)
    for refused in (clean_device, release_device):
        with pytest.raises(Conflict) as told:
            refused(world.site, held.id)
        assert says in str(told.value)
        assert "it was quarantined before (reset failed)" in str(told.value)
        assert helps in told.value.hint
        assert f"lanekeeper device clean {held.id}" in told.value.hint
    world.host("h1", [pf, first, second])
    assert clean_device(world.site, held.id).state == "cleaning"
    world.clean(host_id)
    assert {one.state for one in vfs(world)} == {"available"}
