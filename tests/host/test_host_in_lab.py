"""The host tool against a real kernel, igb, IOMMU and netlink: the emulated lab host.

The same things that the simulated machine shows in the other tests, which keeps that one honest.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from host.planted import SAMPLE_POLICY

pytestmark = pytest.mark.lab

PROGRAM = (sys.executable, "-m", "lanekeeper.main")
SETTINGS = Path(__file__).parent / "lab_settings.py"


class LabHost:
    """Runs commands in one lab host."""

    def __init__(self, name: str) -> None:
        self._exec = (*PROGRAM, "lab", "exec", "--name", name, "--timeout", "120")

    def run(self, *command: str, text: str = "") -> subprocess.CompletedProcess[str]:
        stdin = ("--stdin",) if text else ()
        called = [*self._exec, *stdin, "--", *command]
        return subprocess.run(called, input=text, capture_output=True, text=True, check=False)

    def host(self, *arguments: str, code: int = 0) -> Any:
        done = self.run(*PROGRAM, "host", *arguments, "--json")
        assert done.returncode == code, done.stderr + done.stdout
        return json.loads(done.stdout)


@pytest.fixture(scope="module")
def lab() -> Iterator[LabHost]:
    if shutil.which("qemu-system-x86_64") is None or os.geteuid() != 0:
        pytest.skip("a lab host needs root and qemu-system-x86_64: ./dev setup installs it")
    name = f"host{os.getpid()}"
    lab = (*PROGRAM, "lab")
    up = [*lab, "up", "--name", name, "--no-libvirt"]
    done = subprocess.run(up, capture_output=True, text=True, check=False)
    try:
        assert done.returncode == 0, done.stderr
        yield LabHost(name)
    finally:
        subprocess.run([*lab, "down", "--name", name], capture_output=True, check=False)


def sriov(lab: LabHost) -> dict[str, list[dict[str, Any]]]:
    """Return the VFs of each 82576, by the PF's address."""
    devices = lab.host("show")["devices"]
    pfs = [device["address"] for device in devices if device["product_id"] == "10c9"]
    return {pf: [device for device in devices if device["parent"] == pf] for pf in pfs}


def test_the_way_from_a_bare_host_to_vfs_and_back(lab: LabHost) -> None:
    findings = {(f["id"], f["summary"]) for f in lab.host("check")["findings"]}
    assert ("vfs-missing", "VFs 0 of 7") in findings
    assert {"iommu-on", "interrupt-remapping-on", "kvm"} <= {name for name, _ in findings}
    policy = ("--policy", str(SAMPLE_POLICY))
    assert lab.host("plan", *policy, code=1)["steps"]
    assert lab.host("apply", *policy)["outcome"]["course"] == "applied"
    assert lab.host("plan")["steps"] == []
    found = sriov(lab)
    assert [len(vfs) for vfs in found.values()] == [7, 7]
    every = [vf for vfs in found.values() for vf in vfs]
    assert {(vf["vendor_id"], vf["product_id"]) for vf in every} == {("8086", "10ca")}
    assert len({vf["iommu_group"] for vf in every}) == 14
    assert {vf["driver"] for vf in every} == {None}
    unit = "/etc/systemd/system/lanekeeper-host.service"
    assert lab.run("systemd-analyze", "verify", unit).returncode == 0

    # Settings, drivers and reset, by a program of its own that sits where the kernel is.
    done = lab.run(sys.executable, "-", text=SETTINGS.read_text())
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["ok"]
    assert lab.host("rollback")["outcome"]["course"] == "taken back"
    assert [len(vfs) for vfs in sriov(lab).values()] == [0, 0]
    assert lab.run("test", "-e", "/etc/lanekeeper/host-policy.yaml").returncode == 1


KILLED = """
{program} host apply --policy {policy} > /run/said 2>&1 &
until grep -q "create 7 VFs on 0000:41" /run/said; do sleep 0.02; done
kill -9 $!
"""


def test_kill_9_in_the_middle_is_finished(lab: LabHost) -> None:
    script = KILLED.format(program=" ".join(PROGRAM), policy=SAMPLE_POLICY)
    lab.run("bash", "-s", text=script)
    applied = lab.host("apply", "--policy", str(SAMPLE_POLICY))
    assert applied["resumed"]["course"] == "applied"
    assert applied["steps"] == []
    assert [len(vfs) for vfs in sriov(lab).values()] == [7, 7]
    assert lab.host("rollback")["outcome"]["course"] == "taken back"
