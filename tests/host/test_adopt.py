"""The policy that describes a host: a plan for it changes no device, and it says what is lost."""

import json
from dataclasses import replace
from itertools import pairwise
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
    ReplaceText,
    RunProgram,
    UpdateBootLoader,
    WriteFile,
)
from lanekeeper.domain.hostplan.adoption.adoption import adopt
from lanekeeper.domain.hostplan.adoption.vf import ranges_of
from lanekeeper.domain.hostplan.plan import plan
from lanekeeper.domain.pci.address import PciAddress
from lanekeeper.domain.pci.holder import Holder, HolderKind
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
    text = policy_text(adopt(read_survey(root)))
    found = plan(load_policy(text, "p"), read_host(root))
    assert found.refusals == ()
    assert [step.do for step in found.steps if not isinstance(step.do, FILES)] == []


def test_each_vf_is_described_and_what_a_reboot_takes_is_said(tmp_path: Path) -> None:
    root = plant(with_cards(HEALTHY, CARD), tmp_path)
    found = adopt(read_survey(root))
    document, lost = found.document, found.lost
    (entry,) = [each for each in document["pfs"] if each["pf"] == "0000:3b:00.0"]
    assert entry["vf_driver"] == "auto"
    assert entry["ranges"] == [{"vfs": 1, "mac": "02:00:00:00:01:00", "trust": True}]
    said = [str(each) for each in lost]
    assert any("VFs of 0000:3b:00.0" in each and "no max_vfs" in each for each in said)
    assert any("mac, trust of VFs of 0000:3b:00.0" in each for each in said)
    assert any("huge pages of 2M on node 0: set in sysfs only" in each for each in said)
    assert any("eswitch of 0000:e1:00.0: devlink keeps" in each for each in said)


def test_a_host_whose_unit_brings_all_back_loses_nothing(tmp_path: Path) -> None:
    assert adopt(read_survey(plant(HEALTHY, tmp_path))).lost == ()


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
    given = "quiet iommu=off intel_iommu=on hugepages=1 iommu=pt intel_iommu=on hugepages=2"
    (root / "proc/cmdline").write_text(given)
    text = policy_text(adopt(read_survey(root)))
    # Of counts of huge pages the kernel takes the first.
    wanted = ("hugepages=1", "iommu=pt", "intel_iommu=on")
    assert load_policy(text, "p").kernel_arguments == wanted


def adopted(root: Path) -> tuple[str, list[str]]:
    """Return the policy's text, and the notes, of the host below *root*; a plan for it is fine."""
    found = adopt(read_survey(root))
    text = policy_text(found)
    planned = plan(load_policy(text, "p"), read_host(root))
    assert planned.refusals == ()
    files = (*FILES, ReplaceText, RunProgram)
    assert [step.do for step in planned.steps if not isinstance(step.do, files)] == []
    return text, [str(note) for note in found.notes]


def host(directory: Path, cmdline: str = "", changes: str = "") -> Path:
    root = plant(with_cards(HEALTHY, changes), directory)
    if cmdline:
        (root / "proc/cmdline").write_text(f"quiet {cmdline}\n")
    return root


@pytest.mark.parametrize(
    ("cmdline", "wanted", "wrong"),
    [
        ("intel_iommu=pt", ("intel_iommu=on", "iommu=pt"), "intel_iommu=pt"),
        ("iommu=pt intel_iommu=pt", ("intel_iommu=on", "iommu=pt"), "intel_iommu=pt"),
        ("amd_iommu=pt", ("iommu=pt",), "amd_iommu=pt"),
    ],
)
def test_a_spelling_that_the_kernel_passes_over_is_adopted_as_it_is_meant(
    tmp_path: Path, cmdline: str, wanted: tuple[str, ...], wrong: str
) -> None:
    text, notes = adopted(host(tmp_path, cmdline))
    assert load_policy(text, "p").kernel_arguments == wanted
    why = f"in place of {wrong}, which the kernel passes over"
    assert f"  # {why}\n  - {wanted[0]}\n" in text
    assert f"kernel argument {wanted[0]}: {why}" in notes


def test_without_a_known_boot_loader_what_is_meant_is_set_by_hand(tmp_path: Path) -> None:
    text, notes = adopted(host(tmp_path, "intel_iommu=pt iommu=pt", "- etc/default/grub"))
    assert load_policy(text, "p").kernel_arguments == ("iommu=pt",)
    assert any("intel_iommu=on iommu=pt is meant, which has to be set by hand" in n for n in notes)


@pytest.mark.parametrize(
    ("argument", "risk"),
    [
        ("intremap=off", "interrupts are not remapped: a guest that owns a device can inject"),
        ("pcie_acs_override=downstream,multifunction", "IOMMU groups look separate that are not"),
        ("pci=realloc,disable_acs_redir=0000:00:01.0", "IOMMU groups look separate that are not"),
        ("vfio_iommu_type1.allow_unsafe_interrupts=1", "a guest that owns a device can inject"),
        ("vfio-pci.ids=8086:10c9", "vfio-pci takes every device of these kinds"),
    ],
)
def test_a_dangerous_argument_is_told_and_commented(
    tmp_path: Path, argument: str, risk: str, capsys: pytest.CaptureFixture[str]
) -> None:
    root = host(tmp_path / "host", f"intel_iommu=on {argument}")
    text, notes = adopted(root)
    assert argument in load_policy(text, "p").kernel_arguments
    assert [note for note in notes if note.startswith(f"kernel argument {argument}: {risk}")]
    above = next(before for before, line in _pairs(text) if argument in line)
    assert above.startswith(f"  # {risk}")
    file = tmp_path / "policy.yaml"
    assert main(["host", "adopt", "--root", str(root), "--output", str(file)]) == 0
    assert f"to know: kernel argument {argument}: {risk}" in capsys.readouterr().out


def _pairs(text: str) -> list[tuple[str, str]]:
    lines = text[text.index("kernel_arguments:") :].splitlines()
    return list(pairwise(lines))


def test_what_keeps_the_iommu_off_or_fits_no_policy_is_left_out_and_told(tmp_path: Path) -> None:
    cmdline = "iommu=pt amd_iommu=off pci=resource_alignment=20@0000:21:00.0;0000:41:00.0"
    text, notes = adopted(host(tmp_path, cmdline))
    assert load_policy(text, "p").kernel_arguments == ("iommu=pt",)
    assert any("amd_iommu=off: left out: it keeps the IOMMU off" in note for note in notes)
    assert any("has characters that a policy does not take" in note for note in notes)


def test_dangerous_module_options_are_told_where_they_stand(tmp_path: Path) -> None:
    options = "etc/modprobe.d/v.conf = options vfio_iommu_type1 allow_unsafe_interrupts=1"
    active = "sys/module/vfio/parameters/enable_unsafe_noiommu_mode = Y"
    _, notes = adopted(host(tmp_path, changes=f"{options}\n{active}"))
    assert any(n.startswith("/etc/modprobe.d/v.conf:1 has") and "can inject" in n for n in notes)
    assert any("enable_unsafe_noiommu_mode is Y: devices are given away" in n for n in notes)


HELD = {
    "0": {"mac": "02:00:00:00:01:00", "trust": True},
    "1": {"vlan": 7, "qos": 3, "spoofchk": False, "link_state": 1, "max_tx_rate": 100},
}
VFIO_CARD = f"""\
{CARD.splitlines()[0].replace("iavf", "vfio-pci")}
captured/vf-settings = {json.dumps({"0000:3b:00.0": HELD})}
"""


def test_settings_of_vfs_that_wait_on_vfio_are_kept(tmp_path: Path) -> None:
    text, notes = adopted(host(tmp_path, changes=VFIO_CARD))
    (entry,) = [one for one in yaml.safe_load(text)["pfs"] if one["pf"] == "0000:3b:00.0"]
    driver = {"vf_driver": "vfio-pci"}
    assert entry["ranges"] == [
        {"vfs": 0, **driver, "mac": "02:00:00:00:01:00", "trust": True},
        {"vfs": 1, **driver, "spoofchk": False},
        {"vfs": "2-3", **driver},
    ]
    for told in ("VLAN", "link state", "transmit rates"):
        assert any(note.startswith(f"{told} of VFs of 0000:3b:00.0: ") for note in notes), told
    assert any("7 with priority 3 of VF 1: a policy has no key for it" in note for note in notes)


def test_settings_of_a_vf_that_a_guest_has_are_that_guests_and_named(tmp_path: Path) -> None:
    root = host(tmp_path, changes=VFIO_CARD)
    held = {PciAddress.parse("0000:3b:10.0"): Holder(HolderKind.GUEST, "web-1")}
    survey = read_survey(root)
    found = adopt(replace(survey, host=replace(survey.host, holders=held)))
    (entry,) = [one for one in found.document["pfs"] if one["pf"] == "0000:3b:00.0"]
    assert entry["ranges"][0] == {"vfs": 0, "vf_driver": "vfio-pci"}
    why = "left out, since they are those of whoever has it: MAC 02:00:00:00:01:00, trust on"
    assert f"settings of VF 0000:3b:10.0 (guest web-1): {why}" in [*map(str, found.notes)]


def test_neighbours_with_one_address_are_no_range_that_counts_up() -> None:
    wish = {"vf_driver": "none", "mac": "02:00:00:00:01:00"}
    assert [one["vfs"] for one in ranges_of([(0, wish), (1, wish)], "none")] == [0, 1]


def test_what_is_set_aside_is_named(tmp_path: Path) -> None:
    _, notes = adopted(host_of("garbage-attributes", tmp_path))
    (note,) = [note for note in notes if note.startswith("0000:3b:00.0: is set aside, since ")]
    assert "sriov_totalvfs is 'many'" in note


IGB = """\
+ card 0000:3b:00.0 ids=8086:10c9 driver=igb vf=10ca total=7 netdev=ens3f0
etc/modprobe.d/igb.conf = options igb max_vfs=2
"""


def test_max_vfs_is_taken_over_by_counts_and_said(tmp_path: Path) -> None:
    root = host(tmp_path, "intel_iommu=on igb.max_vfs=9", IGB)
    text, notes = adopted(root)
    (entry,) = [one for one in yaml.safe_load(text)["pfs"] if one["pf"] == "0000:21:00.0"]
    assert entry["vfs"] == 2
    told = [note for note in notes if "max_vfs" in note]
    assert len(told) == 2
    assert all("the policy has the 2 VFs of 0000:21:00.0 instead" in note for note in told)
    assert 'add {pf: "0000:3b:00.0", vfs: 2} to pfs' in told[0]
    assert 'add {pf: "0000:3b:00.0", vfs: 7} to pfs' in told[1]
    steps = plan(load_policy(text, "p"), read_host(root)).steps
    assert [s.do.path for s in steps if isinstance(s.do, ReplaceText)] == [
        "etc/modprobe.d/igb.conf"
    ]


def test_max_vfs_of_a_driver_without_vfs_stays_and_is_said(tmp_path: Path) -> None:
    card = "+ card 0000:3b:00.0 ids=8086:10fb driver=ixgbe vf=10ed total=63 netdev=ens3f0"
    grub = 'etc/default/grub = GRUB_CMDLINE_LINUX="intel_iommu=on iommu=pt ixgbe.max_vfs=4"'
    _, notes = adopted(host(tmp_path, changes=f"{card}\n{grub}"))
    (note,) = [note for note in notes if "max_vfs" in note]
    assert note.startswith("kernel argument ixgbe.max_vfs=4 of the next boot: it stays as it is")
    assert 'add {pf: "0000:3b:00.0", vfs: 4} to pfs' in note


@pytest.mark.parametrize("entry", ["every", "separate"])
def test_what_an_earlier_policy_wrote_is_adopted(tmp_path: Path, entry: str) -> None:
    root = plant("etc/grub.d/10_linux = #!/bin/sh\n", plant_lab(tmp_path))
    policy = tmp_path / "policy.yaml"
    policy.write_text(
        "version: 1\nkernel_arguments: [isolcpus=4-7, hugepagesz=2M, hugepages=4, hugepagesz=1G, "
        "hugepages=4]\nmodule_options: {igb: [debug=1, x=2]}\n"
        f"blacklist: [igbvf]\npersist: false\nboot: {{entry: {entry}}}\n"
    )
    assert main(["host", "apply", "--simulate", str(root), "--policy", str(policy)]) == 0
    found = adopt(read_survey(root)).document
    assert found["module_options"] == {"igb": ["debug=1", "x=2"]}
    assert found["blacklist"] == ["igbvf"]
    assert found["kernel_arguments"][-5:] == [
        *("isolcpus=4-7", "hugepagesz=2M", "hugepages=4", "hugepagesz=1G", "hugepages=4"),
    ]
    assert found.get("boot", {"entry": "every"}) == {"entry": entry}
    text = policy_text(adopt(read_survey(root)))
    steps = plan(load_policy(f"{text}persist: false\n", "p"), read_host(root)).steps
    assert steps == ()


def test_options_that_no_policy_takes_are_noted(tmp_path: Path) -> None:
    written = r"# Written by `lanekeeper host apply`\noptions igb max_vfs=2 debug=1\n"
    root = plant(f"etc/modprobe.d/lanekeeper.conf = {written}\n", plant_lab(tmp_path))
    found = adopt(read_survey(root))
    assert found.document["module_options"] == {"igb": ["debug=1"]}
    assert any("options igb max_vfs=2" in str(note) for note in found.notes)


def test_a_file_of_the_operators_in_that_place_is_not_adopted(tmp_path: Path) -> None:
    mine = r"options igb debug=1\nblacklist igbvf\n"
    root = plant(f"etc/modprobe.d/lanekeeper.conf = {mine}\n", plant_lab(tmp_path))
    found = adopt(read_survey(root)).document
    assert found.keys().isdisjoint({"module_options", "blacklist"})
