"""What carries the host's own traffic is known, and stays so while nobody can be asked."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from lanekeeper.agent.management import Management, leads_to, resolve
from lanekeeper.host.tree import plant

TREE = """
proc/net/route = Iface\\tDestination\\tGateway\\tFlags\\tRefCnt\\tUse\\tMetric\\tMask\\n{routes}
sys/class/net/bond0 -> ../../devices/virtual/net/bond0
sys/devices/virtual/net/bond0/flags = 0x1003
sys/devices/virtual/net/bond0/lower_eth0 -> ../../../pci0000:00/0000:01:00.0/net/eth0
sys/class/net/eth0 -> ../../devices/pci0000:00/0000:01:00.0/net/eth0
sys/devices/pci0000:00/0000:01:00.0/net/eth0/flags = 0x1003
sys/class/net/eth1 -> ../../devices/pci0000:00/0000:02:00.0/net/eth1
sys/devices/pci0000:00/0000:02:00.0/net/eth1/flags = 0x1003
"""
DEFAULT = "{}\\t00000000\\t0101A8C0\\t3\\t0\\t0\\t0\\t00000000"
SUBNET = "{}\\t0001A8C0\\t00000000\\t1\\t0\\t0\\t0\\t00FFFFFF"
ADDRESS, OTHER = "192.0.2.1", "2001:db8::1"


class Bench:
    """A host with two cards, one of them below a bond; what its resolver and kernel say."""

    def __init__(self, path: Path, url: str = "https://controller:8780") -> None:
        self.root = path
        self.addresses: list[str] = [ADDRESS]
        self.ways: dict[str, str] = {ADDRESS: "bond0"}
        self.routes()
        self.management = Management(url, path, lambda _: self.addresses, self.ways.get)

    def routes(self, *lines: str) -> None:
        table = self.root / "proc/net/route"
        if not table.exists():
            plant(TREE.format(routes=""), self.root)
        heading = table.read_text().splitlines()[0]
        table.write_text("\n".join([heading, *(line.replace("\\t", "\t") for line in lines), ""]))


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def test_the_way_to_the_controller_is_followed_down(bench: Bench) -> None:
    bench.routes(SUBNET.format("eth1"))
    assert bench.management() == {"bond0", "eth0"}


def test_a_name_that_is_not_resolved_now_changes_nothing(bench: Bench) -> None:
    assert bench.management() == {"bond0", "eth0"}
    bench.addresses = []
    assert bench.management() == {"bond0", "eth0"}
    bench.ways.clear()
    assert bench.management() == {"bond0", "eth0"}


def test_a_route_that_is_away_changes_nothing_and_another_one_counts(bench: Bench) -> None:
    bench.management()
    bench.ways.clear()
    assert bench.management() == {"bond0", "eth0"}
    bench.addresses, bench.ways[OTHER] = [ADDRESS, OTHER], "eth1"
    assert bench.management() == {"bond0", "eth0", "eth1"}
    bench.addresses = [OTHER]  # the controller has moved
    assert bench.management() == {"eth1"}


def test_before_the_first_answer_whatever_has_a_route_counts(bench: Bench) -> None:
    bench.addresses = []
    bench.routes(SUBNET.format("eth1"))
    assert bench.management() == {"eth1"}
    bench.addresses = [ADDRESS]
    assert bench.management() == {"bond0", "eth0"}


def test_the_default_route_counts_wherever_the_controller_is(tmp_path: Path) -> None:
    bench = Bench(tmp_path, "http://127.0.0.1:8780")
    bench.addresses, bench.ways["127.0.0.1"] = ["127.0.0.1"], "lo"
    assert bench.management() == {"lo"}
    bench.routes(DEFAULT.format("bond0"), SUBNET.format("eth1"))
    assert bench.management() == {"lo", "eth0"}
    bench.routes()  # away, as while a lease is renewed
    assert bench.management() == {"lo", "eth0"}
    bench.routes(DEFAULT.format("eth1"))
    assert bench.management() == {"lo", "eth1"}


SWITCHED = """
sys/class/net/br-ex -> ../../devices/virtual/net/br-ex
sys/devices/virtual/net/br-ex/flags = 0x1003
sys/class/net/ovs-system -> ../../devices/virtual/net/ovs-system
sys/devices/virtual/net/ovs-system/flags = 0x1002
sys/devices/pci0000:00/0000:02:00.0/net/eth1/master -> ../../../../virtual/net/ovs-system
sys/class/net/eth2 -> ../../devices/pci0000:00/0000:03:00.0/net/eth2
sys/devices/pci0000:00/0000:03:00.0/net/eth2/flags = 0x1003
sys/devices/pci0000:00/0000:03:00.0/net/eth2/master -> ../../../../virtual/net/ovs-system
captured/ovs-show =     Bridge br-ex\\n        Port eth1\\n    Bridge br-vlan\\n        Port eth2
"""


@pytest.mark.parametrize("by_route", [False, True])
def test_a_bridge_of_open_vswitch_is_followed_to_its_card(bench: Bench, by_route: bool) -> None:
    plant(SWITCHED, bench.root)
    if by_route:
        bench.addresses = []
        bench.routes(DEFAULT.format("br-ex"))
    else:
        bench.ways[ADDRESS] = "br-ex"
    assert "eth1" in bench.management()
    before = bench.management()
    assert "eth2" not in before
    (bench.root / "captured/ovs-show").rename(bench.root / "away")
    assert bench.management() == before  # it is started anew


@pytest.mark.parametrize("by_route", [False, True])
def test_every_card_of_an_open_vswitch_that_never_answered_counts(
    bench: Bench, by_route: bool
) -> None:
    plant(SWITCHED.partition("captured")[0], bench.root)
    if by_route:
        bench.addresses = []
        bench.routes(DEFAULT.format("br-ex"))
    else:
        bench.ways[ADDRESS] = "br-ex"
    assert {"eth1", "eth2"} <= bench.management()
    assert "eth0" not in bench.management()


def test_the_kernel_and_the_resolver_of_this_machine() -> None:
    assert resolve("127.0.0.1") == ("127.0.0.1",)
    assert leads_to("127.0.0.1") == "lo"
    assert resolve("") == ()


def test_no_way_is_no_interface() -> None:
    """Source: Linux ``include/uapi/linux/netlink.h``, struct nlmsgerr, here ENETUNREACH."""
    refused = (36).to_bytes(4, sys.byteorder) + (2).to_bytes(2, sys.byteorder) + bytes(10)
    refused += (-101).to_bytes(4, sys.byteorder, signed=True) + bytes(16)

    def gone(_: bytes) -> bytes:
        raise OSError("the socket is gone")

    assert leads_to(ADDRESS, lambda _: refused) is None
    assert leads_to(ADDRESS, gone) is None
