"""Kernel arguments on every boot loader: there after a plan, and gone byte for byte after it."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from host.boot.distribution import (
    DEBIAN,
    RED_HAT_7,
    RED_HAT_9,
    SYSTEMD_BOOT,
    Distribution,
)
from lanekeeper.domain.hostplan.action import FileChange
from lanekeeper.domain.hostplan.boot_loader import argument_holds
from lanekeeper.host.capture import capture
from lanekeeper.host.file_actor import FileActor
from lanekeeper.host.journal import Course
from lanekeeper.host.tree import plant

LOADERS = {"Debian": DEBIAN, "RHEL 7": RED_HAT_7, "RHEL 9": RED_HAT_9, "systemd": SYSTEMD_BOOT}
BY_NAME = [pytest.param(tree, id=name) for name, tree in LOADERS.items()]
LOADER_INFO = "sys/firmware/efi/efivars/LoaderInfo-4a67b082-0a4c-41cf-b6c7-440b29bb8c4f"


@given(
    st.sampled_from(sorted(LOADERS)),
    st.sampled_from(["every", "separate"]),
    st.lists(
        st.sampled_from(["iommu=pt", "intel_iommu=on", "quiet", "hugepages=8", "console=tty0"]),
        min_size=1,
        max_size=3,
        unique=True,
    ),
)
def test_after_a_plan_the_plan_is_empty_and_undone_nothing_has_changed(
    name: str, entry: str, arguments: list[str]
) -> None:
    if entry == "separate" and name not in ("Debian", "RHEL 7"):
        entry = "every"
    with tempfile.TemporaryDirectory() as directory:
        host = Distribution(Path(directory), LOADERS[name])
        before = host.state()
        for upto in range(1, len(arguments) + 1):  # one change upon another
            host.apply(*arguments[:upto], entry=entry)
            assert host.plan(*arguments[:upto], entry=entry).is_empty
        changed = host.state()
        while (outcome := host.rollback()) is not None:
            assert outcome.course is Course.TAKEN_BACK, outcome
        assert host.state() == before
        assert changed != before or host.plan(*arguments, entry=entry).is_empty


@pytest.mark.parametrize("tree", BY_NAME)
def test_lines_that_the_operator_adds_meanwhile_stay(tmp_path: Path, tree: str) -> None:
    host = Distribution(tmp_path, tree)
    host.apply("iommu=pt")
    mine = {
        path: text + "# mine\n"
        for path, text in host.state().items()
        if path == "etc/default/grub" or path.endswith(".conf")
    }
    for path in mine:
        with (tmp_path / path).open("a") as file:
            file.write("# mine\n")
    assert host.rollback().course is Course.TAKEN_BACK  # type: ignore[union-attr]
    for path in mine:
        text = host.text(path)
        assert text.endswith("# mine\n")
        assert "iommu=pt" not in text


def test_red_hat_7_keeps_the_settings_and_makes_the_menu(tmp_path: Path) -> None:
    host = Distribution(tmp_path, RED_HAT_7)
    host.apply("intel_iommu=on", "iommu=pt")
    assert host.text("etc/default/grub") == (
        'GRUB_DEFAULT=saved\nGRUB_CMDLINE_LINUX="crashkernel=auto iommu=nopt"\n'
        "# Written by `lanekeeper host apply`; `lanekeeper host rollback` takes it back.\n"
        "# Recovery entries of the boot menu do without these arguments.\n"
        'GRUB_CMDLINE_LINUX_DEFAULT="$GRUB_CMDLINE_LINUX_DEFAULT intel_iommu=on iommu=pt"\n'
    )
    assert host.ran == ["grub2-mkconfig -o /boot/grub2/grub.cfg"]
    assert "iommu=nopt intel_iommu=on iommu=pt\n" in host.text("boot/grub2/grub.cfg")


def test_red_hat_9_asks_grubby(tmp_path: Path) -> None:
    host = Distribution(tmp_path, RED_HAT_9)
    host.apply("intel_iommu=on", "iommu=pt")
    host.rollback()
    assert host.ran == [
        "grubby --update-kernel=ALL --args=intel_iommu=on iommu=pt",
        "grubby --update-kernel=ALL --remove-args=intel_iommu=on iommu=pt",
    ]


def test_what_says_otherwise_is_replaced_and_comes_back(tmp_path: Path) -> None:
    host = Distribution(tmp_path, RED_HAT_9.replace("ro  quiet", "iommu=off quiet"))
    host.apply("iommu=pt")
    host.rollback()
    assert host.ran == [
        "grubby --update-kernel=ALL --remove-args=iommu --args=iommu=pt",
        "grubby --update-kernel=ALL --remove-args=iommu=pt --args=iommu=off",
    ]
    assert "options  root=/dev/vda1 iommu=off quiet\n" in host.text(
        "boot/loader/entries/1-5.14.conf"
    )


def test_entry_files_are_edited_and_new_kernels_thought_of(tmp_path: Path) -> None:
    host = Distribution(tmp_path, SYSTEMD_BOOT)
    host.apply("iommu=pt")
    note = "# Written by `lanekeeper host apply`; `lanekeeper host rollback` takes it back.\n"
    assert host.text("efi/loader/entries/1-6.12.conf").endswith(
        f"options root=/dev/vda1\n{note}options rw iommu=pt\n"
    )
    assert host.text("efi/loader/entries/2-mine.conf").endswith(
        f"linux /vmlinuz\n{note}options iommu=pt\n"
    )
    assert host.text("etc/kernel/cmdline") == "root=/dev/vda1 rw iommu=pt\n"
    assert host.ran == []


def test_a_separate_entry_is_the_default_and_the_plain_one_stays(tmp_path: Path) -> None:
    host = Distribution(tmp_path, DEBIAN)
    host.apply("iommu=pt", entry="separate")
    script = tmp_path / "etc/grub.d/11_lanekeeper"
    assert script.stat().st_mode & 0o111
    assert "$GRUB_CMDLINE_LINUX_DEFAULT iommu=pt" in script.read_text()
    assert "GRUB_DEFAULT=saved" in host.text("etc/default/grub.d/90-lanekeeper.cfg")
    assert "iommu=pt" not in host.text("boot/grub/grub.cfg")  # of the plain entries
    assert host.ran == ["update-grub", "grub-set-default lanekeeper"]
    host.rollback()
    assert host.ran[2:] == ["grub-editenv - unset saved_entry", "update-grub"]


def test_an_image_gets_its_files_and_its_first_boot_the_menu(tmp_path: Path) -> None:
    image = Distribution(tmp_path, DEBIAN)
    files, left = image.plan("iommu=pt").file_part()
    assert [str(step.do) for step in left] == ["run update-grub"]
    actor = FileActor(tmp_path)
    for step in files:
        assert isinstance(step.do, FileChange)
        actor.do(step.do)
    assert [str(step.do) for step in image.plan("iommu=pt").steps] == ["run update-grub"]
    image.apply("iommu=pt")  # as the unit does at the first boot
    assert image.plan("iommu=pt").is_empty


def test_the_entry_that_was_saved_is_saved_again(tmp_path: Path) -> None:
    host = Distribution(tmp_path, RED_HAT_7)
    host.apply("iommu=pt", entry="separate")
    assert host.ran[-1] == "grub2-set-default lanekeeper"
    host.rollback()
    assert "grub2-set-default plain" in host.ran


def test_a_menu_that_was_not_made_anew_is(tmp_path: Path) -> None:
    host = Distribution(tmp_path, DEBIAN)
    (tmp_path / "etc/default/grub.d/50-mine.cfg").write_text(
        'GRUB_CMDLINE_LINUX_DEFAULT="iommu=pt"\n'
    )
    (step,) = host.plan("iommu=pt").steps
    assert (str(step.do), step.undo) == ("run update-grub", ())
    host.apply("iommu=pt")
    assert host.plan("iommu=pt").is_empty


def loader_info(name: str) -> str:
    data = b"\6\0\0\0" + f"{name}\0".encode("utf-16-le")
    return f"{LOADER_INFO} =| " + "".join(f"\\x{byte:02x}" for byte in data) + "\n"


GRUB_AND_ENTRIES = DEBIAN + SYSTEMD_BOOT
IMAGE = "efi/EFI/Linux/a.efi = x\n"


@pytest.mark.parametrize(
    ("tree", "code", "reason"),
    [
        ("", "boot-loader-unknown", "looked at /etc/default/grub, /boot/loader/entries/*.conf"),
        (GRUB_AND_ENTRIES, "boot-loader-ambiguous", "does not say which loader started"),
        (DEBIAN + loader_info("systemd-boot 257"), "boot-loader-ambiguous", "systemd-boot 257"),
        (SYSTEMD_BOOT + IMAGE, "boot-loader-ambiguous", "built in (looked at"),
        (RED_HAT_9 + "run/ostree-booted = \n", "boot-loader-ambiguous", "rpm-ostree kargs"),
        (
            RED_HAT_9.replace("usr/sbin/grubby .\n", "").replace("ro  quiet", "$kernelopts"),
            "boot-loader-ambiguous",
            "grubby is not installed",
        ),
        (
            RED_HAT_7
            + "sys/firmware/efi /\nboot/efi/EFI/centos/grub.cfg = a\n"
            + "boot/efi/EFI/redhat/grub.cfg = b\n",
            "boot-loader-ambiguous",
            "two menus of GRUB, /boot/efi/EFI/centos/grub.cfg and /boot/efi/EFI/redhat/grub.cfg",
        ),
        (
            RED_HAT_9.replace("ro  quiet", "ro iommu=off", 1),
            "boot-entries-differ",
            "/boot/loader/entries/1-5.14.conf has iommu=off",
        ),
    ],
)
def test_what_is_not_known_is_refused_with_the_files(
    tmp_path: Path, tree: str, code: str, reason: str
) -> None:
    host = Distribution(tmp_path, tree)
    before = host.state()
    found = host.plan("iommu=pt")
    assert found.steps == ()
    assert [refusal.code for refusal in found.refusals] == [code]
    assert reason in found.refusals[0].reason
    assert host.state() == before


@pytest.mark.parametrize("name", ["systemd-boot 257", "GRUB 2.12"])
def test_of_two_loaders_the_one_that_started_the_kernel_counts(tmp_path: Path, name: str) -> None:
    host = Distribution(tmp_path, GRUB_AND_ENTRIES + loader_info(name))
    changed = {str(step.do).rpartition("/")[2] for step in host.plan("iommu=pt").steps}
    assert ("90-lanekeeper.cfg" in changed) == name.startswith("GRUB")
    assert ("1-6.12.conf" in changed) == name.startswith("systemd")


def test_a_drop_in_of_grubs_package_alone_does_not_make_it_the_loader(tmp_path: Path) -> None:
    drop_in = "etc/default/grub.d/init-select.cfg = GRUB_X=1\n"
    host = Distribution(tmp_path, SYSTEMD_BOOT + drop_in)
    host.apply("iommu=pt")
    assert "iommu=pt" in host.text("efi/loader/entries/1-6.12.conf")
    assert not (tmp_path / "etc/default/grub.d/90-lanekeeper.cfg").exists()


def test_a_separate_entry_needs_grubs_scripts(tmp_path: Path) -> None:
    found = Distribution(tmp_path, RED_HAT_9).plan("iommu=pt", entry="separate")
    assert [refusal.code for refusal in found.refusals] == ["boot-entry-unsupported"]


def test_red_hat_7_with_uefi_has_its_menu_on_the_esp(tmp_path: Path) -> None:
    esp = "sys/firmware/efi /\nboot/efi/EFI/redhat/grub.cfg = menuentry 'R' { linuxefi /v\n"
    host = Distribution(tmp_path, RED_HAT_7 + esp)
    host.apply("iommu=pt")
    assert host.ran == ["grub2-mkconfig -o /boot/efi/EFI/redhat/grub.cfg"]
    stub = "sys/firmware/efi /\nboot/efi/EFI/debian/grub.cfg = configfile /boot/grub2/grub.cfg\n"
    other = Distribution(tmp_path / "other", RED_HAT_7 + stub)
    other.apply("iommu=pt")
    assert other.ran == ["grub2-mkconfig -o /boot/grub2/grub.cfg"]


def test_kernelopts_of_red_hat_8_are_followed(tmp_path: Path) -> None:
    tree = RED_HAT_9.replace("root=/dev/vda1 ro  quiet", "$kernelopts $tuned_params")
    host = Distribution(tmp_path, tree)
    assert host.plan("quiet").is_empty
    assert not host.plan("iommu=pt").is_empty


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("root=/dev/vda1 rw\n# not iommu=pt\n", "root=/dev/vda1 rw iommu=pt\n# not iommu=pt\n"),
        ("# mine", "# mine\niommu=pt\n"),
    ],
)
def test_arguments_of_new_kernels_are_not_put_into_a_comment(
    tmp_path: Path, text: str, written: str
) -> None:
    host = Distribution(tmp_path, SYSTEMD_BOOT)
    (tmp_path / "etc/kernel/cmdline").write_text(text)
    host.apply("iommu=pt")
    assert host.text("etc/kernel/cmdline") == written
    assert host.plan("iommu=pt").steps == ()
    host.rollback()
    assert host.text("etc/kernel/cmdline") == text


@pytest.mark.parametrize("name", ["etc/default/grub", "etc/kernel/cmdline"])
def test_a_file_that_is_kept_elsewhere_is_changed_there_and_stays_a_link(
    tmp_path: Path, name: str
) -> None:
    tree = RED_HAT_7 if name == "etc/default/grub" else SYSTEMD_BOOT
    host = Distribution(tmp_path, tree)
    link = tmp_path / name
    (tmp_path / "srv").mkdir()
    link.rename(tmp_path / "srv/mine")
    link.symlink_to("../../srv/mine")
    before = host.text("srv/mine")
    outcome = host.apply("iommu=pt")
    assert outcome is not None
    assert outcome.course is Course.APPLIED
    assert "iommu=pt" in host.text("srv/mine")
    assert str(link.readlink()) == "../../srv/mine"
    assert host.plan("iommu=pt").is_empty
    host.rollback()
    assert str(link.readlink()) == "../../srv/mine"
    assert host.text("srv/mine") == before


def test_a_capture_has_the_text_of_settings_that_are_kept_elsewhere(tmp_path: Path) -> None:
    host = Distribution(tmp_path / "host", RED_HAT_7)
    link = host.root / "etc/default/grub"
    elsewhere = link.rename(tmp_path / "elsewhere")
    link.symlink_to(elsewhere)
    planted = plant(capture(host.root), tmp_path / "captured")
    assert (planted / "etc/default/grub").read_text() == elsewhere.read_text()
    assert not (planted / "etc/default/grub").is_symlink()


def test_settings_that_lead_to_no_file_are_refused_by_the_plan(tmp_path: Path) -> None:
    host = Distribution(tmp_path, RED_HAT_7)
    (tmp_path / "etc/default/grub").unlink()
    (tmp_path / "etc/default/grub").symlink_to("/dev/null")
    (refusal,) = host.plan("iommu=pt").refusals
    assert refusal.code == "boot-loader-ambiguous"
    assert "it is a link to /dev/null, which is no regular file" in refusal.reason


def test_lists_that_add_up_keep_the_operators_beside_ours(tmp_path: Path) -> None:
    """Without his ``pci=noaer`` or his blacklist the next boot would be another one."""
    his = "ro pci=noaer modprobe.blacklist=nouveau"
    host = Distribution(tmp_path, SYSTEMD_BOOT.replace("rw iommu=nopt", his))
    before = host.text("efi/loader/entries/1-6.12.conf")
    host.apply("pci=realloc", "modprobe.blacklist=igbvf", "iommu=pt")
    assert host.text("efi/loader/entries/1-6.12.conf").endswith(
        f"options {his} pci=realloc modprobe.blacklist=igbvf iommu=pt\n"
    )
    assert host.plan("pci=realloc", "modprobe.blacklist=igbvf", "iommu=pt").is_empty
    host.rollback()
    assert host.text("efi/loader/entries/1-6.12.conf") == before


def test_grubby_which_has_one_value_of_a_key_is_given_the_whole_list(tmp_path: Path) -> None:
    tree = RED_HAT_9.replace("ro  quiet", "pci=noaer pci=nomsi rd.driver.pre=ahci")
    host = Distribution(tmp_path, tree)
    before = host.state()
    wanted = ("pci=realloc", "rd.driver.pre=vfio-pci", "iommu=pt")
    host.apply(*wanted)
    assert host.plan(*wanted).is_empty
    host.rollback()
    assert host.ran == [
        "grubby --update-kernel=ALL --remove-args=pci rd.driver.pre "
        "--args=pci=noaer,nomsi,realloc rd.driver.pre=ahci,vfio-pci iommu=pt",
        "grubby --update-kernel=ALL "
        "--remove-args=pci=noaer,nomsi,realloc rd.driver.pre=ahci,vfio-pci iommu=pt "
        "--args=pci=noaer pci=nomsi rd.driver.pre=ahci",
    ]
    assert host.state() == before


@pytest.mark.parametrize(
    ("given", "holds"),
    [
        (("pci=noaer,realloc",), True),
        (("pci=realloc", "pci=noaer"), True),
        (("pci=realloc", "pci=realloc=off"), False),
        (("pci=realloc=off", "pci=realloc"), True),
        (("pci=noaer",), False),
        ((), False),
    ],
)
def test_a_list_holds_what_one_of_its_occurrences_says_last(
    given: tuple[str, ...], holds: bool
) -> None:
    assert argument_holds("pci=realloc", given) is holds


@pytest.mark.parametrize(
    "other", ["efi /shellx64.efi\noptions -nomap", "uki /EFI/Linux/a.efi", "efi /memtest.efi"]
)
def test_entries_that_start_no_kernel_are_left_alone(tmp_path: Path, other: str) -> None:
    """A shell would take a kernel argument for a script to run."""
    text = f"title Other\n{other}\n"
    host = Distribution(tmp_path, SYSTEMD_BOOT)
    path = "efi/loader/entries/0-other.conf"  # before all others
    (tmp_path / path).write_text(text)
    host.apply("iommu=pt")
    assert host.text(path) == text
    assert "iommu=pt" in host.text("efi/loader/entries/1-6.12.conf")
    assert host.plan("iommu=pt").is_empty


def test_where_no_entry_names_a_kernel_the_plan_is_refused(tmp_path: Path) -> None:
    tree = "efi/loader/entries/a.conf = title A\\nuki /EFI/Linux/a.efi\n"
    (refusal,) = Distribution(tmp_path, tree).plan("iommu=pt").refusals
    assert refusal.code == "boot-loader-ambiguous"
    assert "none of the entry files names a kernel to start" in refusal.reason
    assert "/efi/loader/entries/a.conf" in refusal.reason


@pytest.mark.parametrize("tree", [DEBIAN, RED_HAT_7], ids=["Debian", "RHEL 7"])
def test_a_default_that_the_operator_chose_since_stays(tmp_path: Path, tree: str) -> None:
    host = Distribution(tmp_path, tree)
    home = "boot/grub" if tree == DEBIAN else "boot/grub2"
    host.apply("iommu=pt", entry="separate")
    (tmp_path / home / "grubenv").write_text("saved_entry=rescue\n")
    outcome = host.rollback()
    assert outcome is not None
    assert outcome.course is Course.TAKEN_BACK
    assert host.text(f"{home}/grubenv") == "saved_entry=rescue\n"
    assert not (tmp_path / "etc/grub.d/11_lanekeeper").exists()


def test_a_default_that_was_chosen_after_the_separate_entry_went_stays(tmp_path: Path) -> None:
    host = Distribution(tmp_path, DEBIAN)
    host.apply("iommu=pt", entry="separate")
    host.apply()
    (tmp_path / "boot/grub/grubenv").write_text("saved_entry=rescue\n")
    host.rollback()
    assert host.text("boot/grub/grubenv") == "saved_entry=rescue\n"
