"""A real lab host: what it has, that a guest in it gets a VF, and that nothing is left of it."""

from __future__ import annotations

import http.server
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from xml.sax.saxutils import escape

import pycdlib
import pytest

from lanekeeper.lab import guest, process
from lanekeeper.lab.cache import Cache
from lanekeeper.lab.channel import Channel
from lanekeeper.lab.folder import LabFolder
from lanekeeper.lab.lab import Wanted, down, own_folders, up
from lanekeeper.lab.mounting import parse_mountinfo
from lanekeeper.lab.status import look

pytestmark = pytest.mark.lab

LANEKEEPER = (sys.executable, "-m", "lanekeeper.main")
PF = "0000:21:00.0"
GUEST_TIMEOUT_S = 240
MACS = "52:54:00:15:00:0a", "52:54:00:15:00:0b"
ADDRESSES = "192.168.15.10", "192.168.15.11"
LOST_ADDRESS = "192.168.15.99"


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    if shutil.which("qemu-system-x86_64") is None or os.geteuid() != 0:
        pytest.skip("a lab host needs root and the lab's packages: ./dev setup installs them")
    path = Path("/run") / f"lanekeeper-test-{os.getpid()}"  # short: sockets lie in it
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture(scope="module")
def controller() -> Iterator[http.server.ThreadingHTTPServer]:
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
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Late) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


PARALLEL = 12  # long polls that have to be open at the same time for any to be answered


@pytest.fixture(scope="module")
def lab(state: Path, controller: http.server.ThreadingHTTPServer) -> Iterator[Channel]:
    wanted = Wanted(name="t1", state=state, controller_port=controller.server_port)
    up(wanted, print, os.environ)
    yield Channel(LabFolder("t1", state).path)
    down("t1", state)


def shell(lab: Channel, script: str, *words: str) -> str:
    done = lab.run(["sh", "-ec", script, "sh", *words])
    assert done.returncode == 0, done.stderr.decode() + done.text
    return done.text


def test_it_has_the_cards_and_the_drive_each_in_a_group_of_its_own(lab: Channel) -> None:
    script = """for d in /sys/bus/pci/devices/*; do
      [ -e $d/sriov_totalvfs ] || continue
      echo ${d##*/} $(cat $d/vendor $d/device $d/sriov_totalvfs $d/sriov_numvfs $d/numa_node) \
        members=$(ls $d/iommu_group/devices | wc -l)
    done"""
    assert shell(lab, script).splitlines() == [
        "0000:21:00.0 0x8086 0x10c9 7 0 0 members=1",
        "0000:22:00.0 0x1b36 0x0010 4 0 0 members=1",
        "0000:41:00.0 0x8086 0x10c9 7 0 1 members=1",
    ]


def test_it_has_two_numa_nodes_and_remaps_interrupts(lab: Channel) -> None:
    nodes = shell(lab, "ls -d /sys/devices/system/node/node?").split()
    assert [Path(node).name for node in nodes] == ["node0", "node1"]
    assert "Enabled IRQ remapping" in shell(lab, "dmesg | grep DMAR-IR")


def test_it_has_a_name_and_an_id_of_its_own(lab: Channel) -> None:
    name, machine_id = shell(lab, "hostname; cat /etc/machine-id").split()
    assert name == "t1"
    assert machine_id != Path("/etc/machine-id").read_text().strip()


def test_it_runs_this_very_program(lab: Channel) -> None:
    done = lab.run([sys.executable, "-c", "import lanekeeper; print(lanekeeper.__file__)"])
    assert Path(done.text).parent == Path(process.__file__).parents[1]


def test_homes_keys_and_processes_of_the_machine_are_not_there(lab: Channel, state: Path) -> None:
    running = look("t1", state).running
    assert running is not None
    # What QEMU itself could hand out: the tree as its own mount namespace shows it.
    tree = Path(f"/proc/{running.pid}/root{LabFolder('t1', state).path}/tree")
    assert (tree / "usr/bin/env").exists()
    for name in ("dev", "home", "proc", "root", "run", "sys", "tmp", "etc/ssl/private"):
        assert shown(tree / name) <= opened_below(Path("/") / name), name
    for path in tree.glob("etc/ssh/*_key"):
        assert path.read_bytes() == b""
    assert (tree / "etc/shadow").read_bytes() == b""
    assert lab.run(["cat", "/etc/shadow"]).text == ""


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


def test_a_command_ends_with_its_caller(lab: Channel, state: Path) -> None:
    called = [*LANEKEEPER, "lab", "exec", "--name", "t1", "--state-dir", str(state)]
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
    """An ISO 9660 config drive for guest *index*."""
    other = f"{ADDRESSES[1 - index]},{LOST_ADDRESS}"
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


def test_guests_have_their_vfs_and_reach_each_other(lab: Channel) -> None:
    card = f"/sys/bus/pci/devices/{PF}"
    script = """ip link set "$(ls $1/net)" up; echo 0 >$1/sriov_drivers_autoprobe
      echo 7 >$1/sriov_numvfs
      for vf in $1/virtfn*; do
        echo $(cat $vf/device $vf/numa_node) $(ls $vf/iommu_group/devices | wc -l)
      done"""
    assert shell(lab, script, card).splitlines() == ["0x10ca 0 1"] * 7
    image = guest.build(Cache())
    for index in (0, 1):
        lab.write(f"/run/lab/g{index}.iso", config_drive(index))
        lab.write(f"/run/lab/g{index}.xml", domain(index, image).encode())
        shell(lab, f"virsh -q create /run/lab/g{index}.xml")
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
    assert "vlan 15" in shell(lab, 'ip link show "$(ls $1/net)" | grep "vf 0 "', card)
    shell(lab, "virsh -q destroy g0; virsh -q destroy g1")


def leftovers(name: str, state: Path) -> list[str]:
    """Everything that a lab could leave behind."""
    folder = LabFolder(name, state).path
    mounts = parse_mountinfo(Path("/proc/self/mountinfo").read_text())
    return [
        *(f"process {pid}" for pid in process.marked(folder)),
        *(f"mount {mount.point}" for mount in mounts if mount.point.is_relative_to(folder)),
        *(f"file {path}" for path in [folder] if path.exists()),
    ]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
@pytest.mark.parametrize("after_s", [0.1, 0.6, 3.0])
def test_nothing_is_left_of_a_lab_that_was_interrupted(
    state: Path, number: int, after_s: float
) -> None:
    name = "interrupted"
    words = ["lab", "up", "--name", name, "--state-dir", str(state), "--controller-port", "1"]
    with subprocess.Popen([*LANEKEEPER, *words], start_new_session=True) as caller:
        time.sleep(after_s)  # the moment of the signal is what is tried here
        os.killpg(caller.pid, number)
        caller.wait(timeout=60)
    if number == signal.SIGINT:
        assert leftovers(name, state) == []
    down(name, state)
    assert leftovers(name, state) == []


def test_ending_a_lab_leaves_nothing_and_ending_it_again_is_no_error(state: Path) -> None:
    name = "ended"
    up(Wanted(name=name, state=state, controller_port=1, libvirt=False), print, os.environ)
    assert look(name, state).state == "running"
    assert down(name, state)
    assert leftovers(name, state) == []
    assert not down(name, state)
    assert look(name, state).state == "absent"


def test_a_lab_whose_machine_died_is_said_to_be_dead_and_may_start_anew(state: Path) -> None:
    name = "died"
    wanted = Wanted(name=name, state=state, controller_port=1, libvirt=False)
    running = up(wanted, print, os.environ)
    os.kill(running.pid, signal.SIGKILL)
    eventually(lambda: look(name, state).state == "dead")
    up(wanted, print, os.environ)
    down(name, state)
    assert leftovers(name, state) == []
