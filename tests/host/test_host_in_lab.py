"""The host tool against a real kernel, igb, IOMMU and netlink: the emulated lab host.

The same things that the simulated machine shows in the other tests, which keeps that one honest.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from host.planted import SAMPLE_POLICY
from lab_host import LabHost

pytestmark = pytest.mark.lab

PROGRAM = (sys.executable, "-m", "lanekeeper.main")
SETTINGS = Path(__file__).parent / "lab_settings.py"


def tool(lab: LabHost, *arguments: str, code: int = 0) -> Any:
    """Run the host tool in the lab host; return what it says."""
    done = lab.run(*PROGRAM, "host", *arguments, "--json")
    assert done.returncode == code, done.stderr.decode() + done.text
    return json.loads(done.text)


def sriov(lab_host: LabHost) -> dict[str, list[dict[str, Any]]]:
    """Return the VFs of each 82576, by the PF's address."""
    devices = tool(lab_host, "show")["devices"]
    pfs = [device["address"] for device in devices if device["product_id"] == "10c9"]
    return {pf: [device for device in devices if device["parent"] == pf] for pf in pfs}


def test_the_way_from_a_bare_host_to_vfs_and_back(lab_host: LabHost) -> None:
    findings = {(f["id"], f["summary"]) for f in tool(lab_host, "check")["findings"]}
    assert ("vfs-missing", "VFs 0 of 7") in findings
    assert {"iommu-on", "interrupt-remapping-on", "kvm"} <= {name for name, _ in findings}
    policy = ("--policy", str(SAMPLE_POLICY))
    assert tool(lab_host, "plan", *policy, code=1)["steps"]
    assert tool(lab_host, "apply", *policy)["outcome"]["course"] == "applied"
    assert tool(lab_host, "plan")["steps"] == []
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
    assert tool(lab_host, "rollback")["outcome"]["course"] == "taken back"
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
    applied = tool(lab_host, "apply", "--policy", str(SAMPLE_POLICY))
    assert applied["resumed"]["course"] == "applied"
    assert applied["steps"] == []
    assert [len(vfs) for vfs in sriov(lab_host).values()] == [7, 7]
    assert tool(lab_host, "rollback")["outcome"]["course"] == "taken back"
