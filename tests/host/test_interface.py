"""An interface below a macvtap, in a network namespace of this kernel's."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from lanekeeper.domain.errors import NotFound
from lanekeeper.host.interfaces import read_interface

PROGRAM = """
import json, socket, sys
from dataclasses import asdict
from pathlib import Path
from lanekeeper.domain.pci.address import PciAddress
from lanekeeper.host.interfaces import read_interface
from lanekeeper.host.linux import LinuxMachine

class OfCard(LinuxMachine):
    def __init__(self):
        super().__init__()
        self.pci.interface = lambda _: ("card0", socket.if_nametoindex("card0"))

machine, at = OfCard(), PciAddress.parse("0000:21:10.0")
before = machine.interface(at)
machine.set_interface(at, "fa:16:3e:00:00:05", 1400)
print(json.dumps([asdict(before), asdict(machine.interface(at))]))
"""
NAMESPACE = """set -e
mount -t sysfs none /sys
mount -t proc none /proc
ip link add card0 type veth peer name wire0
ip link set wire0 up
ip link add link card0 name tap0 type macvtap mode passthru
"$@"
ip -6 -json address show dev card0 > "$OUT"
"""


def test_it_takes_its_mac_and_is_up_without_an_address_of_the_host(tmp_path: Path) -> None:
    words = ["unshare", "--user", "--map-root-user", "--mount", "--net", "--pid", "--fork"]
    probe = [*words, "sh", "-ec", NAMESPACE, "sh", "true"]
    out = {"OUT": str(tmp_path / "addresses"), "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}
    tried = subprocess.run(probe, check=False, capture_output=True, text=True, env=out)
    if tried.returncode:
        pytest.skip(f"this kernel gives no namespace with a macvtap: {tried.stderr.strip()}")
    source = str(Path(__file__).parents[2] / "src")
    done = subprocess.run(
        [*words, "sh", "-ec", NAMESPACE, "sh", sys.executable, "-c", PROGRAM],
        check=False,
        capture_output=True,
        text=True,
        env=out | {"PYTHONPATH": source},
    )
    assert done.returncode == 0, done.stderr
    before, after = json.loads(done.stdout)
    assert (before["uppers"], before["is_up"]) == (["tap0"], False)
    assert (after["mac"], after["mtu"], after["is_up"]) == ("fa:16:3e:00:00:05", 1400, True)
    told = json.loads((tmp_path / "addresses").read_text())
    assert not any(one.get("addr_info") for one in told)


def test_udev_that_has_not_named_an_interface_yet_is_noticed(tmp_path: Path) -> None:
    home = tmp_path / "sys/class/net/eth0"
    home.mkdir(parents=True)
    for name, text in (("address", "FA:16:3E:00:00:05"), ("mtu", "1500"), ("flags", "0x1002")):
        (home / name).write_text(f"{text}\n")
    assert read_interface(tmp_path, "eth0", 7).is_named
    (tmp_path / "run/udev/data").mkdir(parents=True)
    (tmp_path / "run/udev/control").touch()
    found = read_interface(tmp_path, "eth0", 7)
    assert (found.is_named, found.mac, found.is_up) == (False, "fa:16:3e:00:00:05", False)
    (tmp_path / "run/udev/data/n7").touch()
    assert read_interface(tmp_path, "eth0", 7).is_named
    with pytest.raises(NotFound, match="eth1 is not there"):
        read_interface(tmp_path, "eth1", 8)
