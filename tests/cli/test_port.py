"""``lanekeeper port show``: the chain of a port, a link a line."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from fleet import MEMBER, Fleet, fleet
from lanekeeper.api.lanekeeper.face import FACE
from lanekeeper.cli.port import port_text
from lanekeeper.control.compute.flavor import create_flavor
from lanekeeper.control.compute.server_create import create_servers
from lanekeeper.control.compute.server_nic import NicAsked
from lanekeeper.control.compute.server_order import NewServer
from lanekeeper.domain.compute.flavor import Flavor

pytestmark = pytest.mark.service


@pytest.fixture
def world(database_url: str, tmp_path: Path) -> Iterator[Fleet]:
    with fleet(database_url, tmp_path) as made:
        made.seen()
        yield made


def test_a_port_is_shown_with_all_that_it_hangs_on(world: Fleet) -> None:
    port = world.port(world.network(), "p")
    admin = world.client(FACE)
    reply = admin.get(f"/lanekeeper/v1/ports/{port.id}")
    assert reply.status_code == 200, reply.text
    alone = reply.json()["port"]
    assert (alone["status"], alone["why"]) == ("DOWN", "no server has it")
    assert [alone[name] for name in ("server", "device", "wanted")] == [None, None, None]
    text = port_text(alone)
    assert "network    web, VLAN 15 of physnet1" in text
    assert "VF found" not in text
    flavor = create_flavor(world.site, Flavor(id="", name="m1", vcpus=1, ram_mib=64, disk_gib=1))
    nics = (NicAsked(port_id=port.id),)
    asked = NewServer(name="s", flavor_id=flavor.id, image_id=world.image(), networks=nics)
    create_servers(world.site, MEMBER, asked)
    held = admin.get(f"/lanekeeper/v1/ports/{port.id}").json()["port"]
    assert held["status"] == "BUILD"
    assert "has not told yet that the guest of server s has its device" in held["why"]
    assert held["server"]["host"] == held["binding"]["host"]
    assert held["device"]["physical_network"] == "physnet1"
    assert held["wanted"]["vlan"] == 15
    assert held["wanted"]["mac"] == port.mac
    text = port_text(held)
    assert f"VF wanted  MAC {port.mac}, VLAN 15, spoof check on, trust off, link auto, " in text
    assert "VF found   known to the host alone" in text


def test_a_port_that_is_not_there_and_one_who_may_not_see_it(world: Fleet) -> None:
    reply = world.client(FACE).get("/lanekeeper/v1/ports/nowhere")
    assert (reply.status_code, reply.json()["error"]["code"]) == (404, "PortNotFound")
    assert world.client(FACE, who="member").get("/lanekeeper/v1/ports/x").status_code == 403
