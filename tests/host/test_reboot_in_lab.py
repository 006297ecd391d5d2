"""A host is prepared, rebooted and rolled back: a real kernel that boots with what was set.

The lab host's next kernel gets what the menu on its own disk says, which its ``update-grub`` makes
of ``/etc/default/grub`` and its drop-ins; the units that were enabled in it run at its boot.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from lab_host import LabHost

pytestmark = pytest.mark.lab

PROGRAM = (sys.executable, "-m", "lanekeeper.main")
PF = "0000:21:00.0"
CARD = f"/sys/bus/pci/devices/{PF}"
ARGUMENTS = ["intel_iommu=on", "iommu=pt", "hugepages=48"]

POLICY = f"""\
version: 1
kernel_arguments: [{", ".join(ARGUMENTS)}]
pfs:
  - {{pf: "{PF}", vfs: 4, mac: stable, trust: true, physical_network: physnet1}}
  - {{pf: {{ids: "8086:10c9", index: 1}}, vfs: 2, alias: a1}}
"""
HELD = f"""\
version: 1
pfs:
  - {{pf: "{PF}", vfs: 3}}
manage_management: true
"""
ROUTE_THROUGH_PF = f"""
netdev=$(ls {CARD}/net)
ip link set "$netdev" up
ip address add 192.0.2.1/24 dev "$netdev"
ip route add default via 192.0.2.2 dev "$netdev" metric 50
"""
# By its name it would start before lanekeeper-host.service; what it asks for counts.
WITNESS_FILE = "/etc/systemd/system/a-witness.service"
WITNESS = f"""\
[Unit]
Description=Notes what is there when guests and switches may start
After=lanekeeper-host.service
Before=libvirtd.service openvswitch-switch.service
[Service]
Type=oneshot
ExecStart=/bin/sh -c "cat {CARD}/sriov_numvfs >/run/witness; ls -d /run/libvirt >>/run/witness || :"
[Install]
WantedBy=multi-user.target
"""
ENABLE_WITNESS = f"""
cat >{WITNESS_FILE}
ln -s ../a-witness.service /etc/systemd/system/multi-user.target.wants/
"""
DISABLE_WITNESS = f"""
rm -f {WITNESS_FILE} /etc/systemd/system/multi-user.target.wants/a-witness.service
"""
# Where plans write, names, modes and contents.
WRITTEN = """
find /boot /etc/default /etc/kernel /etc/lanekeeper /etc/modprobe.d /etc/systemd/system \\
    /etc/udev/rules.d 2>/dev/null | sort | while read -r name; do
    stat -c '%N %a' "$name"
    if [ -f "$name" ]; then sha256sum "$name"; fi
done
"""


def findings(lab: LabHost, code: int = 0) -> set[str]:
    return {finding["id"] for finding in lab.tool("check", code=code)["findings"]}


def words(lab: LabHost, path: str = "/proc/cmdline") -> list[str]:
    return lab.done("cat", path).split()


def written(lab: LabHost) -> list[str]:
    """Return names, modes, targets and digests of the files that plans may write."""
    return lab.shell(WRITTEN).splitlines()


def operator_sets(lab: LabHost, script: str) -> None:
    """Change the boot loader's settings by *script* of sed, as an operator does."""
    lab.shell('sed -i "$1" /etc/default/grub && update-grub', script)


def vfs(lab: LabHost) -> list[dict[str, Any]]:
    """Return the VFs of the first card, as the kernel shows them."""
    links = json.loads(lab.shell(f'ip -json link show "$(ls {CARD}/net)"'))
    return [{key: vf[key] for key in ("vf", "address", "trust")} for vf in links[0]["vfinfo_list"]]


def courses(lab: LabHost) -> list[str]:
    return [change["course"] for change in lab.tool("changes")["changes"]]


@pytest.fixture
def host(lab_host: LabHost) -> Iterator[LabHost]:
    """The shared host, which is booted as it was before, whatever became of the test."""
    settings, arguments = lab_host.done("cat", "/etc/default/grub"), words(lab_host)
    yield lab_host
    if words(lab_host) != arguments or lab_host.running.libvirt_s is None:
        lab_host.run(*PROGRAM, "host", "rollback", "--to", "0")
        lab_host.shell(f"{DISABLE_WITNESS} cat >/etc/default/grub; update-grub", stdin=settings)
        lab_host.reboot(libvirt=True)


def test_what_is_applied_outlasts_a_reboot_and_what_is_rolled_back_does_not(host: LabHost) -> None:
    first = words(host)
    operator_sets(host, "s/intel_iommu=on iommu=pt/intel_iommu=off/")
    bare = written(host)
    leave_unconfirmed(host)
    host.reboot(libvirt=False)
    assert_back_by_itself(host, bare)

    # An operator's host without an IOMMU, its VFs and the way to have both after each boot.
    assert "iommu-off" in findings(host, code=1)
    host.shell("cat >/run/policy.yaml", stdin=POLICY)
    assert host.tool("apply", "--policy", "/run/policy.yaml")["outcome"]["course"] == "applied"
    planned = host.tool("plan")
    assert planned["steps"] == []
    assert len(planned["pending"]) == 3
    made = vfs(host)
    assert [vf["trust"] for vf in made] == [True] * 4
    assert len({vf["address"] for vf in made} - {"00:00:00:00:00:00"}) == 4
    host.shell(ENABLE_WITNESS, stdin=WITNESS)
    host.reboot(libvirt=True)
    assert_all_there(host, made)

    host.shell(DISABLE_WITNESS)
    assert host.tool("rollback")["outcome"]["course"] == "taken back"
    assert written(host) == bare
    operator_sets(host, "s/intel_iommu=off/intel_iommu=on iommu=pt/")
    host.reboot(libvirt=True)
    assert words(host) == first
    assert vfs(host) == []
    assert "HugePages_Total:       0" in host.done("cat", "/proc/meminfo")
    assert host.run("test", "-e", "/run/lab/units.log").returncode == 1


def leave_unconfirmed(host: LabHost) -> None:
    """Change the management interface, and be cut off before it can be confirmed."""
    host.shell(ROUTE_THROUGH_PF)
    host.shell("cat >/run/held.yaml", stdin=HELD)
    held = host.tool("apply", "--policy", "/run/held.yaml", "--confirm-within", "3600")["outcome"]
    assert held["course"] == "waiting for confirmation"
    assert len(vfs(host)) == 3
    assert host.run("test", "-e", "/etc/systemd/system/lanekeeper-host.service").returncode == 0


def assert_back_by_itself(host: LabHost, bare: list[str]) -> None:
    """The unit that the change itself had enabled took it back, itself with it."""
    assert "intel_iommu=off" in words(host)
    assert host.shell("ls /sys/kernel/iommu_groups") == ""
    assert "== lanekeeper-host.service: ended with" in host.done("cat", "/run/lab/units.log")
    assert courses(host)[-1] == "taken back"
    assert vfs(host) == []
    assert written(host) == bare


def assert_all_there(host: LabHost, made: list[dict[str, Any]]) -> None:
    """After the boot everything is as the policy has it, before guests could start."""
    assert words(host)[-3:] == ARGUMENTS  # behind what the operator set, so they count
    assert "intel_iommu=off" in words(host)
    assert host.shell("ls /sys/kernel/iommu_groups") != ""
    assert "HugePages_Total:      48" in host.done("cat", "/proc/meminfo")
    assert vfs(host) == made
    assert words(host, "/sys/bus/pci/devices/0000:41:00.0/sriov_numvfs") == ["2"]
    planned = host.tool("plan")
    assert (planned["steps"], planned["pending"]) == ([], [])
    host.tool("drift")
    found = findings(host)
    assert "iommu-on" in found
    assert "reboot-pending" not in found
    said = host.done("cat", "/run/lab/units.log")
    ended = [line for line in said.splitlines() if line.startswith("== ") and "ended" in line]
    assert ended[0] == "== lanekeeper-host.service: ended with 0"
    assert ended[1].startswith("== a-witness.service: ended with")
    assert words(host, "/run/witness") == ["4"]  # and libvirt had not been started
