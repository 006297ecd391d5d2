"""Cards come to servers that are there, and go once their guests have let go of them."""

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from fleet import ADMIN, MEMBER, STRANGER, Fleet, fleet, lab_devices, pf_and_vfs
from lanekeeper.control.compute.flavor import create_flavor
from lanekeeper.control.compute.server import delete_server, start_server, stop_server
from lanekeeper.control.compute.server_attach import attach_card, detach_card
from lanekeeper.control.compute.server_create import create_servers
from lanekeeper.control.compute.server_nic import NicAsked
from lanekeeper.control.compute.server_order import NewServer
from lanekeeper.control.host.desired import desired_of
from lanekeeper.control.host.host import report_state
from lanekeeper.control.network.port import list_ports, show_port
from lanekeeper.control.verify.finding import Finding
from lanekeeper.control.verify.verify import verify
from lanekeeper.domain.compute.flavor import Flavor
from lanekeeper.domain.errors import Conflict, Invalid, NotFound
from lanekeeper.domain.network.port import PortRecord
from lanekeeper.protocol import HostState, ServerState, ServerWanted
from lanekeeper.store.compute.server import event_list, server_get

pytestmark = pytest.mark.service


@pytest.fixture
def world(database_url: str, tmp_path: Path) -> Iterator[Fleet]:
    with fleet(database_url, tmp_path) as made:
        made.seen()
        yield made


def boot(world: Fleet) -> str:
    flavor = create_flavor(world.site, Flavor(id="", name="m1", vcpus=1, ram_mib=64, disk_gib=1))
    asked = NewServer(name="s", flavor_id=flavor.id, image_id=world.image())
    (made,) = create_servers(world.site, MEMBER, asked)
    world.report(made.id, "running")
    return made.id


def plug(world: Fleet, server_id: str, port: PortRecord) -> PortRecord:
    return attach_card(world.site, MEMBER, server_id, NicAsked(port_id=port.id))


def wanted(world: Fleet) -> ServerWanted:
    (one,) = desired_of(world.site, world.hosts["h1"]).servers
    return one


def tell(world: Fleet, server_id: str, *devices: str, problem: str = "", late: int = 0) -> None:
    """The host says what the guest has in hand; *late* generations behind what is wanted."""
    with world.site.database.read() as connection:
        record = server_get(connection, server_id)
    assert record is not None
    guest = ServerState(
        id=server_id,
        power="running",
        generation=record.generation - late,
        problem=problem,
        devices=list(devices),
    )
    report_state(world.site, world.hosts["h1"], HostState(servers=[guest]))


def findings(world: Fleet) -> list[Finding]:
    with world.site.database.read() as connection:
        return verify(connection)


def test_a_port_is_given_to_a_running_server(world: Fleet) -> None:
    server_id, port = boot(world), world.port(world.network())
    before = wanted(world).generation
    attached = plug(world, server_id, port)
    assert (attached.device_id, attached.status, attached.vif_type) == (
        server_id,
        "BUILD",
        "hw_veb",
    )
    (card,) = wanted(world).nics
    assert (card.port_id, wanted(world).generation) == (port.id, before + 1)
    tell(world, server_id, late=1)
    assert show_port(world.site, ADMIN, port.id).status == "BUILD"
    tell(world, server_id, card.device.address)
    assert show_port(world.site, ADMIN, port.id).status == "ACTIVE"
    assert not findings(world)


def test_a_port_is_the_servers_until_its_guest_has_let_go(world: Fleet) -> None:
    server_id, port = boot(world), world.port(world.network())
    plug(world, server_id, port)
    device = wanted(world).nics[0].device
    tell(world, server_id, device.address)
    detach_card(world.site, MEMBER, server_id, port.id)
    assert (wanted(world).nics, wanted(world).leaving) == ([], [device.address])
    tell(world, server_id, device.address, problem="has it still", late=1)
    held = show_port(world.site, ADMIN, port.id)
    assert (held.device_id, desired_of(world.site, world.hosts["h1"]).cleaning) == (server_id, [])
    with world.site.database.read() as connection:
        assert event_list(connection, server_id)[0].message == "has it still"
    tell(world, server_id, device.address)  # the note came first, the device is still there
    assert show_port(world.site, ADMIN, port.id).device_id == server_id
    tell(world, server_id)
    free = show_port(world.site, ADMIN, port.id)
    assert (free.device_id, free.vif_type, free.status) == ("", "unbound", "DOWN")
    (cleaning,) = desired_of(world.site, world.hosts["h1"]).cleaning
    assert cleaning.device.device_id == device.device_id
    assert not findings(world)


def test_a_port_that_was_made_for_it_goes_with_the_card(world: Fleet) -> None:
    server_id, network = boot(world), world.network()
    port = attach_card(world.site, MEMBER, server_id, NicAsked(network_id=network))
    tell(world, server_id, wanted(world).nics[0].device.address)
    detach_card(world.site, MEMBER, server_id, port.id)
    tell(world, server_id)
    assert list_ports(world.site, ADMIN, {"id": (port.id,)}) == ()


def test_a_stopped_server_lets_go_at_once(world: Fleet) -> None:
    server_id, port = boot(world), world.port(world.network())
    plug(world, server_id, port)
    stop_server(world.site, MEMBER, server_id)
    world.report(server_id, "stopped")
    detach_card(world.site, MEMBER, server_id, port.id)
    world.report(server_id, "stopped")
    assert show_port(world.site, ADMIN, port.id).device_id == ""


def test_a_server_that_is_deleted_meanwhile_takes_nothing_along(world: Fleet) -> None:
    server_id, port = boot(world), world.port(world.network())
    plug(world, server_id, port)
    detach_card(world.site, MEMBER, server_id, port.id)
    delete_server(world.site, MEMBER, server_id)
    world.report(server_id, "absent")
    assert show_port(world.site, ADMIN, port.id).device_id == ""
    assert not findings(world)


TIED = ["0000:21:10.0", "0000:21:10.1"]
ALONE = "0000:21:10.2"


@pytest.fixture
def tied(world: Fleet) -> Fleet:
    """Its host has three VFs: two that are given away together, and one that is not."""
    pf, *vfs = pf_and_vfs("21", 3, physical_network="physnet1")
    pair = [msgspec.structs.replace(one, unit=TIED[0]) for one in vfs[:2]]
    world.host("h1", [pf, *pair, vfs[2]])
    return world


def stopped_with(world: Fleet, cards: int) -> str:
    """A server that is off, with so many cards."""
    server_id, network = boot(world), world.network()
    stop_server(world.site, MEMBER, server_id)
    world.report(server_id, "stopped")
    for _ in range(cards):
        plug(world, server_id, world.port(network))
        world.report(server_id, "stopped")
    return server_id


def start(world: Fleet, server_id: str) -> None:
    start_server(world.site, MEMBER, server_id)
    world.report(server_id, "running")


def cleaned(world: Fleet) -> list[str]:
    return [one.device.address for one in desired_of(world.site, world.hosts["h1"]).cleaning]


def told(world: Fleet) -> tuple[list[str], list[str], list[str]]:
    """What the guest is to have as cards, to let go of, and to have besides."""
    one = wanted(world)
    cards, others = (nic.device.address for nic in one.nics), (d.address for d in one.devices)
    return sorted(cards), one.leaving, sorted(others)


def test_a_running_server_gets_what_is_alone_and_no_part_of_a_unit(tied: Fleet) -> None:
    server_id, network = boot(tied), tied.network()
    plug(tied, server_id, tied.port(network))
    assert told(tied) == ([ALONE], [], [])
    with pytest.raises(Conflict, match=r"while it runs.*given away together") as caught:
        plug(tied, server_id, tied.port(network))
    assert "stop the server" in caught.value.hint
    assert told(tied) == ([ALONE], [], [])


def test_a_stopped_server_gets_a_unit_and_gives_it_back_whole(tied: Fleet) -> None:
    server_id = stopped_with(tied, 2)
    start(tied, server_id)
    (card,) = [one for one in wanted(tied).nics if one.device.unit is None]
    assert card.device.address == ALONE
    (mine,) = [one.port_id for one in wanted(tied).nics if one.device.unit is not None]
    before = wanted(tied)
    with pytest.raises(Conflict, match=r"while it runs.*given away together") as caught:
        detach_card(tied.site, MEMBER, server_id, mine)
    assert "stop the server" in caught.value.hint
    assert wanted(tied) == before
    stop_server(tied.site, MEMBER, server_id)
    tied.report(server_id, "stopped")
    detach_card(tied.site, MEMBER, server_id, mine)
    assert told(tied) == ([ALONE], [], [])
    tied.report(server_id, "stopped")
    assert cleaned(tied) == TIED
    assert show_port(tied.site, ADMIN, mine).device_id == ""
    assert not findings(tied)


def test_nothing_of_a_unit_is_released_while_the_guest_has_some_of_it(tied: Fleet) -> None:
    """The guest was started between the detachment and the report of its host."""
    server_id = stopped_with(tied, 2)
    mine = next(one.port_id for one in wanted(tied).nics if one.device.unit is not None)
    detach_card(tied.site, MEMBER, server_id, mine)
    start_server(tied.site, MEMBER, server_id)
    tell(tied, server_id, ALONE, TIED[1])
    assert (cleaned(tied), show_port(tied.site, ADMIN, mine).device_id) == ([], server_id)
    assert told(tied) == ([ALONE], [], [])
    tell(tied, server_id, ALONE)
    assert cleaned(tied) == TIED


def test_of_two_cards_that_are_given_away_together_one_stays_for_the_other(tied: Fleet) -> None:
    network = tied.network()
    networks = [NicAsked(port_id=tied.port(network).id) for _ in "123"]
    flavor = create_flavor(tied.site, Flavor(id="", name="m3", vcpus=1, ram_mib=64, disk_gib=1))
    asked = NewServer(name="s", flavor_id=flavor.id, image_id=tied.image(), networks=networks)
    (made,) = create_servers(tied.site, MEMBER, asked)
    tied.report(made.id, "running")
    first, second = (one.port_id for one in wanted(tied).nics if one.device.unit is not None)
    stop_server(tied.site, MEMBER, made.id)
    tied.report(made.id, "stopped")
    detach_card(tied.site, MEMBER, made.id, first)
    kept = wanted(tied)
    tied.report(made.id, "stopped")
    assert show_port(tied.site, ADMIN, first).device_id == ""
    for one in (kept, wanted(tied)):
        assert (len(one.nics), len(one.devices), one.leaving) == (2, 1, [])
    assert cleaned(tied) == []
    assert not findings(tied)
    detach_card(tied.site, MEMBER, made.id, second)
    tied.report(made.id, "stopped")
    assert cleaned(tied) == TIED
    assert not findings(tied)


def test_what_cannot_be_is_refused_and_changes_nothing(world: Fleet) -> None:
    server_id, network = boot(world), world.network()
    ports = [world.port(network) for _ in range(8)]
    for port in ports[:7]:
        plug(world, server_id, port)
    with pytest.raises(Invalid, match="needs 1; of 7 that fit 0 are free") as caught:
        plug(world, server_id, ports[7])
    assert "h1" not in str(caught.value)
    with pytest.raises(Conflict, match="in use"):
        plug(world, server_id, ports[0])
    assert len(wanted(world).nics) == 7
    with pytest.raises(NotFound, match="could not be found"):
        attach_card(world.site, STRANGER, server_id, NicAsked(port_id=ports[7].id))
    with pytest.raises(NotFound, match="is not attached"):
        detach_card(world.site, MEMBER, server_id, ports[7].id)
    stop_server(world.site, MEMBER, server_id)
    with pytest.raises(Conflict, match="while it is in task_state powering-off"):
        plug(world, server_id, ports[7])


def test_a_member_is_told_nothing_of_the_operators_devices(world: Fleet) -> None:
    server_id = boot(world)
    port = world.port(world.network("far", vlan=16, physical_network="physnet9"))
    with pytest.raises(Invalid, match="needs 1, and no device listed here fits") as caught:
        plug(world, server_id, port)
    said = f"{caught.value} {caught.value.hint}"
    assert "physnet1" not in said
    assert "device_spec" not in said
    assert "ask an operator" in said
    asked = NicAsked(port_id=port.id)
    with pytest.raises(Invalid, match=r"on host h1, where the server is: .*physnet1"):
        attach_card(world.site, ADMIN, server_id, asked)


def test_the_lab_has_seven_vfs_for_ports() -> None:
    assert sum(one.tags.get("physical_network") == "physnet1" for one in lab_devices()) == 7
