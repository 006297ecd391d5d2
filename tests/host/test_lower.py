"""What the host's routes stand on, with Open vSwitch below: asked where a route needs it."""

from __future__ import annotations

from pathlib import Path

import pytest

from lanekeeper.host.capture import capture
from lanekeeper.host.interfaces import read_interfaces
from lanekeeper.host.lower import Below, Lowers
from lanekeeper.host.ovs import parse_bridges
from lanekeeper.host.tree import plant

TREE = """
sys/class/net/br-ex -> ../../devices/virtual/net/br-ex
sys/devices/virtual/net/br-ex/flags = 0x1003
sys/class/net/br-int -> ../../devices/virtual/net/br-int
sys/devices/virtual/net/br-int/flags = 0x1003
sys/class/net/mgmt -> ../../devices/virtual/net/mgmt
sys/devices/virtual/net/mgmt/lower_br-ex -> ../br-ex
sys/class/net/ovs-system -> ../../devices/virtual/net/ovs-system
sys/devices/virtual/net/ovs-system/flags = 0x1002
sys/class/net/bond0 -> ../../devices/virtual/net/bond0
sys/devices/virtual/net/bond0/lower_ens0 -> ../../../pci0000:00/0000:01:00.0/net/ens0
sys/devices/virtual/net/bond0/master -> ../ovs-system
sys/class/net/ens0 -> ../../devices/pci0000:00/0000:01:00.0/net/ens0
sys/devices/pci0000:00/0000:01:00.0/net/ens0/flags = 0x1003
sys/class/net/ens1 -> ../../devices/pci0000:00/0000:02:00.0/net/ens1
sys/devices/pci0000:00/0000:02:00.0/net/ens1/flags = 0x1003
sys/devices/pci0000:00/0000:02:00.0/net/ens1/master -> ../../../../virtual/net/ovs-system
sys/class/net/ens1r0 -> ../../devices/pci0000:00/0000:02:00.0/net/ens1r0
sys/devices/pci0000:00/0000:02:00.0/net/ens1r0/flags = 0x1003
sys/devices/pci0000:00/0000:02:00.0/net/ens1r0/phys_port_name = pf0vf0
sys/devices/pci0000:00/0000:02:00.0/net/ens1r0/master -> ../../../../virtual/net/ovs-system
sys/class/net/ens2 -> ../../devices/pci0000:00/0000:03:00.0/net/ens2
sys/devices/pci0000:00/0000:03:00.0/net/ens2/flags = 0x1003
"""
ROUTES = "proc/net/route = Iface\\tDestination\\tGateway\\tFlags\\tRefCnt\\tUse\\tMetric\\tMask"
DEFAULT = "\\n{}\\t00000000\\t0101A8C0\\t3\\t0\\t0\\t0\\t00000000"
SUBNET = "\\n{}\\t0001A8C0\\t00000000\\t1\\t0\\t0\\t0\\t00FFFFFF"
SHOWN = """4e4e9b1e-3f1a-4c2f-9f3b-1d1e0f0a2b3c
    Bridge br-ex
        Port br-ex
            Interface br-ex
                type: internal
        Port "bond0"
            Interface "bond0"
        Port ens1r0
            Interface ens1r0
        Port ex-int
            Interface ex-int
                type: patch
                options: {peer=int-ex}
    Bridge br-vlan
        Port ens1
            tag: 7
            Interface ens1
        Port vlan-int
            Interface vlan-int
                type: patch
                options: {peer="int-vlan"}
    Bridge br-int
        fail_mode: secure
        Port br-int
            Interface br-int
                type: internal
        Port tun0
            Interface tun0
                type: vxlan
                options: {key=flow, remote_ip="192.0.2.7"}
        Port int-ex
            Interface int-ex
                type: patch
                options: {peer=ex-int}
    ovs_version: "3.1.0"
"""


def host(directory: Path, routes: str, shown: str | None = SHOWN) -> Path:
    root = plant(f"{TREE}{ROUTES}{routes}\n", directory)
    if shown is not None:
        (root / "captured").mkdir()
        (root / "captured/ovs-show").write_text(shown)
    return root


def kept(root: Path) -> dict[str, str]:
    """What must not be touched, and why that is not sure."""
    return {one.name: one.doubt for one in read_interfaces(root).found if one.is_management}


def test_a_bridge_of_open_vswitch_stands_on_its_cards_and_not_on_representors(
    tmp_path: Path,
) -> None:
    root = host(tmp_path, DEFAULT.format("br-ex"))
    assert kept(root) == {"ens0": ""}
    assert Lowers(root).of("br-ex") == Below(("br-ex", "bond0", "ens0"))


def test_a_vlan_above_such_a_bridge_is_followed(tmp_path: Path) -> None:
    assert kept(host(tmp_path, DEFAULT.format("mgmt"))) == {"ens0": ""}


def test_a_bridge_without_a_card_leads_to_the_next_by_its_patch_ports(tmp_path: Path) -> None:
    """And no further: a bridge with a card of its own sends there."""
    assert kept(host(tmp_path, DEFAULT.format("br-int"))) == {"ens0": ""}


def test_without_an_answer_every_port_may_be_the_way(tmp_path: Path) -> None:
    root = host(tmp_path, DEFAULT.format("br-ex"), None)
    found = kept(root)
    assert list(found) == ["ens0", "ens1"]
    reason = "br-ex may be a bridge of Open vSwitch, which gives no answer: this tree lacks"
    assert found["ens1"].startswith(f"the default route is on br-ex; {reason} captured/ovs-show")
    assert read_interfaces(root).unasked == {"bond0", "ens0", "ens1"}


@pytest.mark.parametrize("routes", [DEFAULT.format("ens2") + SUBNET.format("br-ex"), ""])
def test_open_vswitch_without_the_default_route_is_no_way(tmp_path: Path, routes: str) -> None:
    assert "ens1" not in kept(host(tmp_path, routes, None))


def test_without_a_default_route_an_address_on_a_bridge_counts(tmp_path: Path) -> None:
    assert kept(host(tmp_path, SUBNET.format("br-ex"))) == {"ens0": ""}


def test_bonds_and_patch_ports_are_read() -> None:
    shown = (
        "    Bridge br0\n        Port bond1\n            Interface eth1\n"
        "            Interface eth2\n        Port p\n            Interface p\n"
        '                type: patch\n                options: {peer="q"}\n'
    )
    (bridge,) = parse_bridges(shown)
    assert (bridge.ports, bridge.interfaces) == (("bond1", "p"), ("eth1", "eth2", "p"))
    assert bridge.peers == ("q",)


def test_a_capture_keeps_which_bridge_a_card_is_a_port_of(tmp_path: Path) -> None:
    text = capture(host(tmp_path / "host", DEFAULT.format("br-ex")))
    assert kept(plant(text, tmp_path / "planted")) == {"ens0": ""}
