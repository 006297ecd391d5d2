"""What dnsmasq is told of a network, and whom an agent has answered."""

from collections.abc import Sequence
from pathlib import Path

import pytest
from msgspec import structs

from agent.controller import Controller
from agent.orders_of import PF, POLICY, nic, server, vf
from agent.test_loop import host_with
from lanekeeper.agent.dhcp import Service
from lanekeeper.agent.dhcp_files import DhcpFiles, dhcp_files, port_name, server_mac
from lanekeeper.agent.policy import Policy
from lanekeeper.domain.pci.address import PciAddress
from lanekeeper.host.simulated import SimulatedMachine, plant_lab
from lanekeeper.protocol import (
    Desired,
    DhcpGuest,
    DhcpOption,
    DhcpSubnet,
    DhcpWanted,
    ServerWanted,
    TapWanted,
)
from running import until

SEGMENT = "5e90e4b1-0000-4000-8000-00000000000a"
IPV4 = DhcpSubnet(id="four", cidr="10.20.0.0/24", server="10.20.0.2", gateway="10.20.0.1")
IPV6 = DhcpSubnet(id="six", cidr="2001:db8:20::/64", server="2001:db8:20::2")
GUEST = DhcpGuest(port_id="p1", mac="fa:16:3e:00:00:01", addresses=[("four", "10.20.0.11")])
WANTED = DhcpWanted(id=SEGMENT, network_id="net", physical_network="physnet1", mtu=1442)


def files(*guests: DhcpGuest, subnets: tuple[DhcpSubnet, ...] = (IPV4,)) -> DhcpFiles:
    return dhcp_files(structs.replace(WANTED, subnets=list(subnets)), guests, "/h")


def option(name: str, value: str = "v", ip_version: int = 4) -> DhcpGuest:
    told = DhcpOption(name=name, value=value, ip_version=ip_version)
    return structs.replace(GUEST, options=[told])


def test_the_arguments_are_all_that_dnsmasq_goes_by() -> None:
    assert files(GUEST, subnets=(IPV4, IPV6)).arguments == (
        "--conf-file=/dev/null",
        "--no-hosts",
        "--no-resolv",
        "--port=0",
        "--interface=lkd-5e90e4b1000",
        "--bind-interfaces",
        "--pid-file=/h/pid",
        "--dhcp-leasefile=/h/leases",
        "--dhcp-hostsfile=/h/hosts",
        "--dhcp-optsfile=/h/options",
        "--dhcp-lease-max=65536",
        "--dhcp-authoritative",
        "--dhcp-ignore=tag:!known",
        "--dhcp-option-force=option:mtu,1442",
        "--dhcp-range=set:subnet-four,10.20.0.0,static,255.255.255.0,86400s",
        "--dhcp-range=set:subnet-six,2001:db8:20::,static,64,86400s",
    )


def test_a_guest_has_a_line_for_each_address_on_a_subnet_that_is_served() -> None:
    addresses = [("four", "10.20.0.11"), ("six", "2001:db8:20::11"), ("other", "10.9.0.1")]
    guest = structs.replace(GUEST, addresses=addresses, host_name="web-1")
    told = files(guest, subnets=(IPV4, IPV6))
    assert told.hosts == (
        "fa:16:3e:00:00:01,set:port-p1,10.20.0.11,web-1",
        "fa:16:3e:00:00:01,set:port-p1,[2001:db8:20::11],web-1",
    )
    assert told.addresses == ("10.20.0.2/24", "2001:db8:20::2/64")


@pytest.mark.parametrize("name", ["", "web.example", "a,ignore", "-web", "x" * 64, "wéb", "web\n"])
def test_a_name_that_dnsmasq_would_refuse_does_not_cost_the_guest_its_address(name: str) -> None:
    (line,) = files(structs.replace(GUEST, host_name=name)).hosts
    assert line == "fa:16:3e:00:00:01,set:port-p1,10.20.0.11"


def test_what_a_subnet_has_not_is_withheld() -> None:
    """Or dnsmasq would name itself as the router."""
    bare = structs.replace(IPV4, gateway=None)
    assert files(subnets=(bare,)).options == (
        "tag:subnet-four,option:dns-server",
        "tag:subnet-four,option:router",
    )


def test_routes_bring_the_way_out_along() -> None:
    routes = [("192.168.7.0/24", "10.20.0.254")]
    hops = "192.168.7.0/24,10.20.0.254,0.0.0.0/0,10.20.0.1"
    assert files(subnets=(structs.replace(IPV4, routes=routes),)).options[2:] == (
        f"tag:subnet-four,option:classless-static-route,{hops}",
        f"tag:subnet-four,249,{hops}",
    )
    routes.append(("0.0.0.0/0", "10.20.0.9"))
    (_, _, told, _) = files(subnets=(structs.replace(IPV4, routes=routes),)).options
    assert told.endswith(",0.0.0.0/0,10.20.0.9")


def test_ipv6_has_dns_servers_alone() -> None:
    six = structs.replace(IPV6, dns=["2001:db8::53", "2001:db8::54"], gateway="2001:db8:20::1")
    assert files(subnets=(six,)).options == (
        "tag:subnet-six,option6:dns-server,[2001:db8::53],[2001:db8::54]",
    )


@pytest.mark.parametrize(
    ("guest", "line"),
    [
        (option("bootfile-name", "pxelinux.0"), "tag:port-p1,option:bootfile-name,pxelinux.0"),
        (option("150", "10.0.0.1"), "tag:port-p1,150,10.0.0.1"),
        (option("router", ""), "tag:port-p1,option:router"),
        (option("dns-server", "[2001:db8::9]", 6), "tag:port-p1,option6:dns-server,[2001:db8::9]"),
        (option("23", "[2001:db8::9]", 6), "tag:port-p1,option6:23,[2001:db8::9]"),
    ],
)
def test_an_option_of_a_port_is_for_its_guest_alone(guest: DhcpGuest, line: str) -> None:
    told = files(guest)
    assert told.options[-1] == line
    assert told.problems == ()


@pytest.mark.parametrize(
    ("name", "value", "why"),
    [
        ("bootfile-name", "x\ntag:!x,option:router,10.20.0.66", "a line break"),
        ("mtu\n3", "9000", "neither a name"),
        ("router,1.1.1.1", "x", "neither a name"),
        ("tag:known", "x", "neither a name"),
        ("255", "x", "not in 1 to 254"),
        ("0", "x", "not in 1 to 254"),
    ],
)
def test_an_option_that_would_reach_other_guests_is_left_out(
    name: str, value: str, why: str
) -> None:
    told = files(option(name, value))
    assert told.options == files(GUEST).options
    (problem,) = told.problems
    assert problem.startswith("a DHCP option of port p1 is left out: ")
    assert why in problem


@pytest.mark.parametrize(
    ("subnet", "why"),
    [
        (structs.replace(IPV4, server=""), "no free address is left"),
        (structs.replace(IPV6, cidr="2001:db8::/48"), "/64 or longer"),
    ],
)
def test_a_subnet_that_cannot_be_served_is_told_of_and_others_are_served(
    subnet: DhcpSubnet, why: str
) -> None:
    rest = IPV6 if subnet.id == "four" else IPV4
    told = files(GUEST, subnets=(subnet, rest))
    (problem,) = told.problems
    assert problem.startswith(f"DHCP of subnet {subnet.id} ({subnet.cidr}) is not served: ")
    assert why in problem
    assert [one for one in told.arguments if subnet.id in one] == []
    assert [one for one in told.arguments if rest.id in one]


def test_each_host_answers_with_a_mac_of_its_own() -> None:
    macs = {server_mac(host, segment) for host in ("h1", "h2") for segment in ("a", "b")}
    assert len(macs) == 4
    assert all(mac.startswith("02:") for mac in macs)
    assert server_mac("h1", "a") == server_mac("h1", "a")
    assert len(port_name(SEGMENT)) == 15


# Whom the agent has answered ----------------------------------------------------------------------


class Recorder:
    """Notes what was to be served; refuses when told to."""

    def __init__(self) -> None:
        self.served: dict[str, list[str]] | None = None
        self.problems: tuple[str, ...] = ()

    def __call__(self, served: Sequence[Service]) -> tuple[str, ...]:
        self.served = {
            f"{one.wanted.id} {one.bridge.name}": [guest.port_id for guest in one.guests]
            for one in served
        }
        return self.problems


NEAR, FAR = nic(0), structs.replace(nic(1), device=vf(1, bus="41"))
TAP = TapWanted(
    port_id="tap-1", mac="fa:16:3e:00:01:01", bridge="br-ex", physical_network="physnet1"
)
GUESTS = [structs.replace(GUEST, port_id=one.port_id) for one in (NEAR, FAR, TAP)]


def order(
    controller: Controller, generation: int, servers: list[ServerWanted], *, says: bool = True
) -> None:
    stranger = structs.replace(GUEST, port_id="nobody")
    here = structs.replace(WANTED, guests=[*GUESTS, stranger], subnets=[IPV4])
    there = structs.replace(here, id="there", physical_network="physnet9")
    dhcp = [here, there] if says else None
    desired = Desired(generation=generation, mark="m", servers=servers, dhcp=dhcp)
    controller.order("sim-1", desired)
    controller.wait_obeyed("sim-1", desired)


@pytest.fixture
def machine(tmp_path: Path) -> SimulatedMachine:
    """Has a bridge with the PF on bus 21, not with the one on bus 41."""
    made = SimulatedMachine(plant_lab(tmp_path / "machine"))
    (made.root / "captured").mkdir(exist_ok=True)
    shown = "    Bridge br-ex\n        Port ens1\n        Port br-ex\n"
    (made.root / "captured/ovs-show").write_text(shown)
    return made


def test_an_agent_answers_guests_that_its_bridge_reaches(
    controller: Controller, tmp_path: Path, machine: SimulatedMachine
) -> None:
    policy = Policy(specs=POLICY.specs, bridges={"physnet1": "br-ex"})
    recorder, mac, pf = Recorder(), server_mac("sim-1", SEGMENT), PciAddress.parse(PF)
    with host_with(controller, tmp_path, machine=machine, policy=policy, dhcp=recorder):
        order(controller, 1, [server(1, nics=[NEAR, FAR], taps=[TAP])])
        served = {f"{SEGMENT} br-ex": [NEAR.port_id, TAP.port_id]}
        until(lambda: recorder.served == served, "who is reached is answered")
        until(lambda: mac in machine.fdb(pf), "the PF knows who answers")
        recorder.problems = ("cannot serve DHCP of network net: no",)
        order(controller, 2, [])
        until(lambda: recorder.served == {}, "nobody is left")
        until(lambda: mac not in machine.fdb(pf), "the PF forgets who answered")
        host_id = controller.host_ids["sim-1"]
        problem = recorder.problems[0]
        until(lambda: problem in controller.facts[host_id].problems, "what is wrong is told")


def test_an_older_controllers_silence_ends_nothing(
    controller: Controller, tmp_path: Path, machine: SimulatedMachine
) -> None:
    policy = Policy(specs=POLICY.specs, bridges={"physnet1": "br-ex"})
    recorder = Recorder()
    with host_with(controller, tmp_path, machine=machine, policy=policy, dhcp=recorder):
        order(controller, 1, [server(1, taps=[TAP])], says=False)
        until(lambda: controller.facts, "a look")
        order(controller, 2, [server(1, generation=2, taps=[TAP])], says=False)
    assert recorder.served is None
