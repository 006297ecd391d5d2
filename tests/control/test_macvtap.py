"""Ports of type macvtap: a host that can have the VF as an interface, and what that host hears."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec import structs

from control.test_normal_port import boot
from fleet import ADMIN, MEMBER, Fleet, fleet, pf_and_vfs
from lanekeeper.control.compute.explain import explain
from lanekeeper.control.compute.flavor import create_flavor
from lanekeeper.control.compute.question import Question
from lanekeeper.control.compute.server_attach import attach_card
from lanekeeper.control.compute.server_nic import NicAsked
from lanekeeper.control.host.desired import desired_of
from lanekeeper.control.network.port import show_port
from lanekeeper.control.verify.verify import verify
from lanekeeper.domain.compute.flavor import Flavor
from lanekeeper.domain.compute.server import VmState
from lanekeeper.domain.errors import Conflict, Invalid
from lanekeeper.domain.network.port import PortRecord, VnicType
from lanekeeper.protocol import DeviceFact, NicWanted

pytestmark = pytest.mark.service


def devices(driver: str | None) -> list[DeviceFact]:
    return [
        structs.replace(one, host_driver=driver) if one.dev_type == "type-VF" else one
        for one in pf_and_vfs("21", vfs=2, physical_network="physnet1")
    ]


@pytest.fixture
def world(database_url: str, tmp_path: Path) -> Iterator[Fleet]:
    with fleet(database_url, tmp_path, hosts=0) as made:
        made.host("h1", devices(None))
        made.host("h2", devices("igbvf"))
        made.seen()
        create_flavor(made.site, Flavor(id="m1", name="m1", vcpus=1, ram_mib=64, disk_gib=1))
        yield made
        with made.site.database.read() as connection:
            assert [one for one in verify(connection) if not one.notice] == []


def macvtap(world: Fleet, network_id: str) -> PortRecord:
    return world.port(network_id, vnic_type=VnicType.MACVTAP)


def cards(world: Fleet, host: str = "h2") -> dict[str, NicWanted]:
    (server,) = desired_of(world.site, world.hosts[host]).servers
    return {nic.port_id: nic for nic in server.nics}


def test_it_goes_where_a_vf_can_be_an_interface_and_is_bound_as_neutron_does(world: Fleet) -> None:
    network_id = world.network()
    port, direct = macvtap(world, network_id), world.port(network_id)
    assert boot(world, port, direct).host_name == "h2"
    bound = show_port(world.site, ADMIN, port.id)
    assert (bound.vif_type, bound.status) == ("hw_veb", "BUILD")
    assert bound.vif_details["bound_drivers"] == {"0": "sriovnicswitch"}
    assert bound.profile["pci_slot"].startswith("0000:21:10.")
    wanted = cards(world)
    assert (wanted[port.id].macvtap, wanted[direct.id].macvtap) == ("virtio", None)
    assert (wanted[port.id].vlan, wanted[port.id].mac) == (15, port.mac)


def test_a_host_whose_driver_is_missing_says_so(world: Fleet) -> None:
    network_id = world.network()
    for _ in range(2):
        assert boot(world, macvtap(world, network_id)).vm_state != VmState.ERROR
    port = macvtap(world, network_id)
    assert boot(world, port).vm_state == VmState.ERROR
    asked = Question(flavor="m1", networks=(network_id,), vnic_type=VnicType.MACVTAP)
    answer = explain(world.site, ADMIN, asked)
    told = {host: str(one.verdicts) for one in answer.hosts for host in one.hosts}
    assert "no driver for it loaded" in told["h1"].replace("the host has ", "")
    assert "modprobe igbvf" in told["h1"]
    assert "modprobe igbvf" not in told["h2"]


def test_its_guest_sees_the_model_that_the_image_says(world: Fleet) -> None:
    port = macvtap(world, world.network())
    with pytest.raises(Invalid, match="hw_vif_model='sn76477'"):
        boot(world, port, image_id=world.image(hw_vif_model="sn76477"))
    boot(world, port, image_id=world.image(hw_vif_model="e1000"))
    assert cards(world)[port.id].macvtap == "e1000"


def test_a_card_of_conventional_pci_is_not_plugged_into_a_guest_that_runs(world: Fleet) -> None:
    network_id = world.network()
    first = macvtap(world, network_id)
    made = boot(world, first, image_id=world.image(hw_vif_model="e1000"))
    world.report(made.id, "running")
    late = macvtap(world, network_id)
    with pytest.raises(Conflict, match="hw_vif_model=e1000, a card of conventional PCI"):
        attach_card(world.site, MEMBER, made.id, NicAsked(port_id=late.id))


def test_it_is_plugged_into_a_server_that_runs_where_its_host_can(world: Fleet) -> None:
    network_id = world.network()
    made = boot(world, macvtap(world, network_id))
    world.report(made.id, "running")
    late = macvtap(world, network_id)
    attach_card(world.site, MEMBER, made.id, NicAsked(port_id=late.id))
    assert cards(world)[late.id].macvtap == "virtio"
    world.host("h2", devices(None))  # its driver was unloaded
    other = world.network("other", vlan=16)
    with pytest.raises(Invalid):
        attach_card(world.site, MEMBER, made.id, NicAsked(port_id=macvtap(world, other).id))
