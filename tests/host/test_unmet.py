"""An entry that nothing is meant by: told by every verb, and no hindrance for the others."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from host.planted import NVME, OTHER_PF, PF, simulated
from lanekeeper.host.sysfs import PciSysfs
from lanekeeper.main import main

TWO = f'version: 1\npfs:\n  - {{pf: "{PF}", vfs: 2}}\n  - {{pf: esn2, vfs: 1}}\n'
TOLD = ":4: pfs[1]: no PF has netdev esn2 (pf-not-found)"
NEAR = f"{OTHER_PF} but for netdev, which is ens2 there"


def call(root: Path, verb: str, *words: str) -> int:
    (root / "policy.yaml").write_text(TWO)
    policy = str(root / "policy.yaml")
    return main(["host", verb, "--simulate", str(root), "--policy", policy, *words])


def test_the_rest_is_applied_and_what_is_missing_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    simulated(tmp_path)
    assert call(tmp_path, "plan") == 1
    said = capsys.readouterr().out
    assert TOLD in said
    assert f"fix: {NEAR}" in said
    assert f"create 2 VFs on {PF}" in said or "steps." in said
    assert call(tmp_path, "apply") == 0
    assert TOLD in capsys.readouterr().out
    assert PciSysfs(tmp_path).device(PF).num_vfs == 2
    assert call(tmp_path, "plan") == 0
    said = capsys.readouterr().out
    assert TOLD in said
    assert "Nothing to do: else the host is as the policy wants it." in said
    assert call(tmp_path, "apply") == 0
    assert TOLD in capsys.readouterr().out
    assert main(["host", "drift", "--simulate", str(tmp_path)]) == 0
    assert TOLD in capsys.readouterr().out


def test_check_warns_of_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    simulated(tmp_path)
    assert call(tmp_path, "apply") == 0
    capsys.readouterr()
    assert call(tmp_path, "check", "--json") == 0
    findings = json.loads(capsys.readouterr().out)["findings"]
    (found,) = [one for one in findings if one["id"].startswith("policy-")]
    assert (found["id"], found["severity"]) == ("policy-pf-not-found", "warning")
    assert found["docs"].endswith("#policy-unmet")
    assert found["fix"].startswith(NEAR)


def test_machines_are_told_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    simulated(tmp_path)
    for verb in ("plan", "apply", "plan"):
        call(tmp_path, verb, "--json")
        (warning,) = json.loads(capsys.readouterr().out)["warnings"]
        assert (warning["code"], warning["subject"]) == ("pf-not-found", "pfs[1]")
        assert warning["fix"].startswith(NEAR)


@pytest.mark.parametrize(
    ("policy", "told"),
    [
        (TWO, "warning: {file}:4: pfs[1]: no PF has netdev esn2"),
        (
            f'version: 1\npfs:\n  - pf: "{PF}"\n    vfs: 99\n',
            "refused: {file}:3: pfs[0] ({pf}): 99",
        ),
        (
            f'version: 1\npersist: false\nblacklist:\n  - igb\npfs:\n  - pf: "{PF}"\n    vfs: 1\n',
            "refused: {file}:4: blacklist[0]: igb would not load",
        ),
        (
            f'version: 1\ndevices:\n  - device: "{NVME}"\n    physical_network: lan\n',
            "refused: {file}:4: devices[0].physical_network (0000:22:00.0): ",
        ),
    ],
)
def test_file_and_line_are_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], policy: str, told: str
) -> None:
    simulated(tmp_path)
    path = tmp_path / "policy.yaml"
    path.write_text(policy)
    where = ("--simulate", str(tmp_path), "--policy", str(path))
    assert main(["host", "plan", *where]) == 1
    assert told.format(file=path, pf=PF) in capsys.readouterr().out
    main(["host", "plan", *where, "--json"])
    document = json.loads(capsys.readouterr().out)
    (one,) = document["refusals"] + document["warnings"]
    assert one["place"] == told.format(file=path, pf=PF).split(": ")[1]
    main(["host", "check", *where, "--json"])
    found = json.loads(capsys.readouterr().out)["findings"]
    assert one["place"] in [each["evidence"] for each in found]
