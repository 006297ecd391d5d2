"""VLAN ids, addresses, MACs and ports: whoever comes together, each is given out once."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import TypeVar

import pytest
import sqlalchemy as sa

from lanekeeper.domain.errors import Conflict, Error, NotFound, Stale
from lanekeeper.domain.network.binding import vif_details
from lanekeeper.domain.network.network import NetworkWanted
from lanekeeper.domain.network.port import (
    FixedIpWanted,
    PortRecord,
    PortStatus,
    PortWanted,
    VifType,
    VnicType,
)
from lanekeeper.domain.network.segment import NetworkType, Segment
from lanekeeper.domain.network.subnet import SubnetWanted, plan_subnet
from lanekeeper.store import tables
from lanekeeper.store.database import Database
from lanekeeper.store.network.network import (
    network_delete,
    network_insert,
    network_set_mtu,
)
from lanekeeper.store.network.port import (
    port_create,
    port_create_for_server,
    port_delete,
    port_show,
    ports_for_server,
    ports_of_server,
)
from lanekeeper.store.network.port_hold import (
    port_attach,
    port_detach,
    port_drop_for_server,
    port_status,
)
from lanekeeper.store.network.segment import segment_insert, vlans_used
from lanekeeper.store.network.subnet import subnet_delete, subnet_insert
from lanekeeper.store.row import row_update

pytestmark = pytest.mark.service

T = TypeVar("T")
NOW = datetime(2026, 1, 1, tzinfo=UTC)
NET, SUBNET = "net1", "sub1"
PROFILE = {
    "pci_slot": "0000:21:10.0",
    "pci_vendor_info": "8086:10ca",
    "physical_network": "physnet1",
}


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    with Database(database_url) as database:
        database.write(lambda c: add_network(c, NET, 15))
        yield database


def add_network(connection: sa.Connection, network_id: str, vlan: int) -> bool:
    network_insert(connection, network_id, NetworkWanted(name="n"), project_id="red", now=NOW)
    network_set_mtu(connection, network_id, 1500)
    segment = Segment(
        id=f"segment-{network_id}",
        network_type=NetworkType.VLAN,
        physical_network="physnet1",
        segmentation_id=vlan,
    )
    return segment_insert(connection, network_id, segment)


def add_subnet(database: Database, cidr: str = "192.0.2.0/29", subnet_id: str = SUBNET) -> None:
    wanted = SubnetWanted(network_id=NET, cidr=cidr, ip_version=ipaddress.ip_network(cidr).version)
    database.write(
        lambda c: subnet_insert(
            c, subnet_id, wanted, plan_subnet(wanted), project_id="red", now=NOW
        )
    )


def add_port(database: Database, **more: object) -> PortRecord:
    wanted = PortWanted(network_id=NET, vnic_type=VnicType.DIRECT, **more)  # type: ignore[arg-type]
    return database.write(lambda c: port_create(c, wanted, project_id="red", now=NOW))


def attach(database: Database, port_id: str, server_id: str, **profile: str) -> None:
    database.write(
        lambda c: port_attach(
            c,
            port_id,
            server_id=server_id,
            host_name="h1",
            availability_zone="nova",
            profile={**PROFILE, **profile},
            vif_type=VifType.HW_VEB,
            vif_details=vif_details(15),
            now=NOW,
        )
    )


def shown(database: Database, port_id: str) -> PortRecord:
    with database.read() as connection:
        found = port_show(connection, port_id)
    assert found is not None
    return found


def at_once(count: int, work: Callable[[int], T]) -> list[T | Error]:
    def attempt(number: int) -> T | Error:
        try:
            return work(number)
        except Error as error:
            return error

    with ThreadPoolExecutor(8) as pool:
        return list(pool.map(attempt, range(count)))


def test_five_addresses_for_twelve_ports_are_given_once_each(database: Database) -> None:
    add_subnet(database)
    answers = at_once(12, lambda _: add_port(database))
    made = [one for one in answers if isinstance(one, PortRecord)]
    refused = [one for one in answers if isinstance(one, Error)]
    assert sorted(port.fixed_ips[0].ip for port in made) == [f"192.0.2.{n}" for n in range(2, 7)]
    assert {error.code for error in refused} == {"IpAddressGenerationFailure"}
    assert len(refused) == 7
    assert len({port.mac for port in made}) == 5


def test_a_named_address_has_one_winner(database: Database) -> None:
    add_subnet(database)
    named = (FixedIpWanted(ip="192.0.2.3"),)
    answers = at_once(6, lambda _: add_port(database, fixed_ips=named))
    assert sum(isinstance(one, PortRecord) for one in answers) == 1
    codes = {one.code for one in answers if isinstance(one, Error)}
    assert codes == {"IpAddressAlreadyAllocated"}


def test_a_named_mac_has_one_winner_on_its_network(database: Database) -> None:
    answers = at_once(6, lambda _: add_port(database, mac="fa:16:3e:00:00:01"))
    assert sum(isinstance(one, PortRecord) for one in answers) == 1
    assert {one.code for one in answers if isinstance(one, Error)} == {"MacAddressInUse"}


def test_a_drawn_mac_that_is_taken_is_drawn_again(database: Database) -> None:
    numbers = iter([7, 7, 8])
    draw = lambda _: next(numbers)  # noqa: E731 a fixed run of the dice
    wanted = PortWanted(network_id=NET)
    make = lambda c: port_create(c, wanted, project_id="red", now=NOW, draw=draw)  # noqa: E731
    assert [database.write(make).mac[-2:] for _ in range(2)] == ["07", "08"]


def test_a_vlan_id_has_one_winner(database: Database) -> None:
    taken = at_once(8, lambda n: database.write(lambda c: add_network(c, f"rival{n}", 100)))
    assert taken.count(True) == 1
    with database.read() as connection:
        assert vlans_used(connection, "physnet1") == {15, 100}


def test_a_port_has_one_holder(database: Database) -> None:
    port = add_port(database)
    answers = at_once(8, lambda n: attach(database, port.id, f"server-{n}"))
    assert answers.count(None) == 1
    errors = [one for one in answers if isinstance(one, Error)]
    assert {error.code for error in errors} == {"PortInUse"}
    winner = f"server-{answers.index(None)}"
    assert shown(database, port.id).device_id == winner
    assert all(winner in str(error) for error in errors)


def test_a_held_port_shows_its_place_and_a_free_one_nothing_of_it(database: Database) -> None:
    port = add_port(database, profile={"trusted": "true", "pci_slot": "stale"})
    attach(database, port.id, "server-1")
    held = shown(database, port.id)
    assert (held.host_name, held.device_owner) == ("h1", "compute:nova")
    assert (held.status, held.vif_type) == (PortStatus.BUILD, VifType.HW_VEB)
    assert held.profile == {"trusted": "true", **PROFILE}
    assert held.vif_details["vlan"] == "15"
    assert database.write(lambda c: port_detach(c, port.id, NOW, server_id="other")) is False
    assert database.write(lambda c: port_detach(c, port.id, NOW)) is True
    assert database.write(lambda c: port_detach(c, port.id, NOW)) is False
    free = shown(database, port.id)
    assert (free.device_id, free.device_owner, free.host_name) == ("", "", "")
    assert (free.status, free.vif_type, free.vif_details) == ("DOWN", "unbound", {})
    assert free.profile == {"trusted": "true"}
    assert free.mac == port.mac


def test_a_whole_cards_port_has_its_mac_while_it_is_held(database: Database) -> None:
    wanted = PortWanted(network_id=NET, vnic_type=VnicType.DIRECT_PHYSICAL)
    port = database.write(lambda c: port_create(c, wanted, project_id="red", now=NOW))
    attach(database, port.id, "server-1", device_mac_address="B4:96:91:34:F4:36")
    assert shown(database, port.id).mac == "b4:96:91:34:f4:36"
    database.write(lambda c: port_detach(c, port.id, NOW))
    assert shown(database, port.id).mac.startswith("fa:16:3e:")


def test_a_server_that_goes_takes_only_ports_made_for_it(database: Database) -> None:
    add_subnet(database)
    mine = add_port(database, fixed_ips=(FixedIpWanted(ip="192.0.2.3"),))
    made = database.write(
        lambda c: port_create_for_server(c, NET, "red", fixed_ip="192.0.2.4", now=NOW)
    )
    assert made.created_by_server
    assert [fixed.ip for fixed in made.fixed_ips] == ["192.0.2.4"]
    for port in (mine, made):
        attach(database, port.id, "server-1")
    with database.read() as connection:
        assert {port.id for port in ports_of_server(connection, "server-1")} == {mine.id, made.id}
    drop = lambda c: port_drop_for_server(c, "server-1", NOW)  # noqa: E731
    assert database.write(drop) == (made.id,)
    assert database.write(drop) == ()
    assert shown(database, mine.id).device_id == ""
    add_port(database, fixed_ips=(FixedIpWanted(ip="192.0.2.4"),))  # given back


def test_a_port_that_a_server_had_made_says_that_it_is_a_vf(database: Database) -> None:
    add_subnet(database)
    made = database.write(
        lambda c: port_create_for_server(c, NET, "red", vnic_type=VnicType.DIRECT, now=NOW)
    )
    assert "vnic_type direct" in made.description


def test_a_port_that_is_down_by_order_is_never_active(database: Database) -> None:
    up, down = add_port(database), add_port(database, admin_state_up=False)
    for port in (up, down):
        attach(database, port.id, "server-1")
    assert shown(database, down.id).status is PortStatus.DOWN
    ids = (up.id, down.id)
    database.write(lambda c: port_status(c, ids, PortStatus.ACTIVE, NOW))
    assert [shown(database, one).status for one in ids] == ["ACTIVE", "DOWN"]
    revision = shown(database, up.id).revision
    database.write(lambda c: port_status(c, ids, PortStatus.ACTIVE, NOW))
    assert shown(database, up.id).revision == revision


def test_a_server_gets_its_ports_in_its_order_or_none(database: Database) -> None:
    ids = [add_port(database).id for _ in range(3)][::-1]
    with database.read() as connection:
        assert [port.id for port in ports_for_server(connection, "red", ids)] == ids
        assert [port.id for port in ports_for_server(connection, None, ids)] == ids
        with pytest.raises(NotFound, match="Port nowhere could not be found"):
            ports_for_server(connection, "red", [*ids, "nowhere"])
        with pytest.raises(NotFound):
            ports_for_server(connection, "blue", ids[:1])


def test_a_port_carries_what_a_server_needs_of_its_network(database: Database) -> None:
    port = add_port(database)
    assert (port.physical_network, port.vlan) == ("physnet1", 15)
    assert (port.network_name, port.mtu) == ("n", 1500)


def test_a_revision_named_and_passed_is_refused(database: Database) -> None:
    port = add_port(database)
    values = {"name": "new"}
    change = lambda c: row_update(c, tables.port, port.id, values, now=NOW, revision=1)  # noqa: E731
    assert database.write(change) is True
    with pytest.raises(Stale, match=r"asks for revision 1, but port .* is at 2"):
        database.write(change)


def test_what_is_in_use_stays(database: Database) -> None:
    add_subnet(database)
    port = add_port(database)
    with pytest.raises(Conflict, match="ports in use") as network:
        database.write(lambda c: network_delete(c, NET))
    with pytest.raises(Conflict) as subnet:
        database.write(lambda c: subnet_delete(c, SUBNET, automatic=False))
    assert (network.value.code, subnet.value.code) == ("NetworkInUse", "SubnetInUse")
    assert port.id in str(network.value)
    assert database.write(lambda c: port_delete(c, port.id)) is True
    database.write(lambda c: network_delete(c, NET))


def test_a_network_and_a_port_never_pass_each_other(database: Database) -> None:
    """Whichever commits first wins; a port without its network never stays."""

    def race(number: int) -> object:
        network_id = f"race-{number // 2}"
        if number % 2:
            database.write(lambda c: network_delete(c, network_id))
            return None
        wanted = PortWanted(network_id=network_id)
        return database.write(lambda c: port_create(c, wanted, project_id="red", now=NOW))

    for number in range(10):
        database.write(lambda c, n=number: add_network(c, f"race-{n}", 200 + n))  # type: ignore[misc]
    answers = at_once(20, race)
    for made, deleted in zip(answers[::2], answers[1::2], strict=True):
        if isinstance(made, PortRecord):
            assert isinstance(deleted, Conflict)
        else:
            assert deleted is None
            assert isinstance(made, NotFound | Conflict)


def test_a_guests_own_ipv6_address_needs_no_pool_and_blocks_no_subnet(database: Database) -> None:
    wanted = SubnetWanted(
        network_id=NET, cidr="2001:db8::/64", ip_version=6, ipv6_address_mode="slaac"
    )
    database.write(
        lambda c: subnet_insert(c, "s6", wanted, plan_subnet(wanted), project_id="red", now=NOW)
    )
    port = add_port(database, mac="fa:16:3e:01:02:03")
    assert [one.ip for one in port.fixed_ips] == ["2001:db8::f816:3eff:fe01:203"]
    database.write(lambda c: subnet_delete(c, "s6", automatic=True))
    assert shown(database, port.id).fixed_ips == ()
