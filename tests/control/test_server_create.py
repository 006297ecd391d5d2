"""Creating servers on a real database: races, refusals, and what is left of each."""

from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest
import sqlalchemy as sa
from msgspec.structs import replace as replace_field

from fleet import ADMIN, MEMBER, OTHER_PROJECT, STRANGER, Fleet, config, fleet, pf_and_vfs
from lanekeeper.config import Pci
from lanekeeper.config.scheduler import Scheduler
from lanekeeper.control.compute.flavor import create_flavor
from lanekeeper.control.compute.hypervisor import set_enabled
from lanekeeper.control.compute.server import delete_server, reboot_server
from lanekeeper.control.compute.server_create import create_servers
from lanekeeper.control.compute.server_list import show_server
from lanekeeper.control.compute.server_nic import NicAsked
from lanekeeper.control.compute.server_order import NewServer
from lanekeeper.control.host.desired import desired_of
from lanekeeper.domain.compute.flavor import Flavor
from lanekeeper.domain.errors import Conflict, Error, Forbidden, Invalid, NoCapacity, NotOffered
from lanekeeper.domain.image.record import Status
from lanekeeper.domain.network.port import PortWanted, VnicType
from lanekeeper.domain.pci.alias import Alias
from lanekeeper.protocol import DeviceFact
from lanekeeper.store.device.listing import device_rows
from lanekeeper.store.host.host import host_frozen_set
from lanekeeper.store.network.port import port_create, port_show
from lanekeeper.store.tables import (
    address,
    allocation,
    claim,
    consumer,
    image,
    inventory,
    network_rbac,
    port,
    server,
    subnet,
)
from meanwhile import meanwhile

pytestmark = pytest.mark.service


@pytest.fixture
def world(database_url: str, tmp_path: Path) -> Iterator[Fleet]:
    with fleet(database_url, tmp_path) as made:
        yield made


def flavor(world: Fleet, name: str = "m1", alias: str = "", **more: Any) -> str:
    specs = {"pci_passthrough:alias": alias} if alias else {}
    values: dict[str, Any] = {"vcpus": 1, "ram_mib": 64, "disk_gib": 1, "extra_specs": specs}
    return create_flavor(world.site, Flavor(id="", name=name, **(values | more))).id


def wanted(world: Fleet, flavor_id: str, **more: Any) -> NewServer:
    values = {"name": "s", "image_id": world.image(), "flavor_id": flavor_id}
    return NewServer(**(values | more))


def rows(world: Fleet, table: sa.Table) -> int:
    with world.site.database.read() as connection:
        return connection.scalar(sa.select(sa.func.count()).select_from(table)) or 0


def used(world: Fleet) -> dict[str, int]:
    with world.site.database.read() as connection:
        found = connection.execute(sa.select(inventory.c.resource_class, inventory.c.used))
        return {name: number for name, number in found if number}


def standings(world: Fleet) -> Counter[str]:
    with world.site.database.read() as connection:
        return Counter(row["state"] for row in device_rows(connection) if row["listed"])


# One server ---------------------------------------------------------------------------------------


def test_a_server_with_a_port_holds_a_vf_an_amount_and_the_port(world: Fleet) -> None:
    web = world.port(world.network())
    (made,) = create_servers(
        world.site, MEMBER, wanted(world, flavor(world), networks=[NicAsked(port_id=web.id)])
    )
    assert (made.host_name, made.vm_state, made.task_state) == ("h1", "building", "spawning")
    assert used(world) == {"VCPU": 1, "MEMORY_MB": 64, "DISK_GB": 1}
    assert standings(world) == {"held": 1, "available": 13}
    with world.site.database.read() as connection:
        bound = port_show(connection, web.id)
    assert bound is not None
    assert (bound.device_id, bound.host_name, bound.vif_type) == (made.id, "h1", "hw_veb")
    assert bound.profile == {
        "pci_slot": "0000:21:10.0",
        "pci_vendor_info": "8086:10ca",
        "physical_network": "physnet1",
        "pf_mac_address": "52:54:00:00:21:00",
        "vf_num": 0,
    }
    assert bound.vif_details["vlan"] == "15"


def test_a_network_that_is_shared_no_more_gets_no_port(world: Fleet) -> None:
    """The share ends after the network was looked up: nothing is made, and nothing is left."""
    network_id, is_over = world.network(), network_rbac.delete()
    own = Flavor(id="m1", name="m1", vcpus=1, ram_mib=64, disk_gib=1)
    create_flavor(world.site, own)

    def ends() -> None:
        world.site.database.write(lambda connection: connection.execute(is_over))

    nics = (NicAsked(network_id=network_id),)
    asked = NewServer(name="web", flavor_id="m1", image_id=world.image(), networks=nics)
    with pytest.raises(Invalid, match=f"Network {network_id} could not be found"):
        create_servers(meanwhile(world.site, ends), STRANGER, asked)
    assert (used(world), standings(world)) == ({}, {"available": 14})
    admin = replace(ADMIN, project_id=OTHER_PROJECT)
    for caller in (MEMBER, admin):  # whose network it is; who sees all
        assert create_servers(world.site, caller, asked)[0].fault is None


def test_its_life_ends_with_nothing_left(world: Fleet) -> None:
    network_id = world.network()
    kept = world.port(network_id)
    nics = [NicAsked(port_id=kept.id), NicAsked(network_id=network_id)]
    asked = wanted(world, flavor(world, alias="a1:2"), networks=nics)
    (made,) = create_servers(world.site, MEMBER, asked)
    assert standings(world) == {"held": 4, "available": 10}
    world.obey()
    shown = show_server(world.site, MEMBER, made.id)
    assert shown.status == "ACTIVE"
    assert [one.status for one in shown.ports] == ["ACTIVE", "ACTIVE"]
    assert [one.id == kept.id for one in shown.ports] == [True, False]  # in the order asked for

    delete_server(world.site, MEMBER, made.id)
    world.report(made.id, "absent")
    assert standings(world) == {"cleaning": 4, "available": 10}
    world.obey()
    assert standings(world) == {"available": 14}
    assert used(world) == {}
    for table in (server, claim, allocation, consumer):
        assert rows(world, table) == 0, table.name
    assert (rows(world, port), rows(world, address)) == (1, 1)  # the one that was there before


def test_a_failed_build_says_why_and_can_be_deleted(world: Fleet) -> None:
    (made,) = create_servers(world.site, MEMBER, wanted(world, flavor(world, alias="a1:1")))
    world.report(made.id, "failed", problem="the IOMMU is off")
    shown = show_server(world.site, MEMBER, made.id)
    assert shown.status == "ERROR"
    assert shown.record.fault is not None
    assert shown.record.fault["message"] == "the IOMMU is off"
    delete_server(world.site, MEMBER, made.id)
    world.obey()
    assert (rows(world, server), standings(world)) == (0, {"available": 14})


def test_a_guest_that_fails_to_start_is_tried_again_where_it_is(world: Fleet) -> None:
    """Another host has room, and is not asked."""
    world.host("h2")
    (made,) = create_servers(world.site, MEMBER, wanted(world, flavor(world), zone=None))
    world.report(made.id, "failed", problem="the IOMMU is off")
    shown = show_server(world.site, MEMBER, made.id)
    assert (shown.status, shown.record.host_id) == ("ERROR", made.host_id)
    reboot_server(world.site, MEMBER, made.id, hard=True)
    world.obey()
    shown = show_server(world.site, MEMBER, made.id)
    assert (shown.status, shown.record.host_id) == ("ACTIVE", made.host_id)


def test_a_report_from_another_host_changes_nothing(world: Fleet) -> None:
    from lanekeeper.control.host.host import report_state
    from lanekeeper.protocol import HostState, ServerState

    other = world.host("h2")
    (made,) = create_servers(world.site, MEMBER, wanted(world, flavor(world), zone=None))
    assert made.host_id is not None
    stranger = other if made.host_id != other else world.hosts["h1"]
    report_state(
        world.site,
        stranger,
        HostState(servers=[ServerState(id=made.id, power="running", generation=9)]),
    )
    assert show_server(world.site, MEMBER, made.id).status == "BUILD"


# No room ------------------------------------------------------------------------------------------


def test_what_fits_nowhere_is_an_error_that_says_why(world: Fleet) -> None:
    (made,) = create_servers(world.site, MEMBER, wanted(world, flavor(world, alias="a1:8")))
    assert (made.vm_state, made.host_id) == ("error", None)
    assert made.fault is not None
    assert made.fault["message"].startswith("No valid host was found. There are not enough hosts")
    assert "h1 alias a1 needs 8; of 7 that fit 7 are free" in made.fault["message"]
    assert (used(world), rows(world, claim)) == ({}, 0)
    delete_server(world.site, MEMBER, made.id)
    assert rows(world, server) == 0


def test_a_silent_host_takes_nothing(world: Fleet) -> None:
    world.hands.turn(76)
    (made,) = create_servers(world.site, MEMBER, wanted(world, flavor(world)))
    assert made.fault is not None
    assert "h1 is down" in made.fault["message"]
    world.seen()
    (again,) = create_servers(world.site, MEMBER, wanted(world, flavor(world, "m2")))
    assert again.host_name == "h1"


def test_without_compute_filter_a_silent_host_takes_servers_for_later(
    database_url: str, tmp_path: Path
) -> None:
    settings = replace_field(
        config(), scheduler=Scheduler(enabled_filters=("PciPassthroughFilter",))
    )
    with fleet(database_url, tmp_path, settings) as world:
        world.hands.turn(76)
        asked = wanted(world, flavor(world, alias="a1:7"))
        (made,) = create_servers(world.site, MEMBER, asked)
        assert (made.vm_state, made.host_name) == ("building", "h1")
        (refused,) = create_servers(world.site, MEMBER, asked)
        assert refused.fault is not None
        assert "of 7 that fit 0 are free" in refused.fault["message"]


@pytest.mark.parametrize(("least", "left"), [(3, 0), (2, 2)])
def test_an_operator_may_have_it_refused(
    database_url: str, tmp_path: Path, least: int, left: int
) -> None:
    with fleet(database_url, tmp_path, config(refuse_unschedulable=True)) as world:
        asked = wanted(world, flavor(world, alias="a1:3"), min_count=least, max_count=3)
        if left:
            names = [made.name for made in create_servers(world.site, MEMBER, asked)]
            assert names == ["s-1", "s-2"]
        else:
            with pytest.raises(NoCapacity, match=r"of 7 that fit 1 are free, 6 are held"):
                create_servers(world.site, MEMBER, asked)
            assert standings(world)["held"] == 6  # until the host has let go of its guests
            world.obey()
        assert rows(world, server) == left


def test_what_is_taken_back_ends_with_a_tombstone(database_url: str, tmp_path: Path) -> None:
    with fleet(database_url, tmp_path, config(refuse_unschedulable=True)) as world:
        host_id = world.hosts["h1"]
        told: list[list[str]] = []
        stop = world.site.bells.listen(
            host_id,
            lambda: told.append([one.id for one in desired_of(world.site, host_id).servers]),
        )
        asked = wanted(world, flavor(world, alias="a1:4"), min_count=2, max_count=2)
        with pytest.raises(NoCapacity):
            create_servers(world.site, MEMBER, asked)
        stop()
        assert told[0]  # its host builds it already
        assert desired_of(world.site, host_id).absent == told[0]
        assert told[-1] == []
        world.obey()
        assert (rows(world, server), standings(world)) == (0, {"available": 14})


def test_what_a_multi_create_made_before_an_error_is_taken_back(world: Fleet) -> None:
    nics = [NicAsked(network_id=world.network())]
    two = [{"start": "10.0.15.10", "end": "10.0.15.11"}]
    with world.site.database.engine.begin() as connection:
        connection.execute(subnet.update().values(allocation_pools=two))
    asked = wanted(world, flavor(world), networks=nics, min_count=1, max_count=3)
    with pytest.raises(Conflict, match=r"10\.0\.15"):
        create_servers(world.site, MEMBER, asked)
    assert len(desired_of(world.site, world.hosts["h1"]).absent) == 2
    world.obey()
    assert (rows(world, server), rows(world, port), rows(world, address)) == (0, 0, 0)


def test_rows_that_contradict_each_other_end_the_search(world: Fleet) -> None:
    # Free by its device's row, but claimed all the same: no honest writer makes this.
    from lanekeeper.store.tables import card

    with world.site.database.engine.begin() as connection:
        connection.execute(card.update().values(whole_holder=None))
        device_id = next(
            row["id"] for row in device_rows(connection) if row["address"] == "0000:41:10.0"
        )
        connection.execute(
            claim.insert().values(
                device_id=device_id,
                consumer_id="ghost",
                request_id="ghost",
                index=0,
                created_at=world.hands(),
            )
        )
    (made,) = create_servers(world.site, MEMBER, wanted(world, flavor(world, alias="a1:1")))
    assert made.fault is not None
    assert "shows free what cannot be claimed" in made.fault["message"]


def test_rows_that_are_wrong_are_no_lost_race(world: Fleet) -> None:
    # A key that no rival decides about: leaving the host out would hide what is broken.
    with world.site.database.engine.begin() as connection:
        connection.exec_driver_sql("CREATE UNIQUE INDEX one_of_each_name ON server (name)")
    asked = wanted(world, flavor(world))
    create_servers(world.site, MEMBER, asked)
    with pytest.raises(sa.exc.IntegrityError, match="name"):
        create_servers(world.site, MEMBER, asked)
    assert rows(world, server) == 1


def test_an_image_that_goes_at_this_moment_makes_no_server(world: Fleet) -> None:
    def clock() -> datetime:
        # Asked for the time once everything has been looked up, and before anything is taken.
        with world.site.database.engine.begin() as connection:
            connection.execute(image.update().values(status=Status.DELETED))
        return world.hands()

    asked = wanted(world, flavor(world))
    with pytest.raises(Conflict, match="was deleted at this moment"):
        create_servers(replace(world.site, clock=clock), MEMBER, asked)
    assert (rows(world, server), used(world)) == (0, {})


def disabled(world: Fleet, host_id: str) -> None:
    set_enabled(world.site, host_id, enabled=False, reason="new fans")


def frozen(world: Fleet, host_id: str) -> None:
    world.site.database.write(lambda c: host_frozen_set(c, host_id, "lost history"))


@pytest.mark.parametrize(
    ("becomes", "why"), [(disabled, "is disabled: new fans"), (frozen, "is frozen: lost history")]
)
def test_a_host_that_takes_nothing_new_since_it_was_chosen_gets_nothing(
    world: Fleet, becomes: Callable[[Fleet, str], None], why: str
) -> None:
    asked = wanted(world, flavor(world, alias="a1:1"))
    site = meanwhile(world.site, lambda: becomes(world, world.hosts["h1"]))
    (made,) = create_servers(site, MEMBER, asked)
    assert made.fault is not None
    assert f"h1 {why}" in made.fault["message"]
    assert (used(world), standings(world)) == ({}, {"available": 14})


def test_a_whole_pf_and_its_vfs_exclude_each_other(database_url: str, tmp_path: Path) -> None:
    with fleet(database_url, tmp_path, hosts=0) as world:
        facts = pf_and_vfs("41", 2)
        listed = DeviceFact(
            address="0000:41:00.0", vendor_id="8086", product_id="10c9", dev_type="type-PF"
        )
        world.host("h1", [listed, *facts[1:]])
        whole, part = flavor(world, "w", "whole:1"), flavor(world, "p", "a1:1")
        (first,) = create_servers(world.site, MEMBER, wanted(world, whole))
        assert first.host_name == "h1"
        (second,) = create_servers(world.site, MEMBER, wanted(world, part))
        assert second.fault is not None
        assert "blocked by its card's other side" in second.fault["message"]
        delete_server(world.site, MEMBER, first.id)
        world.report(first.id, "absent")  # released, but not clean yet
        (third,) = create_servers(world.site, MEMBER, wanted(world, part))
        assert third.fault is not None
        world.clean(world.hosts["h1"])
        (fourth,) = create_servers(world.site, MEMBER, wanted(world, part))
        assert fourth.host_name == "h1"


# Wrong from the start -----------------------------------------------------------------------------


def refused(
    world: Fleet, kind: type[Error], words: str, asked: NewServer, who: Any = MEMBER
) -> None:
    with pytest.raises(kind, match=words):
        create_servers(world.site, who, asked)
    assert rows(world, server) == 0
    assert used(world) == {}


def test_what_does_not_exist_is_named(world: Fleet) -> None:
    plain = flavor(world)
    refused(world, Invalid, "Flavor nope could not", wanted(world, "nope"))
    refused(world, Invalid, "requested image", wanted(world, plain, image_id="nope"))
    refused(world, Invalid, "boots from an image", wanted(world, plain, image_id=""))
    refused(world, Invalid, "key_name", wanted(world, plain, key_name="nope"))
    refused(world, Invalid, "availability zone", wanted(world, plain, zone="west"))
    nic = [NicAsked(port_id="nope")]
    refused(world, Invalid, "Port nope", wanted(world, plain, networks=nic))
    nic = [NicAsked(network_id="nope")]
    refused(world, Invalid, "Network nope", wanted(world, plain, networks=nic))


def test_an_unknown_alias_is_named_with_those_that_exist(world: Fleet) -> None:
    with pytest.raises(Invalid, match="PCI alias a9 is not defined") as told:
        create_servers(world.site, MEMBER, wanted(world, flavor(world, alias="a9:1")))
    assert "a1, whole" in told.value.hint


def test_an_alias_that_is_for_other_projects_is_refused(world: Fleet) -> None:
    a1 = {"name": "a1", "vendor_id": "8086", "product_id": "10ca", "project_ids": [OTHER_PROJECT]}
    site = replace(world.site, config=replace_field(config(), pci=Pci(alias=(Alias.parse(a1),))))
    order = wanted(world, flavor(world, alias="a1:1"))
    with pytest.raises(Forbidden, match="PCI alias a1 is not for project"):
        create_servers(site, MEMBER, order)
    assert rows(world, server) == 0


def test_an_image_that_does_not_go_with_the_flavor_is_refused(world: Fleet) -> None:
    plain = flavor(world)
    for image_id, words in (
        (world.image(min_ram_mib=65), "memory is too small"),
        (world.image(min_disk_gib=2), "disk is too small"),
        (world.image(size_bytes=2**30 + 1), "the image needs 2"),
        (world.image(status=Status.QUEUED), "not active"),
        (world.image(kernel_id="nope"), "names the kernel_id nope"),
    ):
        refused(world, Invalid, words, wanted(world, plain, image_id=image_id))
    numa = world.image(hw_numa_nodes="2")
    refused(world, Invalid, "1 CPUs and 64 MiB cannot be", wanted(world, plain, image_id=numa))
    uefi = world.image(hw_firmware_type="uefi")
    refused(world, NotOffered, "hw_firmware_type", wanted(world, plain, image_id=uefi))


def test_a_flavor_that_asks_for_more_than_is_there_is_refused(world: Fleet) -> None:
    realtime = flavor(world, extra_specs={"hw:cpu_realtime": "yes"})
    refused(world, NotOffered, "hw:cpu_realtime", wanted(world, realtime))


def test_ports_that_cannot_be_used_are_refused(world: Fleet) -> None:
    plain, network_id = flavor(world), world.network()
    vdpa = world.port(network_id, vnic_type=VnicType.VDPA)
    asked = wanted(world, plain, networks=[NicAsked(port_id=vdpa.id)])
    refused(world, Invalid, "vnic type vdpa is not carried by any host", asked)
    direct = world.port(network_id)
    asked = wanted(world, plain, networks=[NicAsked(port_id=direct.id)], max_count=2)
    refused(world, Invalid, "single configured port", asked)
    asked = wanted(world, plain, networks=[NicAsked(port_id=direct.id)] * 2)
    refused(world, Invalid, "named twice", asked)
    asked = wanted(world, plain, networks=[NicAsked(port_id=direct.id)])
    refused(world, Invalid, "could not be found", asked, who=STRANGER)


def test_a_strangers_port_is_not_there_for_the_networks_owner(world: Fleet) -> None:
    asked = PortWanted(network_id=world.network(), vnic_type=VnicType.DIRECT)
    now = world.hands()
    theirs = world.site.database.write(
        lambda c: port_create(c, asked, project_id=OTHER_PROJECT, now=now)
    )
    order = wanted(world, flavor(world), networks=[NicAsked(port_id=theirs.id)])
    refused(world, Invalid, f"Port {theirs.id} could not be found", order)
    (made,) = create_servers(world.site, ADMIN, order)
    assert list(made.port_ids) == [theirs.id]


def test_a_port_in_use_is_a_conflict(world: Fleet) -> None:
    web = world.port(world.network())
    asked = wanted(world, flavor(world), networks=[NicAsked(port_id=web.id)])
    create_servers(world.site, MEMBER, asked)
    with pytest.raises(Conflict, match="still in use"):
        create_servers(world.site, MEMBER, asked)
    assert rows(world, server) == 1


@pytest.mark.parametrize("place", [{"zone": "nova:h1"}, {"host": "h1"}, {"hypervisor": "h1"}])
def test_a_host_is_for_admins_to_name(world: Fleet, place: dict[str, str]) -> None:
    plain = flavor(world)
    refused(world, Forbidden, "for admins", wanted(world, plain, **place))
    (made,) = create_servers(world.site, ADMIN, wanted(world, plain, **place))
    assert made.host_name == "h1"


def test_a_host_that_is_not_there_is_refused(world: Fleet) -> None:
    asked = wanted(world, flavor(world), zone="nova:h9")
    refused(world, Invalid, "Compute host h9 could not be found", asked, who=ADMIN)


def test_hints_that_would_not_be_honoured_are_refused(world: Fleet) -> None:
    plain = flavor(world)
    refused(world, NotOffered, "cidr", wanted(world, plain, hints={"cidr": "/24"}))
    (made,) = create_servers(world.site, MEMBER, wanted(world, plain, hints={"colour": "red"}))
    assert made.scheduler_hints == {"colour": "red"}


def test_a_token_without_a_project_makes_no_server(world: Fleet) -> None:
    nobody = replace(MEMBER, project_id=None)
    refused(world, Invalid, "project scope", wanted(world, flavor(world)), who=nobody)


# Races --------------------------------------------------------------------------------------------


def race(world: Fleet, orders: list[NewServer]) -> list[str]:
    """Send every order at the same moment; return the hosts that were given, empty for none."""
    start = Barrier(len(orders))

    def create(asked: NewServer) -> str:
        start.wait(timeout=60)
        (made,) = create_servers(world.site, MEMBER, asked)
        return made.host_name or ""

    with ThreadPoolExecutor(len(orders)) as pool:
        return list(pool.map(create, orders))


def test_fifty_at_once_get_fourteen_devices(database_url: str, tmp_path: Path) -> None:
    with fleet(database_url, tmp_path, hosts=0) as world:
        for name in ("h1", "h2"):
            world.host(name, pf_and_vfs("41"))
        image_id = world.image()
        asked = wanted(world, flavor(world, alias="a1:1"), image_id=image_id)
        given = race(world, [asked] * 50)
        assert Counter(given) == {"h1": 7, "h2": 7, "": 36}
        assert standings(world) == {"held": 14}
        assert rows(world, claim) == 14
        assert used(world)["VCPU"] == 7
        assert rows(world, server) == 50


def test_rivals_for_one_port_get_it_once(world: Fleet) -> None:
    web = world.port(world.network())
    image_id, plain = world.image(), flavor(world)
    asked = wanted(world, plain, image_id=image_id, networks=[NicAsked(port_id=web.id)])
    start = Barrier(8)

    def create(_: int) -> bool:
        start.wait(timeout=60)
        try:
            create_servers(world.site, MEMBER, asked)
        except Conflict as error:
            assert "in use" in str(error)  # noqa: PT017 told on a thread
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(create, range(8))) == 1
    assert standings(world) == {"held": 1, "available": 13}
    assert (rows(world, server), used(world)["VCPU"]) == (1, 1)


def test_creation_and_deletion_side_by_side_lose_nothing(world: Fleet) -> None:
    image_id, device = world.image(), flavor(world, alias="a1:2")
    asked = wanted(world, device, image_id=image_id)
    start = Barrier(6)

    def live(_: int) -> None:
        start.wait(timeout=60)
        for _ in range(4):
            (made,) = create_servers(world.site, MEMBER, asked)
            delete_server(world.site, MEMBER, made.id)
            if made.host_id is not None:
                world.report(made.id, "absent")
                world.clean(made.host_id)

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(live, range(6)))
    world.obey()
    assert standings(world) == {"available": 14}
    assert used(world) == {}
    for table in (server, claim, allocation, consumer):
        assert rows(world, table) == 0, table.name
