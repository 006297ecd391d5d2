"""``lanekeeper port show``: the chain of a port, a link a line."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest

from fleet import ADMIN, MEMBER, Fleet, fleet, lab_devices
from lanekeeper.api.lanekeeper.face import FACE
from lanekeeper.cli.port import port_text
from lanekeeper.control.compute.flavor import create_flavor
from lanekeeper.control.compute.server_create import create_servers
from lanekeeper.control.compute.server_nic import NicAsked
from lanekeeper.control.compute.server_order import NewServer
from lanekeeper.control.host.desired import desired_of
from lanekeeper.control.network.port import create_ports
from lanekeeper.control.network.port_vf import report_vfs
from lanekeeper.domain.compute.flavor import Flavor
from lanekeeper.domain.network.port import PortRecord, PortWanted, VnicType
from lanekeeper.protocol import HostVfs, VfFact, VfMend, VfReading

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
    assert "settings   none: no host is told of it" in text
    boot(world, port)
    held = admin.get(f"/lanekeeper/v1/ports/{port.id}").json()["port"]
    assert held["status"] == "BUILD"
    assert "has not told yet that the guest of server s has its device" in held["why"]
    assert held["server"]["host"] == held["binding"]["host"]
    assert held["device"]["physical_network"] == "physnet1"
    assert held["wanted"]["vlan"] == 15
    assert held["wanted"]["mac"] == port.mac
    assert (held["held_by"], held["found"], held["differences"]) == ("vf", None, [])
    text = port_text(held)
    assert "settings   of the VF not known: the guest does not run" in text
    assert f"MAC            {port.mac}  ?" in text


def test_what_a_vf_is_set_to_stands_beside_what_is_wanted(world: Fleet) -> None:
    port = world.port(world.network(), "p")
    server_id = boot(world, port)
    world.report(server_id, "running")
    told = shown(world, port)
    assert told["unread"].startswith("h1 has not told it yet")
    tell(world, mac=port.mac, vlan=15, spoof_check=True, trusted=False)
    alike = shown(world, port)
    assert (alike["differences"], alike["mended"], alike["unread"]) == ([], None, "")
    assert "settings   as wanted, found so since 2026-11-21T09:00:00+00:00" in port_text(alike)
    tell(
        world,
        mended=VfMend(
            at=datetime(2026, 11, 21, 8, tzinfo=UTC),
            lost=["vlan", "spoofchk"],
            was=VfReading(vlan=99, spoof_check=False),
        ),
        unknown=["link_state", "trust"],
        mac=port.mac, vlan=15, qos=3, spoof_check=False, max_tx_mbps=100,
    )  # fmt: skip
    other = shown(world, port)
    assert other["differences"] == ["vlan", "spoof_check", "max_tx_mbps"]
    assert other["found"]["unknown"] == ["link_state", "trusted"]
    assert other["mended"]["settings"] == ["vlan", "spoof_check"]
    text = port_text(other)
    assert "settings   3 not as wanted, found so since 2026-11-21T09:00:00+00:00" in text
    assert (
        "mended     2026-11-21T08:00:00+00:00, changed by something else and set again: "
        "VLAN (was 99), spoof check (was off)" in text
    )
    assert text.split("\n\n")[1].splitlines() == [
        "SETTING        WANTED             FOUND                                DIFFERS",
        f"MAC            {port.mac}  {port.mac}",
        "VLAN           15                 15                                   <",
        "spoof check    on                 off                                  <",
        "trust          off                not told (the driver cannot set it)",
        "link           auto               not told (the driver cannot set it)",
        "rate at least  none               none",
        "rate at most   any                100 Mbit/s                           <",
        "VLAN priority  0                  3                                    <",
    ]


def test_what_was_told_of_another_vf_is_not_this_ones(world: Fleet) -> None:
    port = world.port(world.network(), "p")
    world.report(boot(world, port), "running")
    tell(world, address="0000:21:11.7", mac=port.mac, vlan=7)
    told = shown(world, port)
    assert (told["found"], told["differences"]) == (None, [])


@pytest.mark.parametrize(
    ("kind", "held_by", "said"),
    [
        (VnicType.DIRECT_PHYSICAL, "pf", "nobody's: the guest has a whole PF"),
        (VnicType.NORMAL, "switch", "the virtual switch's: this port has no VF; flows enforce"),
    ],
)
def test_what_has_no_vf_says_so(world: Fleet, kind: VnicType, held_by: str, said: str) -> None:
    devices = [
        msgspec.structs.replace(one, listed=True, tags={"physical_network": "physnet1"})
        for one in lab_devices()
        if one.dev_type == "type-PF"
    ]
    world.host("h1", devices, bridges={"physnet1": "br-physnet1"}, guards=True)
    world.seen()
    port = world.port(world.network(), "p", kind)
    world.report(boot(world, port), "running")
    told = shown(world, port)
    assert (told["held_by"], told["found"], told["unread"]) == (held_by, None, "")
    assert f"settings   {said}" in port_text(told)


def test_a_pair_says_what_stands_by(world: Fleet) -> None:
    world.host("h1", lab_devices(), bridges={"physnet1": "br-ex"}, guards=True, pairs=True)
    world.seen()
    asked = PortWanted(
        network_id=world.network(), vnic_type=VnicType.DIRECT, profile={"failover": "true"}
    )
    (port,) = create_ports(world.site, ADMIN, [asked])
    world.report(boot(world, port), "running")
    told = shown(world, port)
    assert (told["held_by"], told["status"]) == ("vf", "ACTIVE")
    assert "or the VF is away" in told["unread"]
    assert told["standby"] == {"bridge": "br-ex", "guarded_by": "flows"}
    assert told["why"].endswith("stands by; of its VF h1 tells nothing now")
    text = port_text(told)
    assert "standby    a virtio card on bridge br-ex; flows enforce its security groups" in text
    alone = world.port(world.network("other", vlan=16), "q")
    assert shown(world, alone)["standby"] is None


def shown(world: Fleet, port: PortRecord) -> dict[str, Any]:
    found: dict[str, Any] = world.client(FACE).get(f"/lanekeeper/v1/ports/{port.id}").json()["port"]
    return found


def boot(world: Fleet, port: PortRecord) -> str:
    flavor = create_flavor(world.site, Flavor(id="", name="m1", vcpus=1, ram_mib=64, disk_gib=1))
    nics = (NicAsked(port_id=port.id),)
    asked = NewServer(name="s", flavor_id=flavor.id, image_id=world.image(), networks=nics)
    (made,) = create_servers(world.site, MEMBER, asked)
    return made.id


def tell(
    world: Fleet,
    *,
    mended: VfMend | None = None,
    unknown: Sequence[str] = (),
    address: str = "",
    **found: object,
) -> None:
    """Have the host tell what the VF of its only port was found set to."""
    ((nic,),) = [one.nics for one in desired_of(world.site, world.hosts["h1"]).servers]
    fact = VfFact(
        port_id=nic.port_id,
        address=address or nic.device.address,
        found=VfReading(**found),  # type: ignore[arg-type]  # named as the fields are
        unknown=list(unknown),
        mended=mended,
    )
    report_vfs(world.site, world.hosts["h1"], HostVfs(vfs=[fact]))


def test_a_port_that_is_not_there_and_one_who_may_not_see_it(world: Fleet) -> None:
    reply = world.client(FACE).get("/lanekeeper/v1/ports/nowhere")
    assert (reply.status_code, reply.json()["error"]["code"]) == (404, "PortNotFound")
    assert world.client(FACE, who="member").get("/lanekeeper/v1/ports/x").status_code == 403
