"""Ports that are made with servers count like any other."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from fleet import MEMBER, Fleet, fleet
from lanekeeper.control.compute.flavor import create_flavor
from lanekeeper.control.compute.server_create import create_servers
from lanekeeper.control.compute.server_nic import NicAsked
from lanekeeper.control.compute.server_order import NewServer
from lanekeeper.control.network.port import create_ports, list_ports
from lanekeeper.control.network.quota import change_quota
from lanekeeper.control.verify.verify import verify
from lanekeeper.domain.compute.flavor import Flavor
from lanekeeper.domain.errors import Conflict, OverQuota
from lanekeeper.domain.network.port import PortWanted
from statements import statements

pytestmark = pytest.mark.service


@pytest.fixture
def world(database_url: str, tmp_path: Path) -> Iterator[Fleet]:
    with fleet(database_url, tmp_path) as made:
        made.seen()
        yield made


def test_ports_of_one_request_are_counted_once_and_judged_together(world: Fleet) -> None:
    assert MEMBER.project_id is not None
    network_id = world.network()

    def counts(number: int) -> int:
        with statements() as said:
            create_ports(world.site, MEMBER, [PortWanted(network_id=network_id)] * number)
        return sum("count(" in one.text and "FROM port" in one.text for one in said)

    change_quota(world.site, MEMBER.project_id, {"port": 6}, force=False)
    assert counts(1) == counts(4) > 0
    with pytest.raises(Conflict, match="Quota exceeded"):
        counts(2)
    assert counts(1) > 0
    assert len(list_ports(world.site, MEMBER, {})) == 6


def test_a_server_whose_port_is_too_much_is_refused(world: Fleet) -> None:
    assert MEMBER.project_id is not None
    nic = NicAsked(network_id=world.network())
    flavor = create_flavor(world.site, Flavor(id="", name="m1", vcpus=1, ram_mib=64, disk_gib=1))
    asked = NewServer(name="s", flavor_id=flavor.id, image_id=world.image(), networks=(nic,))
    change_quota(world.site, MEMBER.project_id, {"port": 1}, force=False)
    create_servers(world.site, MEMBER, asked)
    with pytest.raises(OverQuota, match=r"Maximum number of ports exceeded: .*\['port'\]"):
        create_servers(world.site, MEMBER, asked)
    assert len(list_ports(world.site, MEMBER, {})) == 1
    with world.site.database.read() as connection:
        assert verify(connection) == []
