"""The agent on an emulated SR-IOV host: real cards, a real kernel, a real libvirt.

The controller is the tests' own, at the lab's gateway and over HTTPS, so that each order can be
given by itself; everything is judged by what the lab host's own tools say.
"""

import json
import ssl
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from agent.authority import Authority
from agent.controller import Controller, serving
from agent.orders_of import PF, cleaning, nic, server, server_id, vf
from lab_host import LabHost
from lanekeeper.lab import guest
from lanekeeper.lab.cache import DEFAULT_CACHE, Cache
from lanekeeper.protocol import Desired, DeviceWanted, HostState, ServerWanted, TapWanted
from running import dying_at, until

pytestmark = pytest.mark.lab

GATEWAY = "10.0.2.100"
STATE = "/var/lib/lanekeeper/agent"
CONFIG, LOG = "/run/lab/agent-test.conf", "/run/lab/agent-test.log"
DEVICE_SPEC = """[pci]
device_spec = {"vendor_id": "8086", "product_id": "10ca", "address": "0000:21:*", \
"physical_network": "physnet1"}
device_spec = {"vendor_id": "1af4"}
device_spec = {"vendor_id": "1b36", "address": "0000:22:00.1"}
[ovs]
bridge_mappings = physnet1:br-ex
"""
PREPARE = f"""set -e
cd /sys/bus/pci/devices/{PF}
[ "$(cat sriov_numvfs)" = 0 ] || echo 0 > sriov_numvfs
echo 0 > sriov_drivers_autoprobe
echo 3 > sriov_numvfs
ip link set "$(ls net)" down
modprobe igbvf
"""
DRIVE = "0000:22:00.0"
DRIVES_VF = "0000:22:00.1"
# The drive's first VF gets a controller's means and its only namespace, which the PF had.
PREPARE_DRIVE = f"""set -e
modprobe nvme
cd /sys/bus/pci/devices/{DRIVE}
path=/dev/$(ls nvme)
echo 0 > sriov_drivers_autoprobe
echo 1 > sriov_numvfs
nvme virt-mgmt $path -c 1 -r 1 -a 8 -n 1
nvme virt-mgmt $path -c 1 -r 0 -a 8 -n 2
nvme virt-mgmt $path -c 1 -r 0 -a 9 -n 0
nvme detach-ns $path -n 1 -c 0 || true
nvme attach-ns $path -n 1 -c 1 || true
"""
DRIVE_BACK = f"""
cd /sys/bus/pci/devices/{DRIVE}
path=/dev/$(ls nvme)
nvme detach-ns $path -n 1 -c 1
nvme virt-mgmt $path -c 1 -r 0 -a 7 -n 0
echo 0 > sriov_numvfs
echo 1 > sriov_drivers_autoprobe
nvme attach-ns $path -n 1 -c 0
"""
TAP = TapWanted(
    port_id=server_id(7), mac="fa:16:3e:00:00:77", bridge="br-ex", physical_network="physnet1",
    vlan=16,
)  # fmt: skip
TAP_IP, PEER_IP = "192.168.16.10", "192.168.16.20"
SWITCH = f"""set -e
mkdir -p /run/openvswitch
rm -f /etc/openvswitch/conf.db
/usr/share/openvswitch/scripts/ovs-ctl start --system-id=random --no-monitor
ovs-vsctl add-br br-ex -- add-port br-ex $(ls /sys/bus/pci/devices/{PF}/net)
"""
SWITCH_OFF = """
ovs-vsctl del-br br-ex
/usr/share/openvswitch/scripts/ovs-ctl stop
"""
OF_THE_FIRST = "lanekeeper: what the first guest has written"
WITHIN_S = 600


class Host:
    """The lab host and the agent in it."""

    def __init__(self, lab: LabHost, controller: Controller) -> None:
        self.controller = controller
        self.lab = lab
        self.shell = lab.shell
        self._generation = 0
        self._agent = 0

    def enrol(self) -> None:
        told = ["--controller", f"https://{self.lab.gateway}", "--host-name", "lab"]
        told += ["--token", self.controller.token, "--state-dir", STATE]
        done = self.lab.forked.run(["agent", "enroll", *told])
        assert done.returncode == 0, done.stderr.decode()

    def start_agent(self, dies_at: str = "") -> int:
        """Start it in the background; returns its process id in the lab host.

        With *dies_at* it kills itself at that point.
        """
        words = ["agent", "run", "--state-dir", STATE, "--config-file", CONFIG]
        self._agent = self.lab.forked.spawn(words, LOG, dying_at(dies_at) if dies_at else {})
        return self._agent

    def has_agent(self) -> bool:
        """Whether one runs; of one that is dead, its command line is empty."""
        if not self._agent:
            return False
        return bool(self.shell(f"tr -d '\\0' < /proc/{self._agent}/cmdline 2>/dev/null || true"))

    def needs_agent(self) -> None:
        """Start one where none runs."""
        if not self.has_agent():
            self.start_agent()

    def stop_agent(self) -> None:
        """End the one that runs, if one does, and wait until it has ended."""
        if self.has_agent():
            self.shell(f"kill {self._agent}")
            until(lambda: not self.has_agent(), "the agent ends", WITHIN_S)

    def give_order(self, **values: Any) -> Desired:
        """Order a new state, whatever comes of it."""
        self._generation += 1
        desired = Desired(generation=self._generation, mark="m", **values)
        self.controller.order("lab", desired)
        return desired

    def order(self, **values: Any) -> HostState:
        """Order a new state, and return what the host says once it has worked it through."""
        desired = self.give_order(**values)
        try:
            until(lambda: self._obeys(desired), f"the host obeys {desired.generation}", WITHIN_S)
            return self.controller.state("lab")
        except AssertionError:
            print(self.shell(f"tail -n 40 {LOG}"))
            raise

    def _obeys(self, desired: Desired) -> bool:
        self.lab.must_run()
        return self.controller.state("lab").obeyed == f"{desired.generation}.{desired.mark}"

    def vf(self, index: int) -> dict[str, Any]:
        """What the kernel says of one VF of the PF."""
        name = self.shell(f"ls /sys/bus/pci/devices/{PF}/net")
        (link,) = json.loads(self.lab.done("ip", "-json", "link", "show", name))
        found: dict[str, Any] = link["vfinfo_list"][index]
        return found

    def give_to_driver(self, address: str, driver: str) -> None:
        """With autoprobe off, a VF goes only to a driver that its override names."""
        override = f"/sys/bus/pci/devices/{address}/driver_override"
        probe = f"echo {address} > /sys/bus/pci/drivers_probe"
        self.shell(f"set -e; echo {driver} > {override}; {probe}; echo > {override}")

    def driver(self, address: str) -> str:
        path = f"/sys/bus/pci/devices/{address}/driver"
        return self.shell(f"[ -e {path} ] && basename $(readlink {path}) || echo none")


@pytest.fixture(scope="module")
def host(lab_host: LabHost, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    controller, authority = Controller(), Authority()
    controller.token = f"lk1.{authority.fingerprint}.a-one-time-token-for-tests"
    controller.authority = authority.pem
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    pem = tmp_path_factory.mktemp("tls") / "server.pem"
    tls.load_cert_chain(authority.sign_server(pem, GATEWAY))
    with serving(controller, lab_host.running.controller_port, tls):
        host = Host(lab_host, controller)
        host.shell(PREPARE)
        host.shell(SWITCH)
        lab_host.channel.write(CONFIG, DEVICE_SPEC.encode())
        host.enrol()
        yield host
        host.stop_agent()
        host.shell("rm -rf /var/lib/lanekeeper")
        host.shell(SWITCH_OFF)


@pytest.fixture(scope="module")
def wanted(host: Host) -> ServerWanted:
    """The lab's guest with a port on VF 0 and VF 1 by an alias."""
    image = guest.build(Cache(DEFAULT_CACHE))
    add = host.controller.add_image
    links = [{"id": "vf", "ethernet_mac_address": nic(0).mac}]
    links.append({"id": "tap", "ethernet_mac_address": TAP.mac})
    networks = [
        {"id": link, "type": "ipv4", "link": link, "ip_address": ip, "netmask": "255.255.255.0"}
        for link, ip in (("vf", "192.168.15.10"), ("tap", TAP_IP))
    ]
    network = {"links": links, "networks": networks}
    return server(
        1,
        memory_mib=image.memory_mib,
        image=add("disk", image.disk.read_bytes()),
        kernel=add("kernel", image.kernel.read_bytes()),
        ramdisk=add("ramdisk", image.ramdisk.read_bytes()),
        kernel_arguments=image.command_line,
        nics=[nic(0, trusted=True, spoof_check=False)],
        taps=[TAP],
        devices=[vf(1)],
        config_drive={
            "openstack/latest/meta_data.json": json.dumps({"uuid": server_id(1)}),
            "openstack/latest/network_data.json": json.dumps(network),
        },
    )


def test_a_guest_gets_its_vfs_and_gives_them_back(host: Host, wanted: ServerWanted) -> None:
    agent = host.start_agent()
    host.give_to_driver(vf(1).address, "igbvf")
    assert (host.driver(vf(0).address), host.driver(vf(1).address)) == ("none", "igbvf")

    (state,) = host.order(servers=[wanted], consoles=[wanted.id]).servers
    assert (state.power, state.generation, state.problem) == ("running", 1, "")
    seen = host.vf(0)
    assert (seen["mac"] if "mac" in seen else seen["address"]) == nic(0).mac
    assert (seen["vlan_list"][0]["vlan"], seen["spoofchk"], seen["trust"]) == (15, False, True)
    assert [host.driver(vf(index).address) for index in (0, 1)] == ["vfio-pci", "vfio-pci"]

    def console() -> str:
        host.lab.must_run()
        text = host.controller.consoles.get(wanted.id, "")
        return text if "GUEST-READY" in text else ""

    text = until(console, "the guest is ready", WITHIN_S)
    assert text.count(" 8086:10ca ") == 2
    assert f"mac={nic(0).mac} driver=igbvf" in text
    assert "192.168.15.10 netmask=255.255.255.0" in text
    _tells_of_itself(host)
    _is_reached_through_the_switch(host)
    _survives_its_agent(host, wanted, agent)
    wanted = _is_plugged_and_unplugged(host, wanted)
    _gives_back(host, wanted)


def _tells_of_itself(host: Host) -> None:
    """The card through which the agent talks is listed by the configuration, and set aside."""
    facts = host.controller.facts[host.controller.host_ids["lab"]]
    aside = [problem for problem in facts.problems if "management traffic" in problem]
    assert len(aside) == 1
    assert aside[0].split()[0] not in [device.address for device in facts.devices]
    assert len([one for one in facts.devices if one.product_id == "10ca"]) == 3
    assert [len(cell.cpus) for cell in facts.cells] == [2, 1]
    assert facts.mappings == {"physnet1": [host.shell(f"ls /sys/bus/pci/devices/{PF}/net")]}


def _is_reached_through_the_switch(host: Host) -> None:
    """A VF of the PF that the switch has for a port reaches the guest behind it, by its VLAN."""
    pf = host.shell(f"ls /sys/bus/pci/devices/{PF}/net")
    find = f"--bare --columns=name find Interface external_ids:iface-id={TAP.port_id}"
    tag = host.shell(f"ovs-vsctl get Port $(ovs-vsctl {find}) tag")
    assert tag == "16"
    assert TAP.mac in host.shell(f"bridge fdb show dev {pf}")
    host.shell(f"ip link set {pf} vf 2 vlan 16")
    host.give_to_driver(vf(2).address, "igbvf")
    find = f"ls /sys/bus/pci/devices/{vf(2).address}/net"
    until(lambda: host.shell(f"{find} 2>/dev/null || true"), "VF 2 is a card", WITHIN_S)
    card = host.shell(f"udevadm settle; {find}")  # which gives it another name
    peer = "ip -n peer"
    host.shell(f"set -e; ip netns add peer; ip link set {card} netns peer")
    host.shell(f"set -e; {peer} addr add {PEER_IP}/24 dev {card}; {peer} link set {card} up")
    busybox = Cache(DEFAULT_CACHE).busybox
    ping = f"ip netns exec peer {busybox} ping -c 2 -W 2 {TAP_IP} >/dev/null && echo yes || echo no"
    try:
        until(lambda: host.shell(ping) == "yes", "the guest answers", WITHIN_S)
        host.shell(f"ip link set {pf} vf 2 vlan 17")
        assert host.shell(ping) == "no"
        host.shell(f"ip link set {pf} vf 2 vlan 16; bridge fdb del {TAP.mac} dev {pf}")
        # The agent looks each 10 s; until then what the VF sends goes out on the wire.
        until(lambda: TAP.mac in host.shell(f"bridge fdb show dev {pf}"), "it is told", WITHIN_S)
        until(lambda: host.shell(ping) == "yes", "the guest answers again", WITHIN_S)
    finally:
        host.shell("ip netns del peer")  # which gives the card back
        host.shell(f"echo {vf(2).address} > /sys/bus/pci/devices/{vf(2).address}/driver/unbind")
        host.shell(f"ip link set {pf} vf 2 vlan 0")


def _survives_its_agent(host: Host, wanted: ServerWanted, agent: int) -> None:
    """Kill the agent, spoil a setting, and start it again: same guest, right setting."""
    before = host.shell("cat /run/libvirt/qemu/*.pid")
    host.lab.done("kill", "-9", str(agent))
    host.shell(f"ip link set $(ls /sys/bus/pci/devices/{PF}/net) vf 0 vlan 99 spoofchk on")
    host.start_agent()
    (state,) = host.order(servers=[wanted]).servers
    assert (state.power, state.generation) == ("running", 1)
    assert host.shell("cat /run/libvirt/qemu/*.pid") == before

    def is_mended() -> bool:
        seen = host.vf(0)
        return seen["vlan_list"][0]["vlan"] == 15 and not seen["spoofchk"]

    until(is_mended, "the settings are back", WITHIN_S)


def _is_plugged_and_unplugged(host: Host, wanted: ServerWanted) -> ServerWanted:
    """Give the running guest one more card, with a rate, and take it away again."""
    before = host.shell("cat /run/libvirt/qemu/*.pid")
    card = msgspec.structs.replace(nic(2), max_tx_mbps=100)
    more = msgspec.structs.replace(wanted, generation=2, nics=[*wanted.nics, card])
    (state,) = host.order(servers=[more]).servers
    assert (state.power, state.generation, state.problem) == ("running", 2, "")
    assert vf(2).address in state.devices
    seen = host.vf(2)
    assert (seen["mac"] if "mac" in seen else seen["address"]) == nic(2).mac
    assert (seen["vlan_list"][0]["vlan"], seen["rate"]["max_tx"]) == (15, 100)
    assert host.driver(vf(2).address) == "vfio-pci"
    less = msgspec.structs.replace(wanted, generation=3, leaving=[vf(2).address])
    (state,) = host.order(servers=[less]).servers
    assert (state.power, state.generation, state.problem) == ("running", 3, "")
    assert vf(2).address not in state.devices
    assert host.driver(vf(2).address) == "none"
    assert host.shell("cat /run/libvirt/qemu/*.pid") == before
    return less


def _gives_back(host: Host, wanted: ServerWanted) -> None:
    state = host.order(absent=[wanted.id], cleaning=[cleaning(vf(0)), cleaning(vf(1))])
    assert [(one.id, one.power) for one in state.servers] == [(wanted.id, "absent")]
    assert [(one.clean, one.problem) for one in state.cleaned] == [(True, ""), (True, "")]
    assert TAP.mac not in host.shell(f"bridge fdb show dev $(ls /sys/bus/pci/devices/{PF}/net)")
    assert TAP.port_id not in host.shell("ovs-vsctl --columns=external_ids list Interface")
    seen = host.vf(0)
    assert (seen["mac"] if "mac" in seen else seen["address"]) == "00:00:00:00:00:00"
    assert (seen["spoofchk"], seen["trust"]) == (True, False)
    assert seen.get("vlan_list", [{}])[0].get("vlan", 0) == 0
    assert (host.driver(vf(0).address), host.driver(vf(1).address)) == ("none", "igbvf")
    assert host.lab.done("virsh", "list", "--all", "--name").strip() == ""
    assert host.shell(f"ls {STATE}/servers") == ""


def test_a_guest_has_a_vf_through_a_macvtap(host: Host, wanted: ServerWanted) -> None:
    """On a flat network, on a VF whose driver knows another MAC, which the 82576 keeps to."""
    host.needs_agent()
    # Another guest had VF 2 when it had no driver, and would have it go back to none.
    (cleaned,) = host.order(cleaning=[cleaning(vf(2))]).cleaned
    assert (cleaned.clean, cleaned.problem) == (True, "")
    host.shell("modprobe -a macvtap vhost_net")
    pf = host.shell(f"ls /sys/bus/pci/devices/{PF}/net")
    net = f"/sys/bus/pci/devices/{vf(2).address}/net"
    host.give_to_driver(vf(2).address, "igbvf")
    until(lambda: host.shell(f"ls {net} 2>/dev/null || true"), "VF 2 is a card", WITHIN_S)
    host.shell(f"ip link set {pf} vf 2 mac 52:54:00:99:99:99")
    # The MAC of the first card, so that the guest finds its address on the config drive.
    card = msgspec.structs.replace(nic(2, vlan=0), mac=nic(0).mac, macvtap="virtio")
    server = msgspec.structs.replace(
        wanted, id=server_id(3), generation=1, nics=[card], taps=[], devices=[], cards=[]
    )
    (state,) = host.order(servers=[server], consoles=[server.id]).servers
    assert (state.power, state.problem, state.devices) == ("running", "", [vf(2).address])
    name = host.shell(f"ls {net}")
    (link,) = json.loads(host.lab.done("ip", "-json", "link", "show", name))
    assert (link["address"], "UP" in link["flags"]) == (card.mac, True)
    assert "upper_macvtap" in host.shell(f"ls {net}/{name}")
    assert host.driver(vf(2).address) == "igbvf"

    def console() -> str:
        host.lab.must_run()
        text = host.controller.consoles.get(server.id, "")
        return text if "GUEST-READY" in text else ""

    text = until(console, "the guest is ready", WITHIN_S)
    assert f"mac={card.mac} driver=virtio_net" in text
    _reaches_a_vf_beside(host, "192.168.15.10")

    host.shell(f"ip link set {name} down")
    flags = f"ip -json link show {name}"
    until(lambda: "UP" in json.loads(host.shell(flags))[0]["flags"], "it is up again", WITHIN_S)
    told = host.order(absent=[server.id], cleaning=[cleaning(vf(2), 2)])
    assert [(one.clean, one.problem) for one in told.cleaned] == [(True, "")]
    until(lambda: host.shell(f"ls {net} 2>/dev/null || true"), "VF 2 is a card again", WITHIN_S)
    (link,) = json.loads(host.lab.done("ip", "-json", "link", "show", host.shell(f"ls {net}")))
    assert (link["address"] == card.mac, "UP" in link["flags"]) == (False, False)
    host.shell(f"echo {vf(2).address} > /sys/bus/pci/devices/{vf(2).address}/driver/unbind")


def _reaches_a_vf_beside(host: Host, ip: str) -> None:
    """A card on VF 1, in a namespace of its own and on the same network, pings the guest."""
    host.give_to_driver(vf(1).address, "igbvf")
    find = f"ls /sys/bus/pci/devices/{vf(1).address}/net"
    until(lambda: host.shell(f"{find} 2>/dev/null || true"), "VF 1 is a card", WITHIN_S)
    card, peer = host.shell(f"udevadm settle; {find}"), "ip -n beside"
    host.shell(f"set -e; ip netns add beside; ip link set {card} netns beside")
    host.shell(f"set -e; {peer} addr add 192.168.15.20/24 dev {card}; {peer} link set {card} up")
    busybox = Cache(DEFAULT_CACHE).busybox
    ping = f"ip netns exec beside {busybox} ping -c 2 -W 2 {ip} >/dev/null && echo yes || echo no"
    try:
        until(lambda: host.shell(ping) == "yes", "the guest answers", WITHIN_S)
    finally:
        host.shell("ip netns del beside")  # which gives the card back
        host.shell(f"echo {vf(1).address} > /sys/bus/pci/devices/{vf(1).address}/driver/unbind")


@pytest.mark.long
def test_a_pair_loses_its_vf_with_its_uplink_and_gets_it_back(
    host: Host, wanted: ServerWanted
) -> None:
    """The VF is QEMU's primary, hidden until the guest's driver says that it knows pairs."""
    host.needs_agent()
    pf = host.shell(f"ls /sys/bus/pci/devices/{PF}/net")
    # The MAC of the first card, so that the guest finds its address on the config drive.
    tap = msgspec.structs.replace(TAP, mac=nic(0).mac, vlan=15, failover=True)
    card = msgspec.structs.replace(nic(2), mac=tap.mac, port_id=tap.port_id, failover=True)
    server = msgspec.structs.replace(
        wanted, id=server_id(4), generation=1, nics=[card], taps=[tap], devices=[], cards=[]
    )
    (state,) = host.order(servers=[server], consoles=[server.id]).servers
    assert (state.power, state.problem) == ("running", "")
    assert (state.devices, state.taps) == ([vf(2).address], [tap.port_id])
    xml = host.shell(f"virsh dumpxml lanekeeper-{server.id}")
    assert "<teaming type='persistent'/>" in xml
    assert f"<teaming type='transient' persistent='ua-{tap.port_id}'/>" in xml

    def has_both() -> bool:
        host.lab.must_run()
        text = host.controller.consoles.get(server.id, "")
        is_there = f"mac={tap.mac} driver=igbvf" in text or f"GUEST-PLUGGED mac={tap.mac}" in text
        return is_there and f"mac={tap.mac} driver=virtio_net" in text

    until(has_both, "the guest has joined the two", WITHIN_S)

    def held() -> list[str]:
        host.lab.must_run()
        (now,) = [one for one in host.controller.state("lab").servers if one.id == server.id]
        return now.devices

    host.shell(f"ip link set {pf} down")
    try:
        until(lambda: held() == [], "the VF is taken out", WITHIN_S)
        assert tap.mac in host.shell(f"bridge fdb show dev {pf}")
    finally:
        host.shell(f"ip link set {pf} up")
    until(lambda: held() == [vf(2).address], "the VF comes back", WITHIN_S)
    (found,) = host.vf(2)["vlan_list"]
    assert found["vlan"] == 15
    told = host.order(absent=[server.id], cleaning=[cleaning(vf(2), 3)])
    assert [(one.clean, one.problem) for one in told.cleaned] == [(True, "")]


def test_a_device_of_a_strangers_guest_is_not_touched(host: Host) -> None:
    stranger = """<domain type='kvm'><name>stranger</name><memory unit='MiB'>64</memory>
<os><type arch='x86_64' machine='q35'>hvm</type></os><cpu mode='host-passthrough'/>
<devices><controller type='usb' model='none'/><hostdev mode='subsystem' type='pci' managed='yes'>
<source><address domain='0x0000' bus='0x21' slot='0x10' function='0x4'/></source></hostdev>
</devices></domain>"""
    host.lab.channel.write("/run/lab/stranger.xml", stranger.encode())
    host.lab.done("virsh", "create", "--paused", "/run/lab/stranger.xml")
    try:
        state = host.order(cleaning=[cleaning(vf(2), 4)])
        assert state.strangers == ["stranger"]
        (cleaned,) = state.cleaned
        assert not cleaned.clean
        assert "in the hands of guest stranger" in cleaned.problem
        assert host.driver(vf(2).address) == "vfio-pci"
    finally:
        host.lab.done("virsh", "destroy", "stranger")


def test_what_one_guest_writes_to_an_nvme_vf_the_next_one_cannot_read(host: Host) -> None:
    """The host writes in the guest's place, over the VF; the agent is killed once it has erased."""
    host.stop_agent()
    host.shell(PREPARE_DRIVE)
    try:
        host.give_to_driver(DRIVES_VF, "nvme")
        disk = until(lambda: host.shell("ls /dev/nvme*n1 2>/dev/null || true"), "a disk", WITHIN_S)
        write = f"yes '{OF_THE_FIRST}' | dd of={disk} bs=1M count=64 oflag=direct iflag=fullblock"
        host.shell(write)
        look = f"dd if={disk} bs=1M iflag=direct status=none | grep -c '{OF_THE_FIRST}' || true"
        assert int(host.shell(look)) > 1_000_000
        host.shell(f"echo {DRIVES_VF} > /sys/bus/pci/drivers/nvme/unbind")

        wanted = DeviceWanted(
            device_id="drive", address=DRIVES_VF, vendor_id="1b36", product_id="0010"
        )
        host.start_agent("agent.clean.nvme.erased")
        host.give_order(cleaning=[cleaning(wanted)])
        until(lambda: not host.has_agent(), "the agent has killed itself", WITHIN_S)
        assert host.controller.state("lab").cleaned == []
        host.start_agent()
        (told,) = host.order(cleaning=[cleaning(wanted)]).cleaned
        assert (told.clean, told.problem) == (True, "")
        assert told.steps[-3:] == [
            "nvme format (user data erase): namespace 1",
            "nvme read back: 64 blocks hold nothing of what they held",
            "driver none",
        ]
        assert host.driver(DRIVES_VF) == "none"

        host.give_to_driver(DRIVES_VF, "nvme")
        until(lambda: host.shell(f"ls {disk} 2>/dev/null || true"), "the disk is back", WITHIN_S)
        assert host.shell(f"cmp -n 67108864 {disk} /dev/zero && echo same") == "same"
    finally:
        host.shell(f"echo {DRIVES_VF} > /sys/bus/pci/devices/{DRIVES_VF}/driver/unbind || true")
        host.shell(DRIVE_BACK)
