"""Two lab hosts, cabled: what reaches what between VFs, PFs and a virtual switch's ports.

The ends are namespaces of the hosts with a VF, or with a port of a bridge, as a guest would have
it: what passes is up to the cards, the cable and the bridge, and a guest would take minutes more.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab_host import LabHost, Watch, lab
from lanekeeper.lab.cache import Cache
from lanekeeper.lab.lab import Wanted
from running import pick_port

pytestmark = pytest.mark.lab

PF, PF2 = "0000:21:00.0", "0000:41:00.0"
WITHIN_S = 60
VFS = f"""
ip link set "$(ls /sys/bus/pci/devices/{PF}/net)" up
echo 2 >/sys/bus/pci/devices/{PF}/sriov_numvfs
for second in $(seq 60); do
    [ $(ls -d /sys/bus/pci/devices/{PF}/virtfn*/net/* 2>/dev/null | wc -l) -lt 2 ] || break
    sleep 1
done
udevadm settle
for vf in 0 1; do
    ip link set "$(ls /sys/bus/pci/devices/{PF}/net)" vf $vf vlan 15
    card=$(ls /sys/bus/pci/devices/{PF}/virtfn$vf/net)
    ip netns add end$vf
    ip link set "$card" netns end$vf name card
    ip -n end$vf address add 192.168.15.$1$vf/24 dev card
    ip -n end$vf link set card up
done
"""
BRIDGE = f"""
pf=$(ls /sys/bus/pci/devices/{PF}/net)
modprobe openvswitch
/usr/share/openvswitch/scripts/ovs-ctl start --system-id=random --no-monitor >/dev/null
ovs-vsctl add-br br-ex -- add-port br-ex "$pf"
ovs-vsctl add-port br-ex inner tag=15 -- set Interface inner type=internal
ip netns add inner
ip link set inner netns inner
ip -n inner address add 192.168.15.$1/24 dev inner
ip -n inner link set inner up
bridge fdb add "$(ip netns exec inner cat /sys/class/net/inner/address)" dev "$pf"
"""
"""With the entry that an agent makes for each guest behind the bridge, for frames from outside too:
the emulated card's PF takes no unicast frame that is not for it, whatever its driver asks."""
BARE = """
for name in $(ip netns list | cut -d' ' -f1); do ip netns del $name; done
if [ -e /run/openvswitch/db.sock ]; then
    ovs-vsctl --if-exists del-br br-ex
    /usr/share/openvswitch/scripts/ovs-ctl stop >/dev/null
fi
"""


@pytest.fixture(scope="module")
def first(lab_host: LabHost) -> Iterator[LabHost]:
    lab_host.shell(VFS, "1")
    yield lab_host
    lab_host.shell(BARE)


@pytest.fixture(scope="module")
def second(first: LabHost, lab_state: Path, lab_watch: Watch) -> Iterator[LabHost]:
    wanted = Wanted(
        name="t2", state=lab_state, controller_port=pick_port(), memory_mib=1536,
        libvirt=False, cable_to=first.folder.name,
    )  # fmt: skip
    with lab(wanted, lab_watch) as host:
        host.shell(VFS, "2")
        yield host


def answers(host: LabHost, end: str, address: str) -> bool:
    """Say whether *address* answers what is asked in the namespace *end*."""
    ping = f"ip netns exec {end} {Cache().busybox} ping -c 2 -W 2 {address}"
    return host.shell(f"{ping} >/dev/null && echo yes || echo no").strip() == "yes"


def reached(host: LabHost, end: str, address: str) -> bool:
    """As ``answers``, of an end whose link or bridge may still be coming up."""
    deadline = time.monotonic() + WITHIN_S
    while not answers(host, end, address):
        if time.monotonic() > deadline:
            return False
    return True


def vlan(host: LabHost, vf: int, number: int) -> None:
    host.shell(f'ip link set "$(ls /sys/bus/pci/devices/{PF}/net)" vf {vf} vlan {number}')


def test_vfs_reach_their_vlan_within_a_card_and_between_hosts(
    first: LabHost, second: LabHost
) -> None:
    assert reached(first, "end0", "192.168.15.11"), "within a PF"
    assert reached(first, "end0", "192.168.15.20"), "between hosts"
    vlan(second, 0, 16)
    assert not answers(first, "end0", "192.168.15.20"), "another VLAN on the other host"
    assert not answers(second, "end0", "192.168.15.21"), "another VLAN on the same PF"
    assert answers(first, "end0", "192.168.15.21")
    vlan(second, 0, 15)
    assert reached(first, "end0", "192.168.15.20")


def test_the_second_cards_are_cabled_to_each_other(first: LabHost, second: LabHost) -> None:
    script = f"""card=$(ls /sys/bus/pci/devices/{PF2}/net)
ip netns add far; ip link set "$card" netns far
ip -n far address add 192.168.41.$1/24 dev "$card"; ip -n far link set "$card" up"""
    for number, host in enumerate((first, second), 1):
        host.shell(script, str(number))
    assert reached(first, "far", "192.168.41.2")


def test_a_vf_reaches_a_port_of_the_other_hosts_switch(first: LabHost, second: LabHost) -> None:
    second.shell(BRIDGE, "30")
    assert reached(first, "end0", "192.168.15.30")
    second.shell("ovs-vsctl set Port inner tag=16")
    assert not answers(first, "end0", "192.168.15.30")
