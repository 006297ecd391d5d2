"""``--offline``: a policy's files in the tree of an image, and nothing anywhere else."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from host.boot.distribution import DEBIAN, RED_HAT_7, RED_HAT_9, SYSTEMD_BOOT
from host.planted import SAMPLE_POLICY, snapshot
from host.test_apply_killed import killed
from lanekeeper.domain.hostplan.action import SetVfCount, WriteFile
from lanekeeper.domain.hostplan.persistence import ORIGINALS
from lanekeeper.domain.hostplan.plan import plan
from lanekeeper.domain.hostplan.step import Step
from lanekeeper.host import journal
from lanekeeper.host.facts import read_host
from lanekeeper.host.journal import Course, Head, StepState
from lanekeeper.host.policy_file import read_policy
from lanekeeper.host.tree import plant
from lanekeeper.main import main

COMMON = """
usr/lib/systemd/systemd .
usr/bin/lanekeeper .
etc/systemd/system /
"""
TREES = {"Debian": DEBIAN, "RHEL 7": RED_HAT_7, "RHEL 9": RED_HAT_9, "systemd": SYSTEMD_BOOT}
OPTIONS = "module_options: {kvm: [halt_poll_ns=0]}\n"
UNIT = "etc/systemd/system/lanekeeper-host.service"


def image(directory: Path, tree: str) -> Path:
    return plant((COMMON + tree).replace(" .\n", " = \n"), directory)


@pytest.fixture
def debian(tmp_path: Path) -> Path:
    return image(tmp_path / "image", DEBIAN)


@pytest.fixture
def policy(tmp_path: Path) -> Path:
    path = tmp_path / "policy.yaml"
    path.write_text(SAMPLE_POLICY.read_text() + OPTIONS)
    return path


def host(verb: str, root: Path, *words: str) -> int:
    return main(["host", verb, "--root", str(root), "--offline", *words])


@pytest.mark.parametrize("name", sorted(TREES))
def test_written_the_plan_is_empty_and_taken_back_nothing_has_changed(
    tmp_path: Path, policy: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    root = image(tmp_path / "image", TREES[name])
    before = snapshot(root)
    assert host("plan", root, "--policy", str(policy)) == 1
    assert snapshot(root, leave_out="") == before
    assert host("apply", root, "--policy", str(policy)) == 0
    assert (root / UNIT).read_text().startswith("# Written by `lanekeeper host apply`")
    assert (root / "etc/lanekeeper/host-policy.yaml").read_text() == policy.read_text()
    capsys.readouterr()
    assert host("plan", root) == 0
    assert host("apply", root) == 0
    assert "Nothing to do: the files of the image" in capsys.readouterr().out
    assert host("changes", root) == 0
    assert "applied" in capsys.readouterr().out
    assert host("drift", root) == 0
    assert host("rollback", root, "--to", "0") == 0
    assert snapshot(root) == before
    assert host("rollback", root) == 0


def test_what_was_edited_in_an_image_is_drift(
    debian: Path, policy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Also where a link leads to a file that, seen from outside, is not there."""
    assert host("apply", debian, "--policy", str(policy)) == 0
    (debian / "srv").mkdir()
    (debian / UNIT).rename(debian / "srv/unit")
    (debian / UNIT).symlink_to("/srv/unit")
    assert host("drift", debian) == 0
    (debian / "srv/unit").write_text("[Service]\n")
    capsys.readouterr()
    assert host("drift", debian) == 1
    said = capsys.readouterr().out
    assert f"/{UNIT} was edited since change 1" in said
    assert f"to do: write /{UNIT}" in said


def test_what_is_left_for_the_first_boot_is_said(
    debian: Path, policy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (debian / "usr/sbin/update-initramfs").touch()
    assert host("apply", debian, "--policy", str(policy)) == 0
    said = capsys.readouterr().out
    assert "pending: run update-grub: the boot menu is made from these files; the unit" in said
    assert "pending: run update-initramfs -u -k all in the image (chroot)" in said
    second = "from the second boot of this image on"
    assert f"pending: kernel argument intel_iommu=on is active {second}" in said
    assert "pending: PFs and their VFs: the unit sets them at each boot" in said
    menu = (debian / "boot/grub/grub.cfg").read_text()
    assert "iommu" not in menu
    assert (debian / ORIGINALS).exists() is False


def test_the_script_that_makes_the_menu_says_where_an_image_has_its_arguments_from(
    tmp_path: Path, policy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = image(tmp_path / "image", RED_HAT_7)
    (root / "usr/sbin/grub2-mkconfig").write_text("#!/bin/sh\n. ${sysconfdir}/default/grub\n")
    assert host("apply", root, "--policy", str(policy)) == 0
    assert "pending: run grub2-mkconfig -o /boot/grub2/grub.cfg: " in capsys.readouterr().out
    assert "intel_iommu=on" in (root / "etc/default/grub").read_text()
    assert not (root / "etc/default/grub.d").exists()


def test_a_menu_that_nothing_makes_anew_is_refused_in_an_image(
    debian: Path, policy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("update-grub", "grub-mkconfig"):
        (debian / "usr/sbin" / name).unlink()
    before = snapshot(debian)
    assert host("apply", debian, "--policy", str(policy)) == 1
    assert "nothing here makes GRUB's menu /boot/grub/grub.cfg anew" in capsys.readouterr().out
    assert snapshot(debian) == before


def test_a_menu_older_than_the_settings_of_an_image_is_pending(
    debian: Path, policy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert host("apply", debian, "--policy", str(policy)) == 0
    capsys.readouterr()
    host("plan", debian)
    assert "pending: run update-grub" in capsys.readouterr().out


def test_of_an_image_it_is_said_when_it_boots_not_when_this_machine_does(
    debian: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    policy = tmp_path / "loose.yaml"
    policy.write_text("version: 1\nkernel_arguments: [iommu=pt]\npersist: false\n")
    assert host("plan", debian, "--policy", str(policy)) == 1
    said = capsys.readouterr().out
    assert "impact  active when this image boots" in said
    assert "pending: kernel argument iommu=pt is active when this image boots" in said
    assert "reboot" not in said


@pytest.mark.parametrize("entry", ["every", "separate"])
def test_the_first_boot_does_what_was_left(
    debian: Path, tmp_path: Path, entry: str, capsys: pytest.CaptureFixture[str]
) -> None:
    policy = tmp_path / "policy.yaml"
    policy.write_text(f"version: 1\nkernel_arguments: [iommu=pt]\nboot: {{entry: {entry}}}\n")
    assert host("apply", debian, "--policy", str(policy)) == 0
    capsys.readouterr()
    for name in ("sys/bus/pci/devices", "proc"):
        (debian / name).mkdir(parents=True)
    (debian / "proc/cmdline").write_text("root=/dev/vda1 ro\n")
    found = plan(read_policy(policy), read_host(debian, "/usr/bin/lanekeeper"))
    commands = [str(step.do) for step in found.steps]
    chosen = ["run grub-set-default lanekeeper"] if entry == "separate" else []
    assert commands == ["run update-grub", *chosen]


def test_without_the_unit_nobody_does_it(
    debian: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    policy = tmp_path / "policy.yaml"
    policy.write_text(SAMPLE_POLICY.read_text().replace("persist: true", "persist: false"))
    assert host("apply", debian, "--policy", str(policy)) == 0
    said = capsys.readouterr().out
    assert "run update-grub: the boot menu is made from these files; do it in the image" in said
    assert "PFs and their VFs: nothing sets them at boot, since persist is false" in said
    assert not (debian / UNIT).exists()


def test_a_unit_without_its_program_is_told(
    debian: Path, policy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (debian / "usr/bin/lanekeeper").unlink()
    host("plan", debian, "--policy", str(policy))
    assert "pending: /usr/bin/lanekeeper is not in the image" in capsys.readouterr().out


def test_links_that_lead_out_lead_within(debian: Path, policy: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    for name in ("grub.d", "lanekeeper", "modprobe.d", "state"):
        (outside / name).mkdir(parents=True)
    (outside / "grub.d/10-mine.cfg").write_text("GRUB_CMDLINE_LINUX_DEFAULT=mine\n")
    shutil.rmtree(debian / "etc/default/grub.d")
    for link, name in (
        ("etc/default/grub.d", "grub.d"),
        ("etc/lanekeeper", "lanekeeper"),
        ("etc/modprobe.d", "modprobe.d"),
        ("var/lib/lanekeeper-host", "state"),
    ):
        (debian / link).parent.mkdir(parents=True, exist_ok=True)
        (debian / link).symlink_to(outside / name)
        (debian / str(outside / name).lstrip("/")).mkdir(parents=True)
    before = snapshot(outside, leave_out="")
    assert host("apply", debian, "--policy", str(policy)) == 0
    within = debian / str(outside).lstrip("/")
    assert sorted(p.name for p in within.rglob("*") if p.is_file() and p.suffix != "") == [
        "000001.jsonl",
        "90-lanekeeper.cfg",
        "host-policy.yaml",
        "lanekeeper.conf",
    ]
    assert host("plan", debian) == 0
    assert host("rollback", debian) == 0
    assert snapshot(outside, leave_out="") == before
    assert not (within / "lanekeeper/host-policy.yaml").exists()


@pytest.mark.parametrize("then", ["apply", "rollback"])
def test_killed_between_two_steps_it_goes_on_or_back(
    tmp_path: Path, policy: Path, then: str
) -> None:
    for times in range(1, 60):
        root = image(tmp_path / str(times), DEBIAN)
        before = snapshot(root)
        cut = killed(
            lambda at=root: host("apply", at, "--policy", str(policy)),  # type: ignore[misc]
            "host-journal-written",
            times,
        )
        if not cut:
            break
        assert host(then, root, *(("--policy", str(policy)) if then == "apply" else ())) == 0
        if then == "apply":
            assert host("plan", root) == 0
            assert host("rollback", root, "--to", "0") == 0
        assert snapshot(root) == before
    assert times > 10


def _refused(capsys: pytest.CaptureFixture[str], code: int, *words: str) -> str:
    assert main(["host", *words]) == code
    return capsys.readouterr().err


def test_what_is_no_image_is_refused(
    tmp_path: Path, policy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def refused(root: str, *words: str) -> str:
        given = ("--offline", "--policy", str(policy), "--root", root, *words)
        return _refused(capsys, 2, "apply", *given)

    assert "/ is the running system, not an image" in refused("/")
    assert "is the running system" in refused("/proc/self/root")
    assert "it has no /etc" in refused(str(tmp_path))
    tree = tmp_path / "host.tree"
    tree.write_text("# lanekeeper tree 1\n")
    assert f"{tree} is a captured machine or another file, not the root" in refused(str(tree))
    assert "is not there" in refused(str(tmp_path / "none"))
    (tmp_path / "etc").mkdir()
    assert "nobody who could be cut off" in refused(str(tmp_path), "--confirm-within", "60")
    simulated = ("apply", "--offline", "--simulate", str(tmp_path / "machine"))
    assert "--simulate about a machine" in _refused(capsys, 2, *simulated)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["etc", "host.tree", "policy.yaml"]


def test_a_file_that_is_none_is_named(
    debian: Path, policy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (debian / "etc/default/grub").unlink()
    os.mkfifo(debian / "etc/default/grub")
    before = sorted(debian.rglob("*"))
    said = _refused(capsys, 1, "apply", "--offline", "--root", str(debian), "--policy", str(policy))
    assert "/etc/default/grub of the image is neither a file nor a directory" in said
    assert sorted(debian.rglob("*")) == before


def test_a_change_of_the_running_machine_is_not_taken_back_in_an_image(
    debian: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    steps = (
        Step(WriteFile("etc/x", "y"), (WriteFile("etc/x", "z"),), "why"),
        Step(SetVfCount("0000:21:00.0", 7), (SetVfCount("0000:21:00.0", 0),), "why"),
    )
    directory = debian / journal.DIRECTORY
    directory.mkdir(parents=True)
    change = journal.begin(directory, Head(steps))
    for at in range(2):
        change.mark_step(at, StepState.DONE)
    change.mark_course(Course.APPLIED)
    before = snapshot(debian, leave_out="")
    said = _refused(capsys, 1, "rollback", "--offline", "--root", str(debian))
    assert "change 1 cannot be taken back in an image: remove VFs of 0000:21:00.0 needs" in said
    assert "boot the image" in said
    assert snapshot(debian, leave_out="") == before


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    """A mounted file system of 64 KiB."""
    place = tmp_path / "small"
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=80k", "tmpfs", str(place)]
    if subprocess.run(command, check=False, capture_output=True).returncode:
        pytest.skip("mounting needs root")
    yield place
    subprocess.run(["umount", str(place)], check=True)


def test_an_image_that_cannot_be_written_says_so(
    small: Path, policy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    image(small, SYSTEMD_BOOT)
    before = snapshot(small)
    subprocess.run(["mount", "-o", "remount,ro", str(small)], check=True)
    given = ("apply", "--offline", "--root", str(small), "--policy", str(policy))
    assert "Read-only file system" in _refused(capsys, 1, *given)
    subprocess.run(["mount", "-o", "remount,rw", str(small)], check=True)
    assert snapshot(small) == before


def test_an_image_that_is_full_is_as_it_was(
    small: Path, policy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    image(small, SYSTEMD_BOOT)
    room = shutil.disk_usage(small).free
    (small / "filler").write_bytes(b"x" * (room - 16384))
    before = snapshot(small)
    given = ("apply", "--offline", "--root", str(small), "--policy", str(policy))
    assert main(["host", *given]) == 1
    said = capsys.readouterr()
    assert "No space left on device" in said.err + said.out
    assert snapshot(small) == before


def test_what_the_policy_drops_goes_from_an_image(
    debian: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = snapshot(debian)
    policy = tmp_path / "policy.yaml"
    options = "module_options: {vfio_pci: [disable_idle_d3=1]}\npersist: false\n"
    policy.write_text(f"version: 1\nkernel_arguments: [iommu=pt, hugepages=8]\n{options}")
    assert host("apply", debian, "--policy", str(policy)) == 0
    policy.write_text("version: 1\nkernel_arguments: [iommu=pt]\npersist: false\n")
    assert host("apply", debian, "--policy", str(policy)) == 0
    assert not (debian / "etc/modprobe.d/lanekeeper.conf").exists()
    assert "hugepages" not in (debian / "etc/default/grub.d/90-lanekeeper.cfg").read_text()
    policy.write_text("version: 1\n")
    capsys.readouterr()
    assert host("apply", debian, "--policy", str(policy)) == 0
    said = capsys.readouterr().out
    assert "update-grub: the boot menu is made from these files; do it in the image" in said
    assert not (debian / "etc/default/grub.d/90-lanekeeper.cfg").exists()
    assert host("plan", debian, "--policy", str(policy)) == 0
    assert host("rollback", debian, "--to", "0") == 0
    assert snapshot(debian) == before


@pytest.mark.parametrize(("tree", "how"), [(RED_HAT_9, "grubby"), (SYSTEMD_BOOT, "by hand")])
def test_where_it_cannot_go_that_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], tree: str, how: str
) -> None:
    root = image(tmp_path / "image", tree)
    policy = tmp_path / "policy.yaml"
    policy.write_text("version: 1\nkernel_arguments: [hugepages=8]\n")
    assert host("apply", root, "--policy", str(policy)) == 0
    entry = next(iter((root / "boot/loader/entries").glob("1-5*")), None)
    if entry is not None:  # grubby has run in the image
        entry.write_text(entry.read_text().replace("quiet", "quiet hugepages=8"))
    policy.write_text("version: 1\n")
    for verb in ("plan", "apply", "plan"):
        capsys.readouterr()
        host(verb, root, "--policy", str(policy))
        said = capsys.readouterr().out
        assert "pending: kernel argument hugepages=8 is of an earlier policy" in said, verb
        assert how in said


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        (
            'devices: [{device: "0000:22:00.0", alias: disk}]\nblacklist: [vfio-pci]\n',
            "blacklist[0]: vfio-pci would not load at boot, and guests need it",
        ),
        (
            'pfs: [{pf: "0000:21:00.0", vfs: 2, vf_driver: igbvf}]\nblacklist: [igbvf]\n',
            "blacklist[0]: igbvf would not load at boot, and pfs[0] names it",
        ),
        (
            'pfs: [{pf: {class: "0108"}, vfs: 2, physical_network: lan}]\n',
            "pfs[0].physical_network: class 0108 is no network card's",
        ),
    ],
)
def test_what_no_host_could_serve_is_refused_in_an_image(
    debian: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], entry: str, said: str
) -> None:
    path = tmp_path / "policy.yaml"
    path.write_text(f"version: 1\n{entry}")
    before = snapshot(debian)
    for verb in ("plan", "apply"):
        assert host(verb, debian, "--policy", str(path)) == 1
        assert said in capsys.readouterr().out
    assert snapshot(debian) == before


@pytest.mark.parametrize("code", ["02", "0200", "0c06", "0c"])
def test_a_class_that_may_be_a_network_card_s_is_not_refused(
    debian: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], code: str
) -> None:
    path = tmp_path / "policy.yaml"
    entry = f'{{pf: {{class: "{code}"}}, vfs: 2, physical_network: lan}}'
    path.write_text(f"version: 1\npfs: [{entry}]\n")
    assert host("plan", debian, "--policy", str(path)) == 1
    assert "refused" not in capsys.readouterr().out


def test_a_change_of_an_image_that_was_cut_off_is_told(
    debian: Path, policy: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def work() -> object:
        return host("apply", debian, "--policy", str(policy))

    assert killed(work, "host-journal-write", 4)
    capsys.readouterr()
    where = f"--root {debian} --offline"
    assert host("plan", debian, "--policy", str(policy)) == 1
    goes_on = f"change 1 was cut off; `lanekeeper host apply {where}` goes on with it first"
    assert goes_on in capsys.readouterr().out
    other = tmp_path / "other.yaml"
    other.write_text("version: 1\nhuge_pages: []\n")
    assert host("plan", debian, "--policy", str(other)) == 1
    assert "(it is of another policy); `lanekeeper host apply" in capsys.readouterr().out
    assert host("apply", debian, "--policy", str(other)) == 0
    assert "(it is of another policy)" in capsys.readouterr().err
    assert not (debian / "etc/modprobe.d/lanekeeper.conf").exists(), "it was taken back"


@pytest.mark.parametrize("verb", ["check", "show", "adopt"])
def test_what_is_about_devices_takes_no_image_and_says_what_does(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], verb: str
) -> None:
    (tmp_path / "etc").mkdir()
    with pytest.raises(SystemExit) as ended:
        main(["host", verb, "--root", str(tmp_path), "--offline"])
    assert ended.value.code == 2
    said = capsys.readouterr().err
    assert f"host {verb} is about devices, and an image has none" in said
    assert "`lanekeeper host plan --offline`" in said
    assert main(["host", verb, "--root", str(tmp_path)]) == 2
    assert "if it is an image, `host plan`, `apply`" in capsys.readouterr().err
