"""A real lab host: what it has, who reaches what, and that a guest in it gets a VF."""

from __future__ import annotations

import http.server
import io
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from xml.sax.saxutils import escape

import pycdlib
import pytest

from lab_host import LabHost
from lanekeeper.lab import guest, process
from lanekeeper.lab.cache import Cache
from lanekeeper.lab.channel import Channel
from lanekeeper.lab.lab import own_folders

pytestmark = pytest.mark.lab

LANEKEEPER = (sys.executable, "-m", "lanekeeper.main")
PF = "0000:21:00.0"
GUEST_TIMEOUT_S = 600  # a busy machine takes ten times what a quiet one does
MACS = "52:54:00:15:00:0a", "52:54:00:15:00:0b"
ADDRESSES = "192.168.15.10", "192.168.15.11"
LOST_ADDRESS = "192.168.15.99"


@pytest.fixture(scope="module")
def controller(lab_host: LabHost) -> Iterator[http.server.ThreadingHTTPServer]:
    """Something that listens where the controller would, and answers late."""

    class Late(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            gate.wait(timeout=60)
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"late")

        def log_message(self, *_: object) -> None:
            pass

    gate = threading.Barrier(PARALLEL)
    address = ("127.0.0.1", lab_host.running.controller_port)
    with http.server.ThreadingHTTPServer(address, Late) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


PARALLEL = 12  # long polls that have to be open at the same time for any to be answered


@pytest.fixture(scope="module")
def lab(lab_host: LabHost) -> Channel:
    return lab_host.channel


def test_it_has_the_cards_and_the_drive_each_in_a_group_of_its_own(lab_host: LabHost) -> None:
    script = """for d in /sys/bus/pci/devices/*; do
      [ -e $d/sriov_totalvfs ] || continue
      echo ${d##*/} $(cat $d/vendor $d/device $d/sriov_totalvfs $d/sriov_numvfs $d/numa_node) \
        members=$(ls $d/iommu_group/devices | wc -l)
    done"""
    assert lab_host.shell(script).splitlines() == [
        "0000:21:00.0 0x8086 0x10c9 7 0 0 members=1",
        "0000:22:00.0 0x1b36 0x0010 4 0 0 members=1",
        "0000:41:00.0 0x8086 0x10c9 7 0 1 members=1",
    ]


def test_it_has_two_numa_nodes_and_remaps_interrupts(lab_host: LabHost) -> None:
    nodes = lab_host.shell("ls -d /sys/devices/system/node/node?").split()
    assert [Path(node).name for node in nodes] == ["node0", "node1"]
    assert "Enabled IRQ remapping" in lab_host.shell("dmesg | grep DMAR-IR")


def test_what_each_lab_loads_is_quick_to_load(lab_host: LabHost) -> None:
    names = ("igb", "kvm", "vfio_pci")
    for name in names:
        assert lab_host.done("modinfo", "-F", "filename", name).endswith(".ko"), name
        assert "E" in lab_host.done("cat", f"/sys/module/{name}/taint"), name
    assert lab_host.run("test", "-c", "/dev/kvm").returncode == 0


def test_it_has_a_name_and_an_id_of_its_own(lab_host: LabHost) -> None:
    name, machine_id = lab_host.shell("hostname; cat /etc/machine-id").split()
    assert name == "t1"
    assert machine_id != Path("/etc/machine-id").read_text().strip()


def test_it_runs_this_very_program(lab: Channel) -> None:
    done = lab.run([sys.executable, "-c", "import lanekeeper; print(lanekeeper.__file__)"])
    assert Path(done.text).parent == Path(process.__file__).parents[1]


def test_homes_keys_and_processes_of_the_machine_are_not_there(lab_host: LabHost) -> None:
    # What QEMU itself could hand out: the tree as its own mount namespace shows it.
    tree = Path(f"/proc/{lab_host.running.pid}/root{lab_host.folder.path}/tree")
    assert (tree / "usr/bin/env").exists()
    for name in ("dev", "home", "proc", "root", "run", "sys", "tmp", "etc/ssl/private"):
        assert shown(tree / name) <= opened_below(Path("/") / name), name
    for path in tree.glob("etc/ssh/*_key"):
        assert path.read_bytes() == b""
    assert (tree / "etc/shadow").read_bytes() == b""
    assert lab_host.done("cat", "/etc/shadow") == ""


def shown(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()} if folder.is_dir() else set()


def opened_below(folder: Path) -> set[str]:
    """First steps from *folder* towards what the lab host has to see."""
    seen = [path.resolve() for path in [*own_folders(), Cache().root]]
    return {
        path.relative_to(folder).parts[0]
        for path in seen
        if path.is_relative_to(folder) and path != folder
    }


def test_a_command_gives_back_its_output_input_and_code(lab: Channel) -> None:
    data = os.urandom(3_000_000)
    assert lab.run(["cat"], stdin=data).stdout == data
    done = lab.run(["sh", "-c", "echo out; echo err >&2; exit 7"])
    assert (done.returncode, done.stdout, done.stderr) == (7, b"out\n", b"err\n")
    assert lab.run(["sleep", "60"], timeout_s=0.5).timed_out


def test_commands_run_side_by_side(lab: Channel) -> None:
    lab.run(["mkfifo", "/run/pipe"])
    heard: list[str] = []
    reader = threading.Thread(target=lambda: heard.append(lab.run(["cat", "/run/pipe"]).text))
    reader.start()
    lab.run(["sh", "-c", "echo hello >/run/pipe"])
    reader.join(timeout=60)
    assert heard == ["hello"]


def test_a_command_ends_with_its_caller(lab_host: LabHost) -> None:
    folder, lab = lab_host.folder, lab_host.channel
    state = str(folder.path.parent)
    called = [*LANEKEEPER, "lab", "exec", "--name", folder.name, "--state-dir", state]
    with subprocess.Popen([*called, "--", "sleep", "4321"]) as caller:
        eventually(lambda: runs(lab, "sleep 4321"))
        caller.kill()
    eventually(lambda: not runs(lab, "sleep 4321"))


def runs(lab: Channel, line: str) -> bool:
    return lab.run(["pgrep", "-xf", line]).returncode == 0


def test_long_polls_reach_the_controller_side_by_side_and_nothing_else_is_reached(
    lab: Channel, controller: http.server.ThreadingHTTPServer
) -> None:
    script = """import socket, sys, threading, urllib.request
url = f"http://10.0.2.100:{sys.argv[1]}/"
threads = [threading.Thread(target=lambda: print(urllib.request.urlopen(url).read().decode()))
           for _ in range(int(sys.argv[2]))]
for thread in threads: thread.start()
for thread in threads: thread.join()
for address in ("10.0.2.2", int(sys.argv[1])), ("10.0.2.100", 22):
    try:
        socket.create_connection(address, timeout=5)
        print("open", address)
    except OSError:
        pass
"""
    port = str(controller.server_port)
    done = lab.run([sys.executable, "-S", "-c", script, port, str(PARALLEL)])
    assert done.text.splitlines() == ["late"] * PARALLEL, done.stderr.decode()


def config_drive(index: int) -> bytes:
    """An ISO 9660 config drive for guest *index*.

    It asks for the other guest for as long as that may boot; they start in any order.
    """
    other = f"{ADDRESSES[1 - index]}/{GUEST_TIMEOUT_S // 2},{LOST_ADDRESS}"
    meta = {"uuid": f"guest-{index}", "meta": {"ping": other, "ping_wait": "30"}}
    link = {"id": "tap0", "type": "phy", "ethernet_mac_address": MACS[index].upper()}
    network = {"id": "network0", "type": "ipv4", "link": "tap0"}
    network |= {"ip_address": ADDRESSES[index], "netmask": "255.255.255.0"}
    documents = {"meta_data": meta, "network_data": {"links": [link], "networks": [network]}}
    image = pycdlib.PyCdlib()
    image.new(interchange_level=3, rock_ridge="1.09", vol_ident="config-2")
    image.add_directory("/OPENSTAC", rr_name="openstack")
    image.add_directory("/OPENSTAC/LATEST", rr_name="latest")
    for number, (name, document) in enumerate(documents.items()):
        data = json.dumps(document).encode()
        path = f"/OPENSTAC/LATEST/{number}.;1"
        image.add_fp(io.BytesIO(data), len(data), path, rr_name=f"{name}.json")
    out = io.BytesIO()
    image.write_fp(out)
    image.close()
    return out.getvalue()


def domain(index: int, image: guest.GuestImage) -> str:
    """A domain with VF *index* of the first card on VLAN 15; one drive of each kind."""
    bus, kind, target = [("sata", "cdrom", "sda"), ("virtio", "disk", "vdb")][index]
    return f"""<domain type='kvm'><name>g{index}</name>
  <memory unit='MiB'>{image.memory_mib}</memory><vcpu>1</vcpu>
  <os><type arch='x86_64' machine='q35'>hvm</type><kernel>{escape(str(image.kernel))}</kernel>
    <initrd>{escape(str(image.ramdisk))}</initrd><cmdline>{image.command_line}</cmdline></os>
  <features><acpi/><apic/></features><cpu mode='host-passthrough' migratable='off'/>
  <devices><emulator>/usr/bin/qemu-system-x86_64</emulator>
    <controller type='usb' model='none'/><memballoon model='none'/>
    <serial type='file'><source path='/run/lab/g{index}.log'/><target port='0'/></serial>
    <disk type='file' device='{kind}'><driver name='qemu' type='raw'/>
      <source file='/run/lab/g{index}.iso'/><target dev='{target}' bus='{bus}'/><readonly/></disk>
    <interface type='hostdev' managed='yes'><mac address='{MACS[index]}'/>
      <source>
        <address type='pci' domain='0' bus='0x21' slot='0x10' function='{2 * index}'/></source>
      <vlan><tag id='15'/></vlan></interface>
  </devices></domain>"""


def eventually(condition: object, timeout_s: float = 60) -> None:
    """Poll until *condition* holds."""
    assert callable(condition)
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.2)


def console(lab: Channel, index: int) -> list[str]:
    done = lab.run(["cat", f"/run/lab/g{index}.log"])
    return done.text.replace("\r", "").splitlines()


def is_ready(lab: Channel, index: int) -> bool:
    return any(line.startswith("GUEST-READY") for line in console(lab, index))


def test_guests_have_their_vfs_and_reach_each_other(lab_host: LabHost) -> None:
    card = f"/sys/bus/pci/devices/{PF}"
    script = """ip link set "$(ls $1/net)" up; echo 0 >$1/sriov_drivers_autoprobe
      echo 7 >$1/sriov_numvfs
      for vf in $1/virtfn*; do
        echo $(cat $vf/device $vf/numa_node) $(ls $vf/iommu_group/devices | wc -l)
      done"""
    assert lab_host.shell(script, card).splitlines() == ["0x10ca 0 1"] * 7
    image, lab = guest.build(Cache()), lab_host.channel
    for index in (0, 1):
        lab.write(f"/run/lab/g{index}.iso", config_drive(index))
        lab.write(f"/run/lab/g{index}.xml", domain(index, image).encode())
        lab_host.shell(f"virsh -q create /run/lab/g{index}.xml")
    for index in (0, 1):
        eventually(lambda index=index: is_ready(lab, index), GUEST_TIMEOUT_S)
        said = console(lab, index)
        text = "\n".join(said)
        assert any(line.startswith("GUEST-INIT ") for line in said), text
        assert f"GUEST-SERVER guest-{index}" in said
        assert " 8086:10ca class=020000 driver=igbvf" in text
        assert f"mac={MACS[index]} driver=igbvf" in text
        assert f"GUEST-PING {ADDRESSES[1 - index]} ok" in said, text
        assert f"GUEST-PING {LOST_ADDRESS} FAIL" in said, text
    # QEMU's emulation of the first CPU cannot be trusted with guests.
    threads = "for t in $(pgrep qemu-system); do cat /proc/$t/task/*/status; done"
    allowed = lab_host.shell(f"{threads} | sed -n 's/^Cpus_allowed_list:[[:space:]]*//p'")
    assert set(allowed.splitlines()) == {"1-2"}
    assert "vlan 15" in lab_host.shell('ip link show "$(ls $1/net)" | grep "vf 0 "', card)
