"""DHCP of networks: what a host is told to answer, and where the address for that comes from."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from control.test_normal_port import boot
from fleet import ADMIN, MEMBER, Fleet, fleet, lab_devices
from lanekeeper.control.compute.flavor import create_flavor
from lanekeeper.control.compute.server import delete_server
from lanekeeper.control.host.desired import desired_of, desired_stamp
from lanekeeper.control.host.host import report_state
from lanekeeper.control.network.network import delete_network
from lanekeeper.control.network.port import delete_port, list_ports, show_port, update_port
from lanekeeper.control.network.port_rules import PortChange
from lanekeeper.control.network.subnet import (
    SubnetChange,
    create_subnets,
    delete_subnet,
    list_subnets,
    update_subnet,
)
from lanekeeper.control.verify.verify import verify
from lanekeeper.domain.compute.flavor import Flavor
from lanekeeper.domain.network.port import FixedIpWanted, PortRecord, VnicType
from lanekeeper.domain.network.subnet import SubnetRecord, SubnetWanted
from lanekeeper.protocol import DhcpOption, DhcpWanted, HostState, ServerState

pytestmark = pytest.mark.service


@pytest.fixture
def world(database_url: str, tmp_path: Path) -> Iterator[Fleet]:
    with fleet(database_url, tmp_path, hosts=0) as made:
        made.host("h1", lab_devices(), bridges={"physnet1": "br-ex"})
        made.seen()
        create_flavor(made.site, Flavor(id="m1", name="m1", vcpus=1, ram_mib=64, disk_gib=1))
        yield made
        with made.site.database.read() as connection:
            assert [one for one in verify(connection) if not one.notice] == []


def normal(world: Fleet, network_id: str) -> PortRecord:
    return world.port(network_id, vnic_type=VnicType.NORMAL)


def dhcp(world: Fleet, host: str = "h1") -> list[DhcpWanted]:
    told = desired_of(world.site, world.hosts[host]).dhcp
    assert told is not None
    return told


def answering(world: Fleet, network_id: str) -> list[PortRecord]:
    asked = {"network_id": [network_id], "device_owner": ["network:dhcp"]}
    return list(list_ports(world.site, ADMIN, asked))


def subnet_of(world: Fleet, network_id: str) -> SubnetRecord:
    (found,) = list_subnets(world.site, ADMIN, {"network_id": [network_id]})
    return found


def change(world: Fleet, subnet_id: str, **values: Any) -> None:
    update_subnet(world.site, ADMIN, subnet_id, SubnetChange(**values))


def test_a_host_is_told_of_all_guests_that_a_bridge_may_reach(world: Fleet) -> None:
    network_id = world.network()
    port, vf = normal(world, network_id), world.port(network_id)
    assert dhcp(world) == []
    assert answering(world, network_id) == []
    boot(world, port, vf, name="web")
    (told,) = dhcp(world)
    assert (told.network_id, told.physical_network, told.vlan, told.mtu) == (
        network_id,
        "physnet1",
        15,
        1500,
    )
    subnet = subnet_of(world, network_id)
    (served,) = told.subnets
    (mine,) = answering(world, network_id)
    assert (served.id, served.cidr, served.gateway) == (subnet.id, subnet.cidr, subnet.gateway_ip)
    assert [served.server] == [fixed.ip for fixed in mine.fixed_ips]
    assert {guest.port_id: guest.mac for guest in told.guests} == {port.id: port.mac, vf.id: vf.mac}
    assert {guest.host_name for guest in told.guests} == {"web"}
    now = show_port(world.site, ADMIN, port.id)
    (guest,) = (guest for guest in told.guests if guest.port_id == port.id)
    assert guest.addresses == [(subnet.id, now.fixed_ips[0].ip)]
    assert dhcp(world) == [told]  # and nothing more is made


def test_every_host_answers_from_the_same_address(world: Fleet) -> None:
    network_id = world.network()
    boot(world, normal(world, network_id))
    world.host("h2", lab_devices(), bridges={"physnet1": "br-vm"})
    world.host("h1", [], bridges={})
    world.seen()
    boot(world, normal(world, network_id))
    world.host("h1", lab_devices(), bridges={"physnet1": "br-ex"})
    first, second = dhcp(world, "h1")[0], dhcp(world, "h2")[0]
    assert first.subnets == second.subnets
    assert first.guests != second.guests
    assert len(answering(world, network_id)) == 1


def test_a_host_without_a_bridge_answers_nobody_and_takes_no_address(world: Fleet) -> None:
    world.host("h1", lab_devices())
    network_id = world.network()
    boot(world, world.port(network_id))
    assert dhcp(world) == []
    assert answering(world, network_id) == []


def test_a_network_without_dhcp_is_left_alone(world: Fleet) -> None:
    network_id = world.network()
    change(world, subnet_of(world, network_id).id, values={"enable_dhcp": False})
    boot(world, normal(world, network_id))
    assert dhcp(world) == []
    assert answering(world, network_id) == []


@pytest.mark.parametrize(
    ("modes", "served"),
    [
        ({}, True),
        ({"ipv6_address_mode": "dhcpv6-stateful", "ipv6_ra_mode": "dhcpv6-stateful"}, True),
        ({"ipv6_address_mode": "dhcpv6-stateless"}, True),
        ({"ipv6_address_mode": "slaac", "ipv6_ra_mode": "slaac"}, False),
        ({"ipv6_ra_mode": "dhcpv6-stateful"}, False),
    ],
)
def test_ipv6_is_served_where_guests_ask_somebody(
    world: Fleet, modes: dict[str, Any], served: bool
) -> None:
    network_id = world.network()
    boot(world, normal(world, network_id))
    wanted = SubnetWanted(network_id=network_id, cidr="2001:db8::/64", ip_version=6, **modes)
    (made,) = create_subnets(world.site, ADMIN, [wanted])
    (told,) = dhcp(world)
    assert (made.id in {subnet.id for subnet in told.subnets}) == served
    assert all(subnet.server for subnet in told.subnets)
    has = {fixed.subnet_id for fixed in answering(world, network_id)[0].fixed_ips}
    assert (made.id in has) == (served or made.is_automatic)  # where every port has one


def test_what_is_changed_is_told(world: Fleet) -> None:
    network_id = world.network()
    port = normal(world, network_id)
    boot(world, port, name="web")
    subnet = subnet_of(world, network_id)
    stamps = [desired_stamp(world.site, world.hosts["h1"])]

    def told() -> DhcpWanted:
        (found,) = dhcp(world)
        stamps.append(desired_stamp(world.site, world.hosts["h1"]))
        assert len(set(stamps)) == len(stamps), "the host's agent hears of it"
        return found

    change(
        world, subnet.id, dns_nameservers=("9.9.9.9",), host_routes=(("10.9.0.0/16", "10.15.0.9"),)
    )
    served = told().subnets[0]
    assert (served.dns, served.routes) == (["9.9.9.9"], [("10.9.0.0/16", "10.15.0.9")])
    option = {"opt_name": "bootfile-name", "opt_value": "pxelinux.0"}
    gone = {"opt_name": "tftp-server", "opt_value": None}
    options = PortChange(values={"extra_dhcp_opts": [option, gone]})
    update_port(world.site, ADMIN, port.id, options)
    assert told().guests[0].options == [DhcpOption(name="bootfile-name", value="pxelinux.0")]
    free = answering(world, network_id)[0].fixed_ips[0]
    taken = FixedIpWanted(subnet_id=subnet.id, ip=subnet.cidr.replace("0/24", "77"))
    update_port(world.site, ADMIN, port.id, PortChange(fixed_ips=(taken,)))
    assert told().guests[0].addresses == [(subnet.id, taken.ip)]
    delete_port(world.site, ADMIN, answering(world, network_id)[0].id)
    again = told().subnets[0].server
    assert again in {fixed.ip for fixed in answering(world, network_id)[0].fixed_ips}
    assert free.subnet_id == subnet.id


def test_a_full_subnet_is_told_without_an_address_and_has_one_when_one_is_free(
    world: Fleet,
) -> None:
    network_id = world.network()
    subnet = subnet_of(world, network_id)
    first = subnet.cidr.replace("0/24", "10")
    change(world, subnet.id, pools=((first, first),))
    boot(world, normal(world, network_id))
    (told,) = dhcp(world)
    assert [one.server for one in told.subnets] == [""]
    second = subnet.cidr.replace("0/24", "11")
    change(world, subnet.id, pools=((first, second),))
    (told,) = dhcp(world)
    assert [one.server for one in told.subnets] == [second]


def test_what_serves_a_subnet_goes_with_it(world: Fleet) -> None:
    network_id = world.network()
    made = boot(world, normal(world, network_id))
    subnet = subnet_of(world, network_id)
    dhcp(world)
    more = SubnetWanted(network_id=network_id, cidr="10.99.0.0/24", ip_version=4)
    (second,) = create_subnets(world.site, ADMIN, [more])
    assert [bool(one.server) for one in dhcp(world)[0].subnets] == [True, True]
    delete_subnet(world.site, ADMIN, second.id)
    (mine,) = answering(world, network_id)
    assert [fixed.subnet_id for fixed in mine.fixed_ips] == [subnet.id]
    delete_server(world.site, MEMBER, made.id)
    gone = ServerState(id=made.id, power="absent")
    report_state(world.site, world.hosts["h1"], HostState(servers=[gone]))
    assert dhcp(world) == []
    for port in list_ports(world.site, ADMIN, {"network_id": [network_id], "device_owner": [""]}):
        delete_port(world.site, ADMIN, port.id)
    delete_subnet(world.site, ADMIN, subnet.id)
    assert answering(world, network_id) == []
    delete_network(world.site, ADMIN, network_id)
