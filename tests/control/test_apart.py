"""Ports of one word: on different PFs in one claim, and when one is given later."""

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from control.test_normal_port import boot, port_now
from fleet import ADMIN, MEMBER, Fleet, fleet, pf_and_vfs
from lanekeeper.control.compute.explain import explain
from lanekeeper.control.compute.flavor import create_flavor
from lanekeeper.control.compute.question import Question
from lanekeeper.control.compute.server import delete_server
from lanekeeper.control.compute.server_attach import attach_card
from lanekeeper.control.compute.server_nic import NicAsked
from lanekeeper.control.network.port import create_ports, update_port
from lanekeeper.control.network.port_rules import PortChange
from lanekeeper.control.verify.verify import verify
from lanekeeper.domain.compute.flavor import Flavor
from lanekeeper.domain.compute.server import VmState
from lanekeeper.domain.errors import Invalid
from lanekeeper.domain.network.port import PortRecord, PortWanted, VnicType
from lanekeeper.protocol import DeviceFact

pytestmark = pytest.mark.service

CLOSE = r"has to be of another card than the server's ports with apart=uplinks; "


def devices(*buses: str, **switches: str) -> list[DeviceFact]:
    """Two VFs on each bus, all on physnet1, with the switch of each bus where told."""
    return [
        msgspec.structs.replace(one, tags={**one.tags, "x_switch": switches[f"of_{bus}"]})
        if one.tags and f"of_{bus}" in switches
        else one
        for bus in buses
        for one in pf_and_vfs(bus, 2, physical_network="physnet1")
    ]


@pytest.fixture
def world(database_url: str, tmp_path: Path) -> Iterator[Fleet]:
    with fleet(database_url, tmp_path, hosts=0) as made:
        create_flavor(made.site, Flavor(id="m1", name="m1", vcpus=1, ram_mib=64, disk_gib=1))
        yield made
        with made.site.database.read() as connection:
            assert [one for one in verify(connection) if not one.notice] == []


def host(world: Fleet, found: list[DeviceFact]) -> None:
    world.host("h1", found)
    world.seen()


def ports(world: Fleet, count: int, network_id: str | None = None) -> tuple[PortRecord, ...]:
    asked = PortWanted(
        network_id=network_id or world.network(),
        vnic_type=VnicType.DIRECT,
        profile={"apart": "uplinks"},
    )
    return create_ports(world.site, ADMIN, [asked] * count)


def bus(world: Fleet, port: PortRecord) -> str:
    return str(port_now(world, port).profile["pci_slot"])[5:7]


def test_one_request_takes_vfs_of_two_pfs(world: Fleet) -> None:
    host(world, devices("21", "41"))
    first, second = ports(world, 2)
    made = boot(world, first, second)
    assert made.host_name == "h1"
    assert {bus(world, first), bus(world, second)} == {"21", "41"}
    assert port_now(world, first).profile["apart"] == "uplinks"
    delete_server(world.site, MEMBER, made.id)
    world.report(made.id, "absent")
    assert port_now(world, first).profile == {"apart": "uplinks"}


def test_of_two_cards_on_one_switch_and_one_on_another_that_one_is_taken(world: Fleet) -> None:
    told = {"of_21": "leaf-1", "of_22": "leaf-1", "of_41": "leaf-2"}
    host(world, devices("21", "22", "41", **told))
    first, second = ports(world, 2)
    boot(world, first, second)
    assert "41" in {bus(world, first), bus(world, second)}


def test_where_one_pf_has_all_that_is_free_it_is_refused(world: Fleet) -> None:
    host(world, devices("21"))
    both = ports(world, 2)
    told = explain(world.site, ADMIN, Question(flavor="m1", ports=tuple(one.id for one in both)))
    (refused,) = told.hosts
    assert refused.verdicts[0]["filter"] == "devices"
    assert (
        "have to be of different cards (apart=uplinks), and 1 has such a device free"
        in (refused.verdicts[0]["reason"])
    )
    made = boot(world, *both)
    assert made.vm_state == VmState.ERROR
    assert [port_now(world, one).device_id for one in both] == ["", ""]
    host(world, devices("21", "41"))
    assert boot(world, *both, name="again").host_name == "h1"


def test_a_port_that_comes_later_is_apart_too(world: Fleet) -> None:
    host(world, devices("21", "41"))
    first, second, third = ports(world, 3)
    made = boot(world, first)
    world.report(made.id, "running")
    attach_card(world.site, MEMBER, made.id, NicAsked(port_id=second.id))
    assert {bus(world, first), bus(world, second)} == {"21", "41"}
    world.report(made.id, "running")
    with pytest.raises(Invalid, match=CLOSE + "of 2 with such a device free 2 are theirs$"):
        attach_card(world.site, ADMIN, made.id, NicAsked(port_id=third.id))
    assert port_now(world, third).device_id == ""


def test_a_port_that_comes_later_is_told_of_cards_on_switches_of_the_others(world: Fleet) -> None:
    host(world, devices("21", "22", "41", of_21="leaf-1", of_22="leaf-1"))
    first, second, third = ports(world, 3)
    made = boot(world, first, second)
    world.report(made.id, "running")
    assert "41" in {bus(world, first), bus(world, second)}
    told = r"of 3 with such a device free 2 are theirs and 1 is on a switch of theirs \(x_switch\)$"
    with pytest.raises(Invalid, match=CLOSE + told):
        attach_card(world.site, ADMIN, made.id, NicAsked(port_id=third.id))


@pytest.mark.parametrize(
    ("vnic_type", "said", "refusal"),
    [
        (VnicType.NORMAL, "x", "a port of vnic type normal is on no card"),
        (VnicType.DIRECT, "", "is no text of 1 to 64 characters"),
        (VnicType.DIRECT, 7, "is no text of 1 to 64 characters"),
        (VnicType.DIRECT, "x" * 65, "is no text of 1 to 64 characters"),
    ],
)
def test_a_word_that_says_nothing_is_refused(
    world: Fleet, vnic_type: VnicType, said: object, refusal: str
) -> None:
    network_id = world.network()
    asked = PortWanted(network_id=network_id, vnic_type=vnic_type, profile={"apart": said})
    with pytest.raises(Invalid, match=refusal):
        create_ports(world.site, ADMIN, [asked])
    port = world.port(network_id, vnic_type=vnic_type)
    with pytest.raises(Invalid, match=refusal):
        update_port(
            world.site, ADMIN, port.id, PortChange(values={"binding_profile": {"apart": said}})
        )
    assert port_now(world, port).profile == {}
