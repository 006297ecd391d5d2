"""The policy that describes a host: a plan for it changes no device, and it says what is lost."""

from pathlib import Path

import pytest
import yaml

from host.cards import with_cards
from host.test_plans import HEALTHY, NAMES, host_of
from lanekeeper.cli.host.adopt import policy_text
from lanekeeper.domain.hostplan.action import (
    LoadModule,
    MakeDirectory,
    MakeLink,
    UpdateBootLoader,
    WriteFile,
)
from lanekeeper.domain.hostplan.adopt import adopt
from lanekeeper.domain.hostplan.plan import plan
from lanekeeper.host.facts import read_host
from lanekeeper.host.policy_file import load_policy
from lanekeeper.host.simulated import plant_lab
from lanekeeper.host.survey import read_survey
from lanekeeper.host.tree import plant
from lanekeeper.main import main

FILES = (LoadModule, MakeDirectory, MakeLink, UpdateBootLoader, WriteFile)
CARD = """\
+ card 0000:3b:00.0 ids=8086:1572 driver=i40e vf=154c total=64 vfs=4 netdev=ens4f0 vf_driver=iavf
captured/vf-settings = {"0000:3b:00.0":{"1":{"mac":"02:00:00:00:01:00","trust":true}}}
- etc/systemd
"""


@pytest.mark.parametrize("name", NAMES)
def test_a_plan_for_the_adopted_policy_changes_no_device(name: str, tmp_path: Path) -> None:
    root = host_of(name, tmp_path)
    text = policy_text(*adopt(read_survey(root)))
    found = plan(load_policy(text, "p"), read_host(root))
    assert found.refusals == ()
    assert [step.do for step in found.steps if not isinstance(step.do, FILES)] == []


def test_each_vf_is_described_and_what_a_reboot_takes_is_said(tmp_path: Path) -> None:
    root = plant(with_cards(HEALTHY, CARD), tmp_path)
    document, lost = adopt(read_survey(root))
    (entry,) = [each for each in document["pfs"] if each["pf"] == "0000:3b:00.0"]
    assert entry["vf_driver"] == "auto"
    assert entry["ranges"] == [{"vfs": "1-1", "mac": "02:00:00:00:01:00", "trust": True}]
    said = [str(each) for each in lost]
    assert any("VFs of 0000:3b:00.0" in each and "no max_vfs" in each for each in said)
    assert any("mac, trust of VFs of 0000:3b:00.0" in each for each in said)
    assert any("huge pages of 2M on node 0: set in sysfs only" in each for each in said)
    assert any("eswitch of 0000:e1:00.0: devlink keeps" in each for each in said)


def test_a_host_whose_unit_brings_all_back_loses_nothing(tmp_path: Path) -> None:
    assert adopt(read_survey(plant(HEALTHY, tmp_path)))[1] == ()


def test_the_policy_is_printed_or_written_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = str(plant_lab(tmp_path / "lab"))
    assert main(["host", "adopt", "--root", root]) == 0
    printed = capsys.readouterr().out
    assert [pf["vfs"] for pf in yaml.safe_load(printed)["pfs"]] == [7, 4, 7]
    file = tmp_path / "policy.yaml"
    assert main(["host", "adopt", "--root", root, "--output", str(file)]) == 0
    assert "would not survive a reboot: VFs of" in capsys.readouterr().out
    assert file.read_text() == printed
    assert main(["host", "adopt", "--root", root, "--output", str(file)]) != 0
    assert file.read_text() == printed


def test_a_command_line_that_repeats_itself_is_adopted_by_its_last_words(tmp_path: Path) -> None:
    root = plant(HEALTHY, tmp_path)
    given = "quiet iommu=off intel_iommu=on hugepages=1 iommu=pt intel_iommu=on hugepages=1"
    (root / "proc/cmdline").write_text(given)
    text = policy_text(*adopt(read_survey(root)))
    wanted = ("hugepages=1", "iommu=pt", "intel_iommu=on", "hugepages=1")
    assert load_policy(text, "p").kernel_arguments == wanted
