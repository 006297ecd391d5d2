"""The host tool against a real kernel, igb, IOMMU and netlink: the emulated lab host.

The same things that the simulated machine shows in the other tests, which keeps that one honest.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from host.planted import SAMPLE_POLICY
from lab_host import LabHost

pytestmark = pytest.mark.lab

PROGRAM = (sys.executable, "-m", "lanekeeper.main")
SETTINGS = Path(__file__).parent / "lab_settings.py"


def sriov(lab_host: LabHost) -> dict[str, list[dict[str, Any]]]:
    """Return the VFs of each 82576, by the PF's address."""
    devices = lab_host.tool("show")["devices"]
    pfs = [device["address"] for device in devices if device["product_id"] == "10c9"]
    return {pf: [device for device in devices if device["parent"] == pf] for pf in pfs}


def test_the_way_from_a_bare_host_to_vfs_and_back(lab_host: LabHost) -> None:
    findings = {(f["id"], f["summary"]) for f in lab_host.tool("check")["findings"]}
    assert ("vfs-missing", "VFs 0 of 7") in findings
    assert {"iommu-on", "interrupt-remapping-on", "kvm"} <= {name for name, _ in findings}
    policy = ("--policy", str(SAMPLE_POLICY))
    assert lab_host.tool("plan", *policy, code=1)["steps"]
    assert lab_host.tool("apply", *policy)["outcome"]["course"] == "applied"
    assert lab_host.tool("plan")["steps"] == []
    found = sriov(lab_host)
    assert [len(vfs) for vfs in found.values()] == [7, 7]
    every = [vf for vfs in found.values() for vf in vfs]
    assert {(vf["vendor_id"], vf["product_id"]) for vf in every} == {("8086", "10ca")}
    assert len({vf["iommu_group"] for vf in every}) == 14
    assert {vf["driver"] for vf in every} == {None}
    unit = "/etc/systemd/system/lanekeeper-host.service"
    assert lab_host.run("systemd-analyze", "verify", unit).returncode == 0

    # Settings, drivers and reset, by a program of its own that sits where the kernel is.
    assert lab_host.done(sys.executable, "-", stdin=SETTINGS.read_text()) == "ok"
    assert lab_host.tool("rollback")["outcome"]["course"] == "taken back"
    assert [len(vfs) for vfs in sriov(lab_host).values()] == [0, 0]
    assert lab_host.run("test", "-e", "/etc/lanekeeper/host-policy.yaml").returncode == 1


KILLED = """
{program} host apply --policy {policy} > /run/said 2>&1 &
until grep -q "create 7 VFs on 0000:41" /run/said; do sleep 0.02; done
kill -9 $!
"""


def test_kill_9_in_the_middle_is_finished(lab_host: LabHost) -> None:
    script = KILLED.format(program=" ".join(PROGRAM), policy=SAMPLE_POLICY)
    lab_host.run("bash", "-s", stdin=script)
    applied = lab_host.tool("apply", "--policy", str(SAMPLE_POLICY))
    assert applied["resumed"]["course"] == "applied"
    assert applied["steps"] == []
    assert [len(vfs) for vfs in sriov(lab_host).values()] == [7, 7]
    assert lab_host.tool("rollback")["outcome"]["course"] == "taken back"


MANAGED = """\
version: 1
pfs:
  - {pf: "0000:21:00.0", vfs: 2}
manage_management: true
persist: false
"""
ROUTE_THROUGH_PF = """
ip link set "$1" up
ip address add 192.0.2.1/24 dev "$1"
ip route add default via 192.0.2.2 dev "$1" metric 50
"""
CUT_OFF = """
{program} host apply --policy /run/managed.yaml --confirm-within 5 > /run/said 2>&1 &
until grep -q "^.1/" /run/said; do sleep 0.02; done
kill -{signal} $!
wait $!
"""
GONE_BY_ITSELF = """
for second in $(seq 90); do
    [ "$(cat /sys/bus/pci/devices/0000:21:00.0/sriov_numvfs)" != 0 ] || exit 0
    sleep 1
done
exit 1
"""


def test_a_change_to_the_management_nic_goes_back_by_itself(lab_host: LabHost) -> None:
    netdev = next(
        device["netdev"]
        for device in lab_host.tool("show")["devices"]
        if device["address"] == "0000:21:00.0"
    )
    lab_host.shell(ROUTE_THROUGH_PF, netdev)
    lab_host.shell("cat > /run/managed.yaml", stdin=MANAGED)
    policy = ("--policy", "/run/managed.yaml")
    try:
        held = lab_host.tool("apply", *policy, "--confirm-within", "3")["outcome"]
        assert held["course"] == "waiting for confirmation"
        lab_host.shell(GONE_BY_ITSELF)
        for number in ("KILL", "HUP"):
            script = CUT_OFF.format(program=" ".join(PROGRAM), signal=number)
            lab_host.run("bash", "-s", stdin=script)
            lab_host.shell(GONE_BY_ITSELF)
        held = lab_host.tool("apply", *policy)["outcome"]
        confirmed = lab_host.tool("confirm", str(held["change"]))
        assert confirmed == {"confirmed": held["change"], "outcome": None}
        assert len(sriov(lab_host)["0000:21:00.0"]) == 2
        assert lab_host.tool("rollback")["outcome"]["course"] == "taken back"
        courses = [change["course"] for change in lab_host.tool("changes")["changes"]]
        assert set(courses[-4:]) == {"taken back"}
    finally:
        lab_host.shell('ip address flush dev "$1"; ip link set "$1" down', netdev)
