"""Arguments that would be written for nothing, and those that nothing wants any more."""

from __future__ import annotations

from pathlib import Path

import pytest

from host.boot.distribution import DEBIAN, RED_HAT_7, RED_HAT_9, SYSTEMD_BOOT, Distribution
from host.boot.distribution import policy as policy_of
from host.planted import simulated
from lanekeeper.domain.hostplan.offline import offline_plan
from lanekeeper.host.facts import read_host
from lanekeeper.main import main

LATER = "etc/default/grub.d/99-zz.cfg = {}\n"
INTEL, AMD = "proc/cpuinfo = flags : vmx", "proc/cpuinfo = flags : svm"
ARM = "proc/cpuinfo = Features : asimd"


def grub(arguments: str, cpu: str = "") -> str:
    line = f'A=1\\nGRUB_CMDLINE_LINUX="{arguments}"'
    other = 'GRUB_DEFAULT=0\\nGRUB_CMDLINE_LINUX_DEFAULT="quiet"\\nGRUB_CMDLINE_LINUX=""'
    assert other in DEBIAN
    return DEBIAN.replace(other, line) + f"{cpu}\n"


@pytest.mark.parametrize("is_image", [False, True])
@pytest.mark.parametrize(
    ("tree", "wanted", "off"),
    [
        (grub("iommu=off intremap=off"), ("intel_iommu=on", "iommu=pt"), "iommu=off"),
        (grub("iommu=off,pt"), ("intel_iommu=on",), "iommu=off,pt"),
        (grub("amd_iommu=off", AMD), ("iommu=pt",), "amd_iommu=off"),
        (grub("amd_iommu=off"), ("iommu=pt",), "amd_iommu=off"),
        (grub("intel_iommu=off", INTEL), ("iommu=pt",), "intel_iommu=off"),
    ],
)
def test_what_keeps_the_iommu_off_is_refused_with_its_line(
    tmp_path: Path, tree: str, wanted: tuple[str, ...], off: str, is_image: bool
) -> None:
    host = Distribution(tmp_path, tree)
    found = host.plan(*wanted)
    if is_image:
        found = offline_plan(policy_of(*wanted), read_host(tmp_path))
    (refusal,) = found.refusals
    assert refusal.code == "iommu-switched-off"
    assert refusal.reason.startswith(f"/etc/default/grub:2 has {off}, and nothing behind it")
    assert found.steps == ()
    assert refusal.fix.startswith(f"take {off} out there")
    assert ("intel_iommu=on" in refusal.fix) == off.startswith("intel")


@pytest.mark.parametrize(
    ("tree", "wanted"),
    [
        (grub("intel_iommu=off", INTEL), ("intel_iommu=on", "iommu=pt")),  # the last counts
        (grub("amd_iommu=off", INTEL), ("iommu=pt",)),
        (grub("intel_iommu=off", AMD), ("iommu=pt",)),
        (grub("iommu=off", ARM), ("iommu.passthrough=1",)),
        (grub("iommu=nopt"), ("iommu=pt",)),
        (grub("iommu=off"), ("quiet",)),
        (SYSTEMD_BOOT.replace("iommu=nopt", "iommu=off"), ("iommu=pt",)),  # which is replaced there
        (RED_HAT_9.replace("quiet", "iommu=off"), ("iommu=pt",)),
    ],
)
def test_what_does_not_is_not(tmp_path: Path, tree: str, wanted: tuple[str, ...]) -> None:
    assert Distribution(tmp_path, tree).plan(*wanted).refusals == ()


def test_where_entries_keep_it_that_is_told_too(tmp_path: Path) -> None:
    host = Distribution(tmp_path, SYSTEMD_BOOT.replace("iommu=nopt", "iommu=off"))
    (refusal,) = host.plan("intel_iommu=on").refusals
    assert refusal.reason.startswith("/efi/loader/entries/1-6.12.conf:3 has iommu=off")


@pytest.mark.parametrize("word", ["intremap=off", "nointremap"])
def test_interrupt_remapping_that_stays_off_is_told(tmp_path: Path, word: str) -> None:
    host = Distribution(tmp_path, grub(word))
    told = [each for each in host.plan("intel_iommu=on").pending if "remapping" in each]
    assert told[0].startswith(f"/etc/default/grub:2 has {word}: without interrupt remapping")
    again = host.plan("intel_iommu=on", "intremap=on").pending
    assert not any("remapping" in each for each in again)


def test_check_does_not_say_that_the_policy_holds(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    simulated(tmp_path)
    (tmp_path / "etc/default/grub").write_text('GRUB_CMDLINE_LINUX="iommu=off"\n')
    (tmp_path / "proc/cmdline").write_text("ro iommu=off intel_iommu=on iommu=pt\n")
    (tmp_path / "p.yaml").write_text("version: 1\nkernel_arguments: [intel_iommu=on]\n")
    where = ("--simulate", str(tmp_path), "--policy", str(tmp_path / "p.yaml"))
    for verb in ("plan", "check", "apply"):
        assert main(["host", verb, *where]) == 1
        said = capsys.readouterr().out
        assert "/etc/default/grub:1 has iommu=off" in said
        assert "policy-holds" not in said


@pytest.mark.parametrize("is_image", [False, True])
def test_a_drop_in_that_sets_them_anew_behind_is_refused_with_its_line(
    tmp_path: Path, is_image: bool
) -> None:
    later = LATER.format('A=1\\nGRUB_CMDLINE_LINUX_DEFAULT="splash"')
    host = Distribution(tmp_path, DEBIAN + later)
    before = host.state()
    found = host.plan("quiet", "iommu=pt")
    if is_image:
        found = offline_plan(policy_of("quiet", "iommu=pt"), read_host(tmp_path))
    (refusal,) = found.refusals
    assert refusal.code == "boot-argument-overridden"
    ours = "behind /etc/default/grub.d/90-lanekeeper.cfg: 'quiet', 'iommu=pt' would not hold"
    line = 'GRUB_CMDLINE_LINUX_DEFAULT="splash"'
    assert refusal.reason == f"/etc/default/grub.d/99-zz.cfg:2 has {line}, {ours}"
    assert host.state() == before


@pytest.mark.parametrize(
    "text",
    [
        'GRUB_CMDLINE_LINUX_DEFAULT="$GRUB_CMDLINE_LINUX_DEFAULT splash"',
        "GRUB_CMDLINE_LINUX_DEFAULT=iommu=pt",
        "GRUB_TIMEOUT=3",
    ],
)
def test_one_that_adds_is_not(tmp_path: Path, text: str) -> None:
    host = Distribution(tmp_path, DEBIAN + LATER.format(text))
    host.apply("iommu=pt")
    assert host.plan("iommu=pt").is_empty
    assert "iommu=pt" in host.text("boot/grub/grub.cfg")


def test_one_that_comes_after_the_apply_is_refused_then(tmp_path: Path) -> None:
    host = Distribution(tmp_path, DEBIAN)
    host.apply("iommu=pt")
    (tmp_path / "etc/default/grub.d/99-zz.cfg").write_text("GRUB_CMDLINE_LINUX_DEFAULT=quiet\n")
    assert [one.code for one in host.plan("iommu=pt").refusals] == ["boot-argument-overridden"]


def test_another_default_entry_behind_is_refused(tmp_path: Path) -> None:
    host = Distribution(tmp_path, DEBIAN + LATER.format("GRUB_DEFAULT=0"))
    (refusal,) = host.plan("iommu=pt", entry="separate").refusals
    assert refusal.code == "boot-argument-overridden"
    assert "/etc/default/grub.d/99-zz.cfg:1 has GRUB_DEFAULT=0" in refusal.reason


@pytest.mark.parametrize("tree", [DEBIAN, RED_HAT_7], ids=["Debian", "RHEL 7"])
@pytest.mark.parametrize("entry", ["every", "separate"])
def test_arguments_that_the_policy_drops_go(tmp_path: Path, tree: str, entry: str) -> None:
    host = Distribution(tmp_path, tree)
    before = host.state()
    host.apply("iommu=pt", "quiet", "hugepages=8", entry=entry)
    full = host.state()
    host.apply("iommu=pt", entry=entry)
    assert not any("hugepages=8" in text for text in host.state().values())
    assert any("iommu=pt" in text for text in host.state().values())
    assert host.plan("iommu=pt", entry=entry).is_empty
    bare = host.plan()
    host.apply()
    after = host.state()
    assert {k: v for k, v in after.items() if v != "/"}.keys() <= before.keys()
    assert "etc/grub.d/11_lanekeeper" not in after
    assert after["etc/default/grub"].strip() == before["etc/default/grub"].strip()
    assert bare.steps
    assert host.plan().is_empty
    host.rollback()
    host.rollback()
    assert host.state() == full


def test_what_the_operator_wrote_is_not_touched(tmp_path: Path) -> None:
    host = Distribution(tmp_path, grub("iommu=pt quiet"))
    host.apply("iommu=pt", "hugepages=8")
    host.apply("hugepages=8")
    host.apply()
    assert 'GRUB_CMDLINE_LINUX="iommu=pt quiet"' in host.text("etc/default/grub")
    assert not (tmp_path / "etc/default/grub.d/90-lanekeeper.cfg").exists()


def test_a_drop_in_of_somebody_else_under_the_name_stays(tmp_path: Path) -> None:
    mine = 'GRUB_CMDLINE_LINUX_DEFAULT="$GRUB_CMDLINE_LINUX_DEFAULT hugepages=8"'
    name = "etc/default/grub.d/90-lanekeeper.cfg"
    host = Distribution(tmp_path, DEBIAN + f"{name} = {mine}\n")
    assert host.plan().is_empty


def test_a_separate_entry_goes_when_every_entry_gets_them(tmp_path: Path) -> None:
    host = Distribution(tmp_path, DEBIAN)
    host.apply("iommu=pt", entry="separate")
    host.apply("iommu=pt")
    assert not (tmp_path / "etc/grub.d/11_lanekeeper").exists()
    assert host.ran[-1] == "grub-editenv - unset saved_entry"
    assert "iommu=pt" in host.text("boot/grub/grub.cfg")
    assert host.plan("iommu=pt").is_empty
