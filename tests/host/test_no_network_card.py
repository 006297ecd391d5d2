"""What only a network card holds for its VFs, wanted of an NVMe drive: refused before a step."""

from __future__ import annotations

from pathlib import Path

import pytest

from host.planted import NVME, simulated
from lanekeeper.domain.hostplan.plan import plan
from lanekeeper.domain.hostplan.step import Plan
from lanekeeper.host.facts import read_host
from lanekeeper.host.policy_file import load_policy


def planned(root: Path, fields: str) -> Plan:
    text = f'version: 1\npfs: [{{pf: "{NVME}", {fields}}}]\n'
    return plan(load_policy(text, "policy.yaml"), read_host(root))


@pytest.mark.parametrize(
    ("fields", "wanted"),
    [
        ("vfs: 2, mac: stable", "mac"),
        ('vfs: 2, mac: "02:00:00:00:00:10"', "mac"),
        ("vfs: 2, trust: true", "trust"),
        ("vfs: 2, spoofchk: false, trust: true", "trust, spoofchk"),
        ("vfs: 2, ranges: [{vfs: 1, trust: true}]", "trust"),
    ],
)
def test_settings_of_a_network_are_refused(tmp_path: Path, fields: str, wanted: str) -> None:
    simulated(tmp_path)
    (refusal,) = planned(tmp_path, fields).refusals
    assert refusal.code == "not-a-network-card"
    assert f"{NVME} is no network card (class 010802)" in refusal.reason
    assert refusal.fix == f"drop {wanted}"


@pytest.mark.parametrize("fields", ["vfs: 2", "vfs: 0, trust: true"])
def test_what_a_drive_can_have_is_planned(tmp_path: Path, fields: str) -> None:
    simulated(tmp_path)
    assert planned(tmp_path, fields).refusals == ()
