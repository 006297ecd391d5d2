"""What differs from the last apply: the machine, the files, the policy itself."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from host.planted import PF, SAMPLE_POLICY
from lanekeeper.domain.hostplan.persistence import (
    POLICY_FILE,
    UDEV_FILE,
    UNIT_FILE,
    UNIT_LINK,
    WRITTEN,
)
from lanekeeper.host.deadline import deadline, moment
from lanekeeper.host.hold import guard_file
from lanekeeper.host.journal import DIRECTORY, Course, journals
from lanekeeper.host.lock import watching
from lanekeeper.host.simulated import SimulatedMachine
from lanekeeper.main import main

POLICY = "etc/lanekeeper/host-policy.yaml"
UNITS = Path(__file__).parents[2] / "packaging/systemd"


class Drifting:
    """One simulated machine, and what ``host drift`` says of it."""

    def __init__(self, root: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.root = root
        self._capsys = capsys

    def call(self, verb: str, *more: str) -> int:
        return main(["host", verb, "--simulate", str(self.root), *more])

    def drift(self, code: int) -> dict[str, Any]:
        self._capsys.readouterr()
        assert self.call("drift", "--json") == code
        found: dict[str, Any] = json.loads(self._capsys.readouterr().out)
        return found

    def text(self) -> str:
        self._capsys.readouterr()
        self.call("drift")
        return self._capsys.readouterr().out


@pytest.fixture
def host(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Drifting:
    host = Drifting(tmp_path / "machine", capsys)
    host.call("apply", "--policy", str(SAMPLE_POLICY))
    return host


def test_a_host_as_applied_has_none(host: Drifting) -> None:
    found = host.drift(0)
    assert (found["change"], found["steps"], found["files"]) == (1, [], [])
    assert "No drift" in host.text()


def test_a_policy_that_keeps_nothing_takes_away_what_the_former_one_kept(
    host: Drifting, tmp_path: Path
) -> None:
    written = [host.root / name for name in (*WRITTEN, UNIT_LINK)]
    kept = {path: path.read_bytes() for path in written if os.path.lexists(path)}
    assert {host.root / name for name in (POLICY_FILE, UNIT_FILE, UNIT_LINK, UDEV_FILE)} <= {*kept}
    loose = tmp_path / "loose.yaml"
    loose.write_text(f"version: 1\npfs: [{{pf: '{PF}', vfs: 7}}]\npersist: false\n")
    assert host.call("apply", "--policy", str(loose)) == 0
    assert [path for path in written if os.path.lexists(path)] == []
    assert host.drift(0)["steps"] == []
    host.call("rollback")
    assert {path: path.read_bytes() for path in written if os.path.lexists(path)} == (kept)


def test_the_kept_file_itself_may_say_that_nothing_is_kept(host: Drifting) -> None:
    path = host.root / POLICY
    path.write_text(f"{path.read_text()}persist: false\n".replace("persist: true\n", ""))
    assert host.call("apply") == 0
    assert path.exists()
    assert not (host.root / UNIT_LINK).is_symlink()
    assert host.drift(0)["steps"] == []


def test_vfs_that_went_away(host: Drifting) -> None:
    SimulatedMachine(host.root).create_vfs(PF, 0)
    texts = [step["text"] for step in host.drift(1)["steps"]]
    assert texts == ["create 7 VFs on 0000:21:00.0"]
    assert "to do: create 7 VFs on 0000:21:00.0 (the policy says 7, there are 0 of 7)" in (
        host.text()
    )
    host.call("apply")
    host.drift(0)


def test_a_file_that_somebody_edited_is_shown_with_the_difference(host: Drifting) -> None:
    path = host.root / POLICY
    path.write_text(path.read_text().replace("vfs: 7", "vfs: 6", 1))
    found = host.drift(1)
    file = found["files"][0]
    assert (file["path"], file["what"], file["change"]) == (POLICY, "was edited", 1)
    assert next(line for line in file["diff"] if "vfs: 6" in line).startswith("+")
    assert "remove VFs of 0000:21:00.0" in [step["text"] for step in found["steps"]]
    text = host.text()
    assert "+    vfs: 6" in text
    assert (
        f"/{POLICY} was edited since change 1 applied it: "
        "`lanekeeper host plan` shows what the new text would change" in text
    )
    assert "`lanekeeper host apply` applies the policy as it reads now" in text
    assert "brings the policy back" not in text


def test_files_that_are_gone_or_lead_elsewhere(host: Drifting) -> None:
    link = host.root / "etc/systemd/system/multi-user.target.wants/lanekeeper-host.service"
    link.unlink()
    unit = host.root / "etc/systemd/system/lanekeeper-host.service"
    unit.unlink()
    found = {file["path"]: file["what"] for file in host.drift(1)["files"]}
    assert set(found.values()) == {"is gone"}
    link.symlink_to("../another.service")
    found = {file["path"]: file["what"] for file in host.drift(1)["files"]}
    assert "is no link to ../lanekeeper-host.service" in found.values()


def test_a_kept_policy_that_is_no_policy_any_more(host: Drifting) -> None:
    (host.root / POLICY).write_text("version: 1\npfs: 7\n")
    found = host.drift(1)
    assert "pfs: is 7, not a list" in found["policy_file"]
    assert "the kept policy cannot be applied" in host.text()


def test_without_a_kept_policy_the_last_one_applied_counts(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    host = Drifting(tmp_path / "machine", capsys)
    policy = tmp_path / "p.yaml"
    policy.write_text('version: 1\npfs:\n  - {pf: "0000:21:00.0", vfs: 3}\npersist: false\n')
    host.call("apply", "--policy", str(policy))
    host.drift(0)
    SimulatedMachine(host.root).create_vfs(PF, 0)
    assert host.drift(1)["steps"][0]["text"] == "create 3 VFs on 0000:21:00.0"
    host.call("rollback")
    assert host.drift(0)["policy"] is None
    assert "every change was taken back" in host.text()


def test_where_nothing_was_ever_applied_there_is_nothing_to_compare_with(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    host = Drifting(tmp_path / "machine", capsys)
    assert host.call("drift") == 2
    assert "nothing was applied here" in capsys.readouterr().err
    (error,) = host.drift(2)["errors"]
    assert "nothing was applied here" in error["message"]
    assert "`lanekeeper host apply --policy FILE` comes first" in error["hint"]


def test_an_unfinished_change_is_drift(host: Drifting) -> None:
    path = host.root / "var/lib/lanekeeper-host/changes/000001.jsonl"
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:-1]))
    before = path.read_bytes()
    assert host.drift(1)["unfinished"] == [{"id": 1, "course": "forward", "standing": "cut off"}]
    assert "`lanekeeper host rollback` takes it back" in host.text()
    assert path.read_bytes() == before
    assert "change 1 was cut off; `lanekeeper host apply` goes on with it first" in host.text()


def test_a_change_that_waits_for_its_confirmation_was_not_cut_off(host: Drifting) -> None:
    (change,) = journals(host.root / DIRECTORY)
    change.mark_course(Course.UNCONFIRMED, deadline=deadline(moment(host.root), 600))
    with watching(guard_file(host.root / DIRECTORY, 1)):
        text = host.text()
    assert "change 1 waits for its confirmation: `lanekeeper host confirm 1` keeps it" in text
    assert "cut off" not in text


def test_the_copies_that_a_rollback_would_keep_are_told_beforehand(
    host: Drifting, capsys: pytest.CaptureFixture[str]
) -> None:
    def told(*words: str) -> str:
        capsys.readouterr()
        assert host.call("rollback", *words) == 0
        return capsys.readouterr().out

    assert "kept:" not in told("--dry-run")
    unit = host.root / "etc/systemd/system/lanekeeper-host.service"
    unit.write_text(f"{unit.read_text()}# mine\n")
    name = "etc/systemd/system/lanekeeper-host.service"
    ahead = told("--dry-run")
    assert f"kept: /{name} was edited; a copy of that will be /{name}.edited-1" in ahead
    assert json.loads(told("--dry-run", "--json"))["kept"] == [
        f"/{name} was edited; a copy of that will be /{name}.edited-1"
    ]
    assert not unit.with_name(f"{unit.name}.edited-1").exists()
    assert f"kept: /{name} was edited; a copy of that is /{name}.edited-1" in told()
    assert unit.with_name(f"{unit.name}.edited-1").read_text().endswith("# mine\n")


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="needs systemd-analyze")
def test_the_units_are_what_systemd_reads(tmp_path: Path) -> None:
    for unit in UNITS.glob("lanekeeper-host-drift.*"):
        text = unit.read_text().replace("/usr/bin/lanekeeper", "/bin/true")
        (tmp_path / unit.name).write_text(text)
    done = subprocess.run(
        ["systemd-analyze", "verify", *sorted(map(str, tmp_path.iterdir()))],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, [line for line in done.stderr.splitlines() if "drift" in line]) == (
        *(0, []),
    )


@pytest.mark.parametrize("named", [False, True], ids=["as it is kept", "by its name"])
def test_an_edit_that_is_not_to_be_kept_is_applied_and_no_drift_any_more(
    host: Drifting, named: bool
) -> None:
    kept = host.root / POLICY
    edit = kept.read_text().replace("persist: true", "persist: false")
    kept.write_text(edit)
    assert host.drift(1)
    assert host.call("apply", *(("--policy", str(kept)) if named else ())) == 0
    assert host.drift(0)["files"] == []
    assert kept.read_text() == edit
