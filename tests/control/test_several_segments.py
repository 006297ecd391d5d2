"""A server with a port on a network of several segments: any that its host reaches will do."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from fleet import MEMBER, Fleet, fleet, pf_and_vfs
from lanekeeper.control.compute.flavor import create_flavor
from lanekeeper.control.compute.server_create import create_servers
from lanekeeper.control.compute.server_nic import NicAsked
from lanekeeper.control.compute.server_order import NewServer
from lanekeeper.control.host.desired import desired_of
from lanekeeper.control.network.port import show_port
from lanekeeper.control.verify.verify import verify
from lanekeeper.domain.compute.flavor import Flavor
from lanekeeper.domain.network.segment import NetworkType, Segment
from lanekeeper.store.network.segment import segment_insert

pytestmark = pytest.mark.service


@pytest.fixture
def world(database_url: str, tmp_path: Path) -> Iterator[Fleet]:
    with fleet(database_url, tmp_path) as made:
        cards = pf_and_vfs("21", physical_network="physnet2")
        made.host("h1", cards, mappings=("physnet2",))
        made.seen()
        yield made


def test_a_server_gets_the_vlan_of_the_segment_that_its_host_reaches(world: Fleet) -> None:
    network_id = world.network(vlan=15, physical_network="physnet1")
    second = Segment(
        id=str(uuid.uuid4()),
        network_type=NetworkType.VLAN,
        physical_network="physnet2",
        segmentation_id=9,
    )
    world.site.database.write(lambda c: segment_insert(c, network_id, second, 1))
    port = world.port(network_id)
    flavor = create_flavor(world.site, Flavor(id="", name="m1", vcpus=1, ram_mib=64, disk_gib=1))
    asked = NewServer(
        name="s", flavor_id=flavor.id, image_id=world.image(), networks=(NicAsked(port_id=port.id),)
    )
    (made,) = create_servers(world.site, MEMBER, asked)
    bound = show_port(world.site, MEMBER, port.id)
    assert bound.host_name == "h1"
    assert bound.vif_details["vlan"] == "9"
    assert bound.profile["physical_network"] == "physnet2"
    (wanted,) = desired_of(world.site, world.hosts["h1"]).servers
    assert [nic.vlan for nic in wanted.nics] == [9]
    with world.site.database.read() as connection:
        assert verify(connection) == []
    assert made.id == bound.device_id
