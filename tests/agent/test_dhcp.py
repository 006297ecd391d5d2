"""DHCP of a host's own guests: what dnsmasq is told, and what a real one tells guests."""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs

from lanekeeper.agent.dhcp import DhcpServers, DhcpThread, Service
from lanekeeper.agent.dhcp_files import port_name
from lanekeeper.agent.observe import Bridge
from lanekeeper.host import dhcp_server
from lanekeeper.protocol import DhcpGuest, DhcpOption, DhcpSubnet, DhcpWanted
from running import until

SEGMENT = "5e90e4b1-0000-4000-8000-00000000000a"
KNOWN, SECOND, UNKNOWN = "fa:16:3e:00:00:01", "fa:16:3e:00:00:02", "fa:16:3e:00:00:99"
CLIENT = Path(__file__).with_name("dhcp_client.py")
IPV4 = DhcpSubnet(
    id="four",
    cidr="10.20.0.0/24",
    server="10.20.0.2",
    gateway="10.20.0.1",
    dns=["9.9.9.9", "1.1.1.1"],
    routes=[("192.168.7.0/24", "10.20.0.254")],
)
IPV6 = DhcpSubnet(id="six", cidr="2001:db8:20::/64", server="2001:db8:20::2", dns=["2001:db8::53"])
FIRST = DhcpGuest(
    port_id="p1",
    mac=KNOWN,
    host_name="web",
    addresses=[("four", "10.20.0.11"), ("six", "2001:db8:20::11")],
    options=[
        DhcpOption(name="bootfile-name", value="pxelinux.0"),
        DhcpOption(name="66", value="tftp.test"),
    ],
)
OTHER = DhcpGuest(port_id="p2", mac=SECOND, addresses=[("four", "10.20.0.12")])
WANTED = DhcpWanted(
    id=SEGMENT,
    network_id="net",
    physical_network="physnet1",
    vlan=15,
    mtu=1442,
    subnets=[IPV4, IPV6],
    guests=[FIRST, OTHER],
)


def missing() -> str:
    """Why no real server can be run here; empty where one can."""
    if os.geteuid() != 0:
        return "only root makes network namespaces"
    for program in ("dnsmasq", "ip", "unshare"):
        if shutil.which(program) is None:
            return f"{program} is not installed (package dnsmasq-base, iproute2 or util-linux)"
    tried = subprocess.run(["unshare", "--net", "true"], capture_output=True, check=False)
    return "" if tried.returncode == 0 else "no network namespaces here"


def run(*arguments: str) -> str:
    return subprocess.run(arguments, check=True, capture_output=True, text=True).stdout


@dataclass
class VethPorts:
    """In place of a bridge: a pair of interfaces, the other one in the guest's namespace."""

    namespace: str
    added: list[tuple[str, str, int]] = field(default_factory=list)

    def add(self, name: str, bridge: str, vlan: int) -> None:
        self.added.append((name, bridge, vlan))
        run("ip", "link", "add", name, "type", "veth", "peer", "name", "guest0")
        run("ip", "link", "set", "guest0", "netns", self.namespace)
        inside = ("ip", "-n", self.namespace, "link", "set", "guest0")
        run(*inside, "address", KNOWN)
        run(*inside, "up")

    def remove(self, name: str) -> None:
        subprocess.run(
            ["ip", "-n", self.namespace, "link", "del", "guest0"], check=False, capture_output=True
        )
        subprocess.run(["ip", "link", "del", name], check=False, capture_output=True)


@dataclass
class World:
    """One network's server on this machine and a guest's end of the wire."""

    home: Path
    ports: VethPorts

    @property
    def pid_file(self) -> Path:
        return self.home / SEGMENT / "pid"

    @property
    def pid(self) -> int | None:
        return dhcp_server.find(self.pid_file)

    def settle(self, *served: Service) -> Sequence[str]:
        """What the agent does at each look, by an agent that has just been started."""
        return DhcpServers(self.home, "h1", self.ports).settle(served)

    def ask(self, kind: str, *arguments: str) -> Any:
        command = ("ip", "netns", "exec", self.ports.namespace, sys.executable, str(CLIENT))
        return json.loads(run(*command, kind, "guest0", *arguments))

    def be(self, mac: str) -> None:
        """Have the guest another MAC, and an IPv6 address that goes with it."""
        inside = ("ip", "-n", self.ports.namespace, "link", "set", "guest0")
        for change in (("down",), ("address", mac), ("up",)):
            run(*inside, *change)

    def ask_v6(self, kind: str) -> Any:
        """The same for IPv6, once the guest's own link-local address is no longer tentative."""
        shown = ("ip", "-n", self.ports.namespace, "-6", "addr", "show", "dev", "guest0")
        until(lambda: "fe80" in run(*shown) and "tentative" not in run(*shown), "an address")
        return self.ask(kind)


@pytest.fixture
def world() -> Iterator[World]:
    if why := missing():
        pytest.skip(why)
    namespace = f"lkguest-{os.getpid()}"
    run("ip", "netns", "add", namespace)
    home = Path(tempfile.mkdtemp(prefix="lkdhcp-", dir="/tmp"))
    home.chmod(0o711)  # as the agent's own directory: dnsmasq's user passes through
    made = World(home / "dhcp", VethPorts(namespace))
    try:
        yield made
    finally:
        made.settle()
        run("ip", "netns", "del", namespace)
        shutil.rmtree(home)


def service(wanted: DhcpWanted = WANTED, **bridge: Any) -> Service:
    there = Bridge("br-ex", ports=(port_name(wanted.id),), **bridge)
    return Service(wanted, there, tuple(wanted.guests))


def test_a_known_guest_is_told_all_and_an_unknown_one_nothing(world: World) -> None:
    assert world.settle(service()) == ()
    assert world.ports.added == [(port_name(SEGMENT), "br-ex", 15)]
    unknown, known = world.ask("v4", UNKNOWN, KNOWN)
    assert unknown is None
    assert known == {
        "ip": "10.20.0.11",
        "1": "255.255.255.0",
        "3": ["10.20.0.1"],
        "6": ["9.9.9.9", "1.1.1.1"],
        "12": "web",
        "26": 1442,
        "28": "10.20.0.255",
        "51": 86400,
        "53": 5,
        "54": "10.20.0.2",
        "58": 43200,
        "59": 75600,
        "66": "tftp.test",
        "67": "pxelinux.0",
        "121": [["192.168.7.0/24", "10.20.0.254"], ["0.0.0.0/0", "10.20.0.1"]],
    }


def test_a_known_guest_has_its_ipv6_address_and_an_unknown_one_nothing(world: World) -> None:
    assert world.settle(service()) == ()
    found = until(lambda: world.ask_v6("v6"), "an answer")
    assert found == ["2001:db8:20::11", ["2001:db8::53"]]
    world.be(UNKNOWN)
    assert world.ask_v6("v6") is None
    world.be(KNOWN)
    assert until(lambda: world.ask_v6("v6"), "an answer") == found


def test_a_guest_that_makes_its_own_address_is_told_the_rest(world: World) -> None:
    made = structs.replace(FIRST, addresses=[("six", "2001:db8:20:0:f816:3eff:fe00:1")])
    only = structs.replace(WANTED, subnets=[IPV6], guests=[made])
    assert world.settle(service(only)) == ()
    found = until(lambda: world.ask_v6("v6-rest"), "an answer")
    assert found == [None, ["2001:db8::53"]]


def test_a_guest_keeps_its_address_when_the_server_was_started_anew(world: World) -> None:
    world.settle(service())
    (told,) = world.ask("v4", KNOWN)
    assert told["ip"] == "10.20.0.11"
    fewer = structs.replace(WANTED, guests=[FIRST])
    assert world.settle(service(fewer)) == ()
    run("ip", "-n", world.ports.namespace, "addr", "add", "10.20.0.11/24", "dev", "guest0")
    inside = ("ip", "netns", "exec", world.ports.namespace, sys.executable, "-c")
    run(*inside, "import socket; socket.socket(2, 2).sendto(b'x', ('10.20.0.2', 67))")
    shown = ("ip", "-n", world.ports.namespace, "neigh", "show", "10.20.0.2")
    until(lambda: "FAILED" in run(*shown), "nobody says where the server's address is")
    renewed = world.ask("renew", KNOWN, "10.20.0.11")
    assert (renewed["ip"], renewed["53"]) == ("10.20.0.11", 5)
    assert world.ask("v4", SECOND) == [None]


def test_an_address_goes_to_another_guest(world: World) -> None:
    world.settle(service())
    assert world.ask("v4", KNOWN)[0]["ip"] == "10.20.0.11"
    heir = structs.replace(OTHER, addresses=[("four", "10.20.0.11")])
    assert world.settle(service(structs.replace(WANTED, guests=[heir]))) == ()
    unknown, known = world.ask("v4", KNOWN, SECOND)
    assert unknown is None
    assert known["ip"] == "10.20.0.11"


def test_one_more_guest_and_other_options_are_read_by_the_server_that_runs(world: World) -> None:
    world.settle(service(structs.replace(WANTED, guests=[OTHER])))
    pid = world.pid
    assert pid is not None
    dns = structs.replace(IPV4, dns=["8.8.8.8"], gateway=None, routes=[])
    more = structs.replace(WANTED, guests=[OTHER, FIRST], subnets=[dns, IPV6])
    assert world.settle(service(more)) == ()
    known = until(lambda: world.ask("v4", KNOWN)[0], "the new guest is answered")
    assert (known["6"], world.pid) == (["8.8.8.8"], pid)
    assert {"3", "121"}.isdisjoint(known)


def test_a_server_is_found_again_and_started_again_when_it_died(world: World) -> None:
    world.settle(service())
    pid = world.pid
    assert pid is not None
    assert world.settle(service()) == ()
    assert (world.pid, len(world.ports.added)) == (pid, 1)
    os.kill(pid, signal.SIGKILL)
    until(lambda: world.pid is None, "it is gone")
    assert world.settle(service()) == ()
    assert world.pid not in {None, pid}
    assert world.ask("v4", KNOWN)[0]["ip"] == "10.20.0.11"


def test_a_number_that_another_process_has_now_is_not_the_servers(world: World) -> None:
    world.settle(service())
    pid = world.pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    until(lambda: world.pid is None, "it is gone")
    with subprocess.Popen(["sleep", "600"]) as stranger:
        world.pid_file.write_text(f"{stranger.pid}\n")
        assert world.pid is None
        assert world.settle() == ()
        assert stranger.poll() is None
        stranger.kill()
    assert not world.pid_file.parent.exists()


def test_the_server_goes_with_the_last_guest(world: World) -> None:
    world.settle(service())
    pid = world.pid
    assert world.settle() == ()
    command = Path(f"/proc/{pid}/cmdline")
    assert not command.exists() or not command.read_bytes()  # gone, or not yet buried
    assert list(world.home.iterdir()) == []
    assert port_name(SEGMENT) not in run("ip", "-br", "link")


def test_a_port_that_the_bridge_lost_is_made_anew(world: World) -> None:
    servers = DhcpServers(world.home, "h1", world.ports)
    servers.settle([service()])
    pid = world.pid
    lost = Service(WANTED, Bridge("br-ex"), tuple(WANTED.guests))
    servers.settle([lost])
    assert world.pid == pid  # that look may have been before the port
    again = Service(WANTED, Bridge("br-ex"), tuple(WANTED.guests))
    servers.settle([again])
    assert world.pid not in {None, pid}
    assert world.ask("v4", KNOWN)[0]["ip"] == "10.20.0.11"


def test_on_a_bridge_of_open_vswitch_a_guest_is_answered_on_its_vlan() -> None:
    why = missing()
    for program in ("ovs-vswitchd", "ovsdb-server"):
        why = why or ("" if shutil.which(program) else f"{program} is not installed")
    if why:
        pytest.skip(why)
    home = Path(tempfile.mkdtemp(prefix="lkovs-", dir="/tmp"))  # a socket's path must be short
    home.chmod(0o711)
    script = Path(__file__).with_name("dhcp_on_ovs.py")
    Path("/run/netns").mkdir(exist_ok=True)
    command = ("unshare", "--net", "--mount", sys.executable, str(script), str(home))
    path = os.pathsep.join(one for one in sys.path if one)
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
            env={**os.environ, "PYTHONPATH": path},
        )
        assert done.returncode == 0, done.stderr
    finally:
        shutil.rmtree(home, ignore_errors=True)
    assert json.loads(done.stdout.splitlines()[-1]) == {
        "problems": [],
        "own": [None, "10.20.0.11"],
        "other": [None],
        "again": ["10.20.0.11"],
        "left": ["tap0"],
    }


def test_a_fault_of_ours_is_told_and_ends_nothing() -> None:
    asked = []

    def settle(served: Sequence[Service]) -> Sequence[str]:
        asked.append(served)
        if len(asked) == 1:
            raise KeyError("segment")
        return ("no address is free",)

    thread = DhcpThread(settle, "sim-1")
    try:
        thread.want((), look=True)
        until(lambda: thread.problems, "it is told")
        assert "KeyError('segment')" in thread.problems[0]

        def says_it() -> bool:
            thread.want((), look=True)  # as each look of the agent does
            return thread.problems == ("no address is free",)

        until(says_it, "it is tried again, and what came of that is told")
    finally:
        thread.close()


def test_what_dnsmasq_does_not_take_is_told_and_nothing_is_left(world: World) -> None:
    wrong = structs.replace(IPV4, server="10.20.0.300")
    (problem,) = world.settle(service(structs.replace(WANTED, subnets=[wrong])))
    assert problem.startswith("cannot serve DHCP of network net: dnsmasq does not start: ")
    assert "10.20.0.300" in problem
    assert world.settle() == ()
    assert list(world.home.iterdir()) == []
