"""Each finding of the doctor on a captured tree that shows it, where the healthy one does not."""

import json
from pathlib import Path

import pytest

from host.derived import Case, cases, derive
from lanekeeper.domain.hostplan.findings.check import KINDS, RULES, check
from lanekeeper.domain.hostplan.findings.finding import Finding, Severity
from lanekeeper.domain.hostplan.findings.policy import KINDS as POLICY_KINDS
from lanekeeper.host.capture import capture
from lanekeeper.host.survey import read_survey
from lanekeeper.host.tree import plant
from lanekeeper.main import main

DOCTOR = Path(__file__).parent / "doctor"
HEALTHY = (DOCTOR / "healthy.tree").read_text()
CASES = list(cases(DOCTOR))
SPOKEN_OF = {"numa-node", "management-nic"}
"""What the doctor tells of a healthy host too, without anything to mend."""


def findings(tree: str, directory: Path) -> tuple[Finding, ...]:
    return check(read_survey(plant(tree, directory)))


def test_a_healthy_host_has_nothing_to_mend(tmp_path: Path) -> None:
    found = findings(HEALTHY, tmp_path)
    spoken = {f.id for f in found if f.severity is not Severity.OK}
    assert spoken == SPOKEN_OF


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_tree_shows_the_finding_and_the_healthy_one_does_not(case: Case, tmp_path: Path) -> None:
    healthy = {finding.id for finding in findings(HEALTHY, tmp_path / "healthy")}
    found = [
        finding
        for finding in findings(derive(HEALTHY, case.changes), tmp_path / "changed")
        if finding.id == case.finding
    ]
    assert (case.finding in healthy) is not case.shown
    assert bool(found) is case.shown
    for finding in found:
        assert finding.severity == case.severity
    for wanted in case.evidence:
        assert any(wanted in finding.evidence for finding in found), found


def test_a_name_that_sysfs_does_not_have_makes_no_vfs(tmp_path: Path) -> None:
    wrong = "etc/rc.local = #!/bin/sh\\necho 8 > /sys/class/net/ens1/device/sriov_numb"
    found = [one.id for one in findings(derive(HEALTHY, wrong), tmp_path)]
    assert "sysfs-name-misspelt" in found
    assert "vfs-from-rc-local" not in found


@pytest.mark.parametrize(
    ("words", "is_off"),
    [
        ("intel_iommu=off quiet intel_iommu=on", False),
        ("intel_iommu=on intel_iommu=off", True),
        ("iommu=off intel_iommu=on", True),
    ],
)
def test_what_a_later_argument_takes_back_switches_nothing_off(
    tmp_path: Path, words: str, is_off: bool
) -> None:
    tree = derive(HEALTHY, f"- sys/kernel/iommu_groups\nproc/cmdline = {words}")
    found = {one.id: one.evidence for one in findings(tree, tmp_path)}
    assert ("iommu-switched-off" in found) is is_off
    assert ("/proc/cmdline has" in found["iommu-off"]) is is_off


def test_every_kind_has_a_case_and_every_case_a_kind() -> None:
    known = {kind.id for kind in KINDS} - {kind.id for kind in POLICY_KINDS}
    assert {case.finding for case in CASES} == known
    assert len(known) >= 45


def test_ids_are_given_once_and_say_why_they_matter() -> None:
    assert len({kind.id for kind in KINDS}) == len(KINDS)
    for kind in KINDS:
        assert kind.meaning.endswith((".", "say.")), kind.id
        assert bool(kind.consequence) is (kind.severity is not Severity.OK), kind.id


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_rule_yields_its_own_kinds_with_evidence_consequence_and_fix(
    case: Case, tmp_path: Path
) -> None:
    survey = read_survey(plant(derive(HEALTHY, case.changes), tmp_path))
    for rule in RULES:
        kinds = {kind.id for kind in rule.kinds}
        for finding in rule.look(survey):
            assert finding.id in kinds
            assert finding.evidence
            assert finding.docs == f"docs/reference/findings.md#{finding.id}"
            well = finding.severity is Severity.OK or finding.id in SPOKEN_OF
            assert well or (finding.consequence and finding.fix), finding


@pytest.mark.parametrize("case", CASES[::7], ids=str)
def test_a_capture_of_a_tree_shows_the_same(case: Case, tmp_path: Path) -> None:
    root = plant(derive(HEALTHY, case.changes), tmp_path / "first")
    again = plant(capture(root), tmp_path / "second")
    assert check(read_survey(again)) == check(read_survey(root))


def summaries(changes: str, directory: Path) -> dict[str, str]:
    return {f.id: f.summary for f in findings(derive(HEALTHY, changes), directory)}


def test_a_misspelt_name_gets_its_near_miss(tmp_path: Path) -> None:
    line = "etc/rc.local = echo 8 > /sys/class/net/ethx/device/sriov_numb"
    said = summaries(line, tmp_path)["sysfs-name-misspelt"]
    assert said == "sysfs has no sriov_numb, sriov_numvfs is meant"


def test_max_vfs_8_of_an_82576_is_at_most_7(tmp_path: Path) -> None:
    said = summaries("etc/modprobe.d/igb.conf = options igb max_vfs=8", tmp_path)
    assert said["max-vfs-too-many"] == "max_vfs is 8, and the card has at most 7"


def test_bus_numbers_tell_how_many_vfs_fit(tmp_path: Path) -> None:
    base = "sys/devices/pci0000:20/0000:20:00.0/0000:21:00.0"
    said = summaries(f"{base}/sriov_offset = 250", tmp_path)
    assert said["vf-bus-numbers-missing"] == "bus numbers for 3 VFs of 7"


def test_another_way_to_keep_vfs_is_one(tmp_path: Path) -> None:
    unit = "- etc/systemd/system/multi-user.target.wants/lanekeeper-host.service\n"
    rule = 'ACTION=="add", KERNEL=="{}", ATTR{{sriov_numvfs}}="2"'
    rules = "\\n".join(rule.format(address) for address in ("0000:21:00.0", "0000:e1:00.0"))
    udev = f"etc/udev/rules.d/10-vf.rules = {rules}"
    assert "vfs-not-persistent" not in summaries(unit + udev, tmp_path / "both")
    one = udev.replace("0000:e1:00.0", "0000:e2:00.0")
    (lost,) = (
        finding
        for finding in findings(derive(HEALTHY, unit + one), tmp_path / "one")
        if finding.id == "vfs-not-persistent"
    )
    assert lost.subject == "0000:e1:00.0 (enp225s0np0)"


@pytest.mark.parametrize("name", ["mlx5_core", "mlx5-core"])
def test_both_dashes_of_a_module_are_one(tmp_path: Path, name: str) -> None:
    unit = "- etc/systemd/system/multi-user.target.wants/lanekeeper-host.service\n"
    option = f"etc/modprobe.d/mlx.conf = options {name} max_vfs=2\\noptions igb max_vfs=2\n"
    assert "vfs-not-persistent" not in summaries(unit + option, tmp_path / "file")
    boot = f"proc/cmdline = quiet {name}.max_vfs=2 igb.max_vfs=2\n"
    assert "vfs-not-persistent" not in summaries(unit + boot, tmp_path / "boot")


def test_people_read_errors_first_and_programs_everything(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tree = tmp_path / "host.tree"
    tree.write_text(derive(HEALTHY, "- dev/kvm\netc/modprobe.d/igb = x"))
    assert main(["host", "check", "--root", str(tree)]) == 1
    lines = capsys.readouterr().out.splitlines()
    heads = [line.split()[0] for line in lines if line[:1].isupper()]
    assert heads[0] == "ERROR"
    assert heads.index("WARNING") < heads.index("INFO") < heads.index("OK")
    main(["host", "check", "--root", str(tree), "--json"])
    shown = json.loads(capsys.readouterr().out)["findings"]
    first = next(finding for finding in shown if finding["id"] == "kvm-missing")
    assert set(first) == {
        "id",
        "severity",
        "subject",
        "summary",
        "evidence",
        "consequence",
        "fix",
        "docs",
    }


def test_an_argument_that_a_later_one_overrules_is_not_pending(tmp_path: Path) -> None:
    configured = "intel_iommu=off intel_iommu=on iommu=pt"
    settings = f'etc/default/grub = GRUB_CMDLINE_LINUX="{configured}"'
    tree = derive(HEALTHY, f"{settings}\nproc/cmdline = root=/dev/vda1 {configured}")
    assert "reboot-pending" not in {finding.id for finding in findings(tree, tmp_path)}


def test_an_amd_cpu_beside_intels_iommu_is_told_to_ask_for_it(tmp_path: Path) -> None:
    changes = "- sys/kernel/iommu_groups\nproc/cpuinfo = flags : fpu svm"
    found = findings(derive(HEALTHY, changes), tmp_path)
    (off,) = [finding for finding in found if finding.id == "iommu-off"]
    assert off.fix == "kernel_arguments: [intel_iommu=on, iommu=pt] in the policy"
