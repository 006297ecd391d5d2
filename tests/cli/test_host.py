import json
import os
import subprocess
import sys
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from host.planted import CAPTURED_LAB, SAMPLE_POLICY
from lanekeeper import __version__, crash
from lanekeeper.host.simulated import lab_tree
from lanekeeper.host.tree import plant
from lanekeeper.main import main

POLICY = ("--policy", str(SAMPLE_POLICY))


def call(*arguments: str) -> int:
    """Run ``lanekeeper host`` with *arguments*; return its exit code."""
    return main(["host", *arguments])


@pytest.fixture
def machine(tmp_path: Path) -> tuple[str, str]:
    return "--simulate", str(tmp_path / "machine")


def said(capsys: pytest.CaptureFixture[str]) -> Any:
    return json.loads(capsys.readouterr().out)


def test_the_way_from_a_bare_host_and_back(
    machine: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert call("check", *machine) == 0
    assert "VFs 0 of 7" in capsys.readouterr().out
    assert call("plan", *machine, *POLICY) == 1
    assert "create 7 VFs on 0000:21:00.0" in capsys.readouterr().out
    assert call("apply", *machine, *POLICY) == 0
    assert "Change 1 is applied" in capsys.readouterr().out
    assert call("plan", *machine) == 0  # the policy is kept on the host
    out = capsys.readouterr().out
    assert "Nothing to do" in out
    assert '"physical_network": "physnet1"' in out
    assert call("apply", *machine) == 0
    assert call("check", *machine) == 0
    assert "policy-holds" in capsys.readouterr().out
    assert call("rollback", *machine, "--dry-run") == 0
    assert "remove VFs of 0000:21:00.0" in capsys.readouterr().out
    assert call("rollback", *machine) == 0
    assert "is taken back" in capsys.readouterr().out
    assert call("rollback", *machine) == 0
    assert "Nothing to take back" in capsys.readouterr().out
    assert call("plan", *machine, *POLICY) == 1


def test_json_has_the_same_facts(
    machine: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert call("apply", *machine, *POLICY, "--json") == 0
    applied = said(capsys)
    outcome = {"change": 1, "course": "applied", "failure": "", "left": [], "kept": []}
    outcome |= {"confirm_by": None, "is_past": False}
    assert applied["outcome"] == outcome
    assert applied["steps"][0]["do"] == {
        "type": "SetAutoprobe",
        "pf": "0000:21:00.0",
        "enabled": False,
    }
    call("show", *machine, "--json")
    devices = {device["address"]: device for device in said(capsys)["devices"]}
    vf = devices["0000:21:10.2"]
    assert (vf["vendor_id"], vf["product_id"], vf["parent"]) == ("8086", "10ca", "0000:21:00.0")
    assert (vf["dev_type"], vf["vf_index"], vf["numa_node"]) == ("type-VF", 1, 0)
    call("plan", *machine, "--json")
    plan = said(capsys)
    assert (plan["steps"], plan["refusals"]) == ([], [])
    assert len(plan["nova_conf"]) == 3
    assert plan["sriov_nic"] == ["physical_device_mappings = physnet1:ens1"]
    call("check", *machine, "--json")
    assert set(said(capsys)["findings"][0]) == {
        *("id", "severity", "subject", "summary"),
        *("evidence", "consequence", "fix", "docs"),
    }
    call("rollback", *machine, "--json")
    assert said(capsys)["outcome"]["course"] == "taken back"


def test_vfs_stand_below_their_pf(
    machine: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    call("apply", *machine, *POLICY)
    capsys.readouterr()
    call("show", *machine)
    lines = capsys.readouterr().out.splitlines()
    at = next(number for number, line in enumerate(lines) if line.startswith("0000:21:00.0"))
    assert lines[at].split()[1:3] == ["PF", "7/7"]
    assert all(line.startswith("├─ 0000:21:1") for line in lines[at + 1 : at + 7])
    assert lines[at + 7].startswith("└─ 0000:21:11.4")
    assert not any("1b36:000c" in line for line in lines)
    call("show", *machine, "--bridges")
    assert "1b36:000c" in capsys.readouterr().out


def test_a_filter_chooses_or_says_what_is_near(
    machine: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    call("apply", *machine, *POLICY)

    def shown(*words: str) -> set[str]:
        capsys.readouterr()
        assert call("show", *machine, "--json", *words) == 0
        return {device["address"] for device in said(capsys)["devices"]}

    card = {"0000:41:00.0", *(f"0000:41:1{vf // 4}.{vf % 4 * 2}" for vf in range(7))}
    assert shown("--pf", "0000:41:00.0") == shown("--pf", "41:00.0") == card
    assert shown("--netdev", "ens2") == card
    assert shown("--address", "41:11.*") == {f"0000:41:11.{n}" for n in (0, 2, 4)}
    for words, told in (
        (("--pf", "0000:41:10.0"), "that is VF 0 of 0000:41:00.0: --pf 0000:41:00.0"),
        (("--pf", "0000:00:02.0"), "what is there has no SR-IOV; there are PFs such as"),
        (("--pf", "x"), "'x' is not a PCI address"),
        (("--netdev", "ens22"), "there are interfaces such as ens2"),
        (("--address", "0000:43:00.0"), "there are functions such as 0000:41:00.0"),
    ):
        assert call("show", *machine, *words) != 0
        assert told in capsys.readouterr().err


def test_a_capture_is_looked_at_and_planned_for(capsys: pytest.CaptureFixture[str]) -> None:
    where = ("--root", str(CAPTURED_LAB))
    assert call("check", *where) == 0
    assert call("show", *where) == 0
    assert call("plan", *where, *POLICY) == 1
    assert "create 7 VFs on 0000:41:00.0" in capsys.readouterr().out
    assert call("apply", *where, *POLICY, "--dry-run") == 1


@pytest.mark.parametrize("verb", ["apply", "rollback"])
def test_a_capture_is_never_changed(
    verb: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    policy = POLICY if verb == "apply" else ()
    for where in (str(CAPTURED_LAB), str(plant("proc/cpuinfo =", tmp_path))):
        assert call(verb, "--root", where, *policy) == 2
        captured = capsys.readouterr().err
        assert "error: --root is a captured machine, which cannot be changed" in captured
        assert "hint: leave --root out" in captured


def test_check_is_a_no_where_something_is_an_error(tmp_path: Path) -> None:
    assert call("check", "--root", str(plant("proc/cpuinfo =", tmp_path))) == 1


@pytest.mark.parametrize(
    "verb", ["check", "show", "plan", "apply --dry-run", "rollback --dry-run", "capture -"]
)
def test_what_is_no_machine_is_not_looked_at(
    verb: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "etc.tree").write_text("etc/hostname = host1\n")
    missing = "no captured machine: neither sys nor proc of a machine is in it"
    for where, message in (
        (tmp_path / "missing", "No such file or directory"),
        (tmp_path / "empty", missing),
        (tmp_path / "etc.tree", missing),
        (Path("/dev/null"), missing),
        (Path("/proc"), missing),  # it has a directory named sys
    ):
        assert call(*verb.split(), "--root", str(where)) == 2
        said = capsys.readouterr()
        assert said.out == ""
        assert f"error: --root {where}: {message}" in said.err


def test_a_real_machine_is_not_taken_for_a_simulated_one(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert call("rollback", "--dry-run", "--simulate", "/") == 2
    assert "it holds a real machine" in capsys.readouterr().err


def test_a_simulated_machine_is_captured(
    tmp_path: Path, machine: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    call("apply", *machine, *POLICY)
    capsys.readouterr()
    assert call("capture", *machine, str(tmp_path / "host.tree")) == 0
    assert call("plan", "--root", str(tmp_path / "host.tree"), *POLICY) == 0
    assert "Nothing to do" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("policy", "message"),
    [
        ("version: 1\npfs: 7\n", "policy.yaml:2: pfs: is 7, not a list"),
        ("versoin: 1\n", "policy.yaml:1: versoin: unknown key"),
        ("{", "policy.yaml:1:2: the file ends where"),
    ],
)
@pytest.mark.parametrize("verb", ["check", "plan", "apply"])
def test_a_wrong_policy_is_a_usage_error_and_changes_nothing(
    verb: str,
    policy: str,
    message: str,
    tmp_path: Path,
    machine: tuple[str, str],
    capsys: pytest.CaptureFixture[str],
) -> None:
    path = tmp_path / "policy.yaml"
    path.write_text(policy)
    assert call(verb, *machine, "--policy", str(path)) == 2
    assert message in capsys.readouterr().err
    assert not Path(machine[1], "var").exists()


def test_a_refusal_changes_nothing(
    tmp_path: Path, machine: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "policy.yaml"
    path.write_text("version: 1\npfs:\n  - {pf: ens1, vfs: 7}\n  - {pf: ens2, vfs: 70}\n")
    assert call("apply", *machine, "--policy", str(path)) == 1
    out = capsys.readouterr().out
    assert "70 VFs asked, the PF can have 7 (vfs-above-total)" in out
    assert "Nothing will be changed" in out
    assert not Path(machine[1], "var").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("plan", "--root", "/no/such/place", *POLICY), "No such file or directory"),
        (("check", "--root", str(SAMPLE_POLICY)), "no captured tree: line"),
        (("plan", "--root", str(CAPTURED_LAB)), "no policy is given"),
        (("plan", "--simulate", "/proc", *POLICY), "it holds something else"),
        (("plan", "--simulate", str(SAMPLE_POLICY), *POLICY), "File exists"),
        (("capture", "/no/such/place"), "cannot write /no/such/place"),
    ],
)
def test_wrong_usage_says_what_would_be_right(
    arguments: tuple[str, ...], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(*arguments) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("driver", "meant"), [("igbv", "igbvf"), ("vfio-pcie", "vfio-pci"), ("nonsense", "")]
)
def test_a_driver_that_no_kernel_has_is_refused_in_simulation_too(
    driver: str,
    meant: str,
    machine: tuple[str, str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    policy = tmp_path / "policy.yaml"
    entry = f"pfs:\n  - {{pf: ens1, vfs: 2, vf_driver: {driver}}}\n"
    policy.write_text(f"version: 1\n{entry}devices:\n  - {{device: '22:00.0', driver: {driver}}}\n")
    assert call("plan", *machine, "--policy", str(policy)) == 1
    out = capsys.readouterr().out
    assert f"vf_driver is {driver}, and kernel 6.12.95+deb12-amd64 has no such module" in out
    assert (f"did you mean {meant}?" in out) == bool(meant)
    assert call("apply", *machine, "--policy", str(policy)) == 1
    assert call("show", *machine, "--json") == 0
    assert '"vf_index": 0' not in capsys.readouterr().out


def test_root_and_simulate_exclude_each_other(machine: tuple[str, str]) -> None:
    with pytest.raises(SystemExit) as caught:
        call("check", *machine, "--root", "/")
    assert caught.value.code == 2


def test_apply_goes_on_with_what_a_dead_one_left(
    machine: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    call("apply", *machine, *POLICY)
    path = Path(machine[1], "var/lib/lanekeeper-host/changes/000001.jsonl")
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(lines[:-2]))  # the last step was begun; nobody knows of its end
    capsys.readouterr()
    assert call("apply", *machine) == 0
    out = capsys.readouterr().out
    assert "link /etc/systemd/system/multi-user.target.wants" in out
    assert "Nothing to do" in out


def test_a_machine_is_captured_with_a_warning(
    tmp_path: Path, machine: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    call("check", *machine)
    file = tmp_path / "host.tree"
    capsys.readouterr()
    assert call("capture", str(file), "--root", machine[1]) == 0
    out = capsys.readouterr().out
    assert "MAC addresses, serial numbers" in out
    assert call("check", "--root", str(file)) == 0
    assert call("capture", "-", "--root", machine[1]) == 0
    assert capsys.readouterr().out.endswith(file.read_text())
    whole = file.read_text()
    assert call("capture", str(file), "--root", machine[1]) == 2
    assert "is there already" in capsys.readouterr().err
    file.write_text("mine")
    assert call("capture", str(file), "--root", machine[1], "--force") == 0
    assert file.read_text() == whole


@pytest.mark.parametrize("kept", [0.02, 0.1, 0.5, 0.9999])
def test_a_capture_that_was_cut_off_is_no_empty_machine(
    tmp_path: Path, machine: tuple[str, str], capsys: pytest.CaptureFixture[str], kept: float
) -> None:
    file = tmp_path / "host.tree"
    call("check", *machine)
    call("capture", str(file), "--root", machine[1])
    text = file.read_text()
    cut = text[: int(len(text) * kept)].rstrip("\n")  # within a line, wherever that is
    lines = text.splitlines(keepends=True)
    del lines[len(lines) // 2]
    for damaged, said in (
        (cut, "it is cut off in line"),
        (text[: text.index("sys/bus/pci/devices")], "it is cut off: after"),
        ("".join(lines), "it is damaged: it has"),
    ):
        file.write_text(damaged)
        capsys.readouterr()
        assert call("show", "--root", str(file)) == 2
        assert said in capsys.readouterr().err


@pytest.mark.skipif(os.geteuid() == 0, reason="root may change this machine")
def test_changing_this_machine_needs_root(capsys: pytest.CaptureFixture[str]) -> None:
    assert call("apply", *POLICY) == 1
    assert "needs root" in capsys.readouterr().err


def test_the_shipped_tree_is_the_simulated_machines(machine: tuple[str, str]) -> None:
    call("check", *machine)
    assert Path(machine[1], "sys/class/net/ens1").exists()
    assert lab_tree().startswith("# lanekeeper tree 1")


@pytest.mark.parametrize("verb", ["check", "show", "plan"])
def test_a_directory_that_is_no_machine_is_refused(
    verb: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for root, said in ((tmp_path, "neither sys nor proc"), (tmp_path / "none", "No such file")):
        assert call(verb, "--root", str(root)) == 2
        assert said in capsys.readouterr().err


def test_changes_are_listed_and_walked_back(
    machine: tuple[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call("changes", *machine) == 0
    assert capsys.readouterr().out == "No change was made here.\n"
    call("apply", *machine, *POLICY)
    second = tmp_path / "second.yaml"
    second.write_text('version: 1\npfs:\n  - {pf: "0000:21:00.0", vfs: 3}\npersist: false\n')
    call("apply", *machine, "--policy", str(second))
    capsys.readouterr()
    assert call("changes", *machine, "--json") == 0
    one, two = said(capsys)["changes"]
    assert (one["id"], one["course"], one["undoable"], one["done"]) == (
        *(1, "applied", True),
        one["steps"],
    )
    assert one["policy"] == sha256(SAMPLE_POLICY.read_bytes()).hexdigest()
    assert two["policy"] == sha256(second.read_bytes()).hexdigest()
    assert one["version"] == __version__
    assert call("rollback", *machine, "--to", "0", "--dry-run", "--json") == 0
    assert len(said(capsys)["undo"]) > two["steps"]
    assert call("rollback", *machine, "--to", "1") == 0
    assert "Change 2 is taken back" in capsys.readouterr().out
    assert call("rollback", *machine, "--to", "1") == 0
    assert "no change after 1 stands" in capsys.readouterr().out
    assert call("rollback", *machine, "--to", "7") == 1
    assert "there is no change 7" in capsys.readouterr().err
    assert call("rollback", *machine, "--to", "0", "--json") == 0
    assert [outcome["change"] for outcome in said(capsys)["outcomes"]] == [1]
    call("changes", *machine)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["ID", "BEGAN", "COURSE", "STEPS", "POLICY", "VERSION", "UNDO"]
    assert [line.split()[-1] for line in lines[1:]] == ["no", "no"]


def test_a_damaged_journal_is_listed_as_such(
    machine: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    call("apply", *machine, *POLICY)
    path = Path(machine[1], "var/lib/lanekeeper-host/changes/000001.jsonl")
    path.write_text("what\n")
    capsys.readouterr()
    assert call("changes", *machine) == 1
    out = capsys.readouterr().out
    assert "damaged" in out
    assert f"change 1: {path} is damaged" in out
    assert call("apply", *machine) == 1
    assert "move the file away" in capsys.readouterr().err


def test_a_damaged_journal_does_not_keep_check_from_looking(
    machine: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    call("apply", *machine, *POLICY)
    (Path(machine[1]) / "var/lib/lanekeeper-host/changes/000001.jsonl").write_text("{}\n")
    capsys.readouterr()
    assert call("check", *machine) == 1
    out = capsys.readouterr().out
    assert "change-unreadable" in out
    assert "move the file away to go on without this change's undo" in out


def test_each_stage_is_numbered_and_json_is_alone(
    machine: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    call("apply", *machine, *POLICY)
    told = [line for line in capsys.readouterr().out.splitlines() if line.startswith("[")]
    count = len(told)
    assert told[0] == f"[ 1/{count}] keep drivers from new VFs of 0000:21:00.0"
    assert told[-1].startswith(f"[{count}/{count}] ")
    call("rollback", *machine)
    assert f"[{count}/{count}] undo: remove /etc" in capsys.readouterr().out
    call("apply", *machine, *POLICY, "--json")
    parts = {"resumed", "steps", "refusals", "left_out", "warnings", "pending", "states", "outcome"}
    assert set(said(capsys)) == parts


def test_var_that_cannot_be_written_changes_nothing(
    machine: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    call("check", *machine)
    Path(machine[1], "var").write_text("a file in the way, as root may write read-only modes")
    capsys.readouterr()
    assert call("apply", *machine, *POLICY) == 1
    assert "refused: /var: there is a regular file" in capsys.readouterr().out
    Path(machine[1], "var").unlink()
    assert call("plan", *machine, *POLICY) == 1
    assert "create 7 VFs on 0000:21:00.0" in capsys.readouterr().out


def test_a_reader_that_goes_away_does_not_stop_a_change(machine: tuple[str, str]) -> None:
    program = [sys.executable, "-m", "lanekeeper.main", "host"]
    reading, writing = os.pipe()
    os.close(reading)
    try:
        done = subprocess.run(
            [*program, "apply", *machine, *POLICY], stdout=writing, check=False, timeout=60
        )
    finally:
        os.close(writing)
    assert done.returncode == 1
    assert call("plan", *machine, *POLICY) == 0


def _cut_off(machine: tuple[str, str]) -> None:
    """Have an apply of the sample policy killed in the middle."""
    words = [sys.executable, "-m", "lanekeeper.main", "host", "apply", *machine, *POLICY]
    environment = {**os.environ, crash.VARIABLE: "host-journal-write:9"}
    ended = subprocess.run(words, env=environment, capture_output=True, check=False)
    assert ended.returncode < 0 or ended.returncode == 137, ended


def test_a_change_that_was_cut_off_is_told_and_goes_on(
    machine: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    call("check", *machine)
    _cut_off(machine)
    capsys.readouterr()
    assert call("plan", *machine, *POLICY) == 1
    assert capsys.readouterr().out.startswith("change 1 was cut off; `lanekeeper host apply` goes")
    assert call("check", *machine, *POLICY) == 1
    found = capsys.readouterr().out
    assert "change-unfinished" in found
    assert "change 1 was cut off; `lanekeeper host apply` goes on with it first" in found
    assert call("apply", *machine, *POLICY) == 0
    told = capsys.readouterr()
    assert "change 1 was cut off" in told.err
    assert call("plan", *machine) == 0


def test_a_change_that_was_cut_off_goes_back_before_another_policy(
    machine: tuple[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    call("check", *machine)
    _cut_off(machine)
    text = 'version: 1\npersist: false\npfs:\n  - {pf: "0000:41:00.0", vfs: %d}\n'
    many, one = tmp_path / "many.yaml", tmp_path / "one.yaml"
    many.write_text(text % 8)
    one.write_text(text % 1)
    capsys.readouterr()
    assert call("apply", *machine, "--policy", str(many)) == 1
    told = capsys.readouterr()
    assert "(it is of another policy); `lanekeeper host apply` takes it back first" in told.out
    assert "vfs-above-total" in told.out
    assert call("apply", *machine, "--policy", str(one)) == 0
    assert "takes it back first" in capsys.readouterr().err
    devices = Path(machine[1]) / "sys/bus/pci/devices"
    counts = [
        (devices / pf / "sriov_numvfs").read_text().strip()
        for pf in ("0000:21:00.0", "0000:41:00.0")
    ]
    assert counts == ["0", "1"]


def test_a_reader_that_goes_away_ends_it_quietly(machine: tuple[str, str]) -> None:
    words = [sys.executable, "-m", "lanekeeper.main", "host", "show", *machine]
    read, write = os.pipe()
    os.close(read)
    ended = subprocess.run(words, stdout=write, stderr=subprocess.PIPE, check=False)
    os.close(write)
    assert (ended.returncode, ended.stderr) == (1, b"")
