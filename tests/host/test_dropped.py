"""What an earlier policy asked for and the next one does not speak of: named until it is gone."""

from __future__ import annotations

from pathlib import Path

import pytest

from host.planted import OTHER_PF, PF, simulated
from lanekeeper.main import main

TWO = f'version: 1\npfs:\n  - {{pf: "{PF}", vfs: 2}}\n  - {{pf: "{OTHER_PF}", vfs: 1}}\n'
ONE = f'version: 1\npfs:\n  - {{pf: "{PF}", vfs: 2}}\n'
NONE = f'{ONE}  - {{pf: "{OTHER_PF}", vfs: 0}}\n'
TOLD = f"pending: {OTHER_PF} has 1 VF of an earlier policy, which this one does not speak of"


def call(root: Path, verb: str, text: str) -> int:
    (root / "policy.yaml").write_text(text)
    return main(["host", verb, "--simulate", str(root), "--policy", str(root / "policy.yaml")])


@pytest.mark.parametrize("persist", ["", "persist: false\n"])
def test_a_pf_that_is_dropped_is_told_until_its_vfs_are_gone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], persist: str
) -> None:
    simulated(tmp_path)
    assert call(tmp_path, "apply", TWO + persist) == 0
    assert call(tmp_path, "plan", TWO + persist) == 0
    assert "earlier policy" not in capsys.readouterr().out
    for verb in ("plan", "apply", "plan"):  # it was applied, and the VFs are still there
        call(tmp_path, verb, ONE + persist)
        said = capsys.readouterr().out
        assert TOLD in said, verb
        assert f'{{pf: "{OTHER_PF}", vfs: 0}} in pfs removes them now' in said
    assert call(tmp_path, "apply", NONE + persist) == 0
    capsys.readouterr()
    assert call(tmp_path, "plan", NONE + persist) == 0
    call(tmp_path, "plan", ONE + persist)
    assert "earlier policy" not in capsys.readouterr().out


def test_a_device_that_is_dropped_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    simulated(tmp_path)
    device = f'version: 1\npersist: false\ndevices: [{{device: "{OTHER_PF}"}}]\n'
    assert call(tmp_path, "apply", device) == 0
    capsys.readouterr()
    call(tmp_path, "plan", f"{ONE}persist: false\n")
    said = capsys.readouterr().out
    assert f"pending: {OTHER_PF} is on vfio-pci by an earlier policy" in said
    assert f'{{device: "{OTHER_PF}", driver: NAME}} in devices gives it back now' in said


def test_vfs_that_no_policy_made_are_not_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    machine = simulated(tmp_path)
    machine.create_vfs(OTHER_PF, 1)
    call(tmp_path, "plan", ONE)
    assert "earlier policy" not in capsys.readouterr().out


def test_one_step_is_one_step(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    simulated(tmp_path)
    assert call(tmp_path, "apply", f"{ONE}persist: false\n") == 0
    capsys.readouterr()
    pages = "huge_pages: [{node: 0, size: 2M, pages: 3}]\npersist: false\n"
    assert call(tmp_path, "plan", ONE + pages) == 1
    assert capsys.readouterr().out.endswith("\n1 step.\n")
