"""Kernel arguments given by grubby go where they were put, and only as long as they are ours."""

from __future__ import annotations

from pathlib import Path

import pytest

from host.boot.distribution import RED_HAT_9, Distribution
from lanekeeper.domain.hostplan.action import Respell
from lanekeeper.host.file_actor import FileActor
from lanekeeper.host.journal import Course

ENTRY = "boot/loader/entries/1-5.14.conf"
RESCUE = "boot/loader/entries/1-0-rescue.conf"
WANTED = ("intel_iommu=on", "iommu=pt")
DIFFERENT = RED_HAT_9.replace("ro  quiet", "ro  quiet intel_iommu=on", 1)


def edit(host: Distribution, name: str, old: str, new: str) -> None:
    text = host.text(name)
    assert old in text
    (host.root / name).write_text(text.replace(old, new))


def test_an_argument_that_one_entry_had_stays_in_it(tmp_path: Path) -> None:
    host = Distribution(tmp_path, DIFFERENT)
    before = host.state()
    host.apply(*WANTED)
    assert host.plan(*WANTED).is_empty
    outcome = host.rollback()
    assert outcome is not None
    assert outcome.course is Course.TAKEN_BACK
    assert host.state() == before
    assert host.ran[1:] == [
        "grubby --update-kernel=/vmlinuz-0 --remove-args=intel_iommu=on iommu=pt",
        "grubby --update-kernel=/vmlinuz-5.14 --remove-args=iommu=pt",
    ]


def test_entries_of_one_kernel_that_differ_are_refused(tmp_path: Path) -> None:
    """Grubby is asked by kernel, so it could not take the argument out of one of them."""
    host = Distribution(tmp_path, DIFFERENT.replace("/vmlinuz-0", "/vmlinuz-5.14"))
    found = host.plan(*WANTED)
    assert found.steps == ()
    assert [refusal.code for refusal in found.refusals] == ["boot-entries-differ"]
    assert f"/{ENTRY} has intel_iommu=on" in found.refusals[0].reason
    assert f"/{RESCUE} has none of it" in found.refusals[0].reason


def test_values_that_the_operator_set_since_stay_and_are_told(tmp_path: Path) -> None:
    host = Distribution(tmp_path, RED_HAT_9)
    before = host.text(RESCUE)
    host.apply(*WANTED)
    edit(host, ENTRY, "intel_iommu=on iommu=pt", "intel_iommu=on,sm_on iommu=nopt")
    outcome = host.rollback()
    assert outcome is not None
    assert outcome.course is Course.BACK
    assert f"/{ENTRY} has intel_iommu=on,sm_on iommu=nopt" in outcome.left[0]
    assert host.text(ENTRY).endswith("quiet intel_iommu=on,sm_on iommu=nopt\n")
    assert host.text(RESCUE) == before


def test_what_was_replaced_is_not_given_back_over_a_later_value(tmp_path: Path) -> None:
    host = Distribution(tmp_path, RED_HAT_9.replace("ro  quiet", "ro iommu=nopt"))
    before = host.text(RESCUE)
    host.apply("iommu=pt")
    edit(host, ENTRY, "iommu=pt", "iommu=soft")
    host.rollback()
    assert host.text(ENTRY).endswith("ro iommu=soft\n")
    assert host.text(RESCUE) == before


def test_a_kernel_of_later_loses_what_its_entry_was_made_with(tmp_path: Path) -> None:
    host = Distribution(tmp_path, RED_HAT_9)
    host.apply(*WANTED)
    later = tmp_path / "boot/loader/entries/1-6.1.conf"
    later.write_text(host.text(ENTRY).replace("5.14", "6.1"))
    host.rollback()
    assert later.read_text() == "linux /vmlinuz-6.1\noptions root=/dev/vda1 ro quiet\n"


def test_settings_get_their_text_where_only_our_words_differ(tmp_path: Path) -> None:
    """Grubby adds to them and takes out of them by what it is asked about all kernels."""
    settings = tmp_path / "grub"
    was = 'GRUB_CMDLINE_LINUX="quiet intel_iommu=on"\n'
    for now in ('GRUB_CMDLINE_LINUX="quiet"\n', 'GRUB_CMDLINE_LINUX="quiet iommu=pt"\n'):
        settings.write_text(now)
        FileActor(tmp_path).do(Respell("grub", was, WANTED))
        assert settings.read_text() == was
    settings.write_text('GRUB_CMDLINE_LINUX="iommu=pt"\n')
    FileActor(tmp_path).do(Respell("grub", was, WANTED))
    assert settings.read_text() == 'GRUB_CMDLINE_LINUX="iommu=pt"\n'


@pytest.mark.parametrize(
    ("name", "text", "doubt"),
    [
        ("boot/EFI/Linux/1.efi", "", "unified kernel images have their arguments built in"),
        ("etc/default/grub", "GRUB_ENABLE_BLSCFG=true\nX='", "/etc/default/grub"),
    ],
)
def test_nothing_is_called_taken_back_while_the_loader_is_in_doubt(
    tmp_path: Path, name: str, text: str, doubt: str
) -> None:
    host = Distribution(tmp_path, RED_HAT_9)
    entries = [host.text(ENTRY), host.text(RESCUE)]
    host.apply(*WANTED)
    at = tmp_path / name
    was = at.read_text() if at.is_file() else None
    at.parent.mkdir(parents=True, exist_ok=True)
    at.write_text(text)
    outcome = host.rollback()
    assert outcome is not None
    assert outcome.course is Course.BACK
    assert doubt in outcome.left[0]
    assert len(host.ran) == 1
    at.unlink() if was is None else at.write_text(was)
    outcome = host.rollback()
    assert outcome is not None
    assert outcome.course is Course.TAKEN_BACK
    assert [host.text(ENTRY), host.text(RESCUE)] == entries


@pytest.mark.parametrize(
    ("gone", "doubt"),
    [
        (("boot", "etc/default"), "no boot loader that is known is there"),
        (("boot",), "none of its entries is there"),
    ],
)
def test_nothing_is_called_taken_back_where_no_entry_is_to_be_seen(
    tmp_path: Path, gone: tuple[str, ...], doubt: str
) -> None:
    """The file system that they lie on may not be mounted."""
    host = Distribution(tmp_path, RED_HAT_9)
    entries = [host.text(ENTRY), host.text(RESCUE)]
    host.apply(*WANTED)
    for name in gone:
        (tmp_path / name).rename(tmp_path / f"unmounted-{name.replace('/', '-')}")
    outcome = host.rollback()
    assert outcome is not None
    assert outcome.course is Course.BACK
    assert doubt in outcome.left[0]
    for name in gone:
        (tmp_path / f"unmounted-{name.replace('/', '-')}").rename(tmp_path / name)
    host.rollback()
    assert [host.text(ENTRY), host.text(RESCUE)] == entries


def test_an_entry_that_the_loader_renamed_gets_its_own_back(tmp_path: Path) -> None:
    """What counts its tries is the same entry as before."""
    host = Distribution(tmp_path, DIFFERENT)
    before = host.text(ENTRY), host.text(RESCUE)
    host.apply(*WANTED)
    renamed = {"boot/loader/entries/1-5.14+3.conf": ENTRY, f"{RESCUE[:-5]}+2-1.conf": RESCUE}
    for now, was in renamed.items():
        (tmp_path / was).rename(tmp_path / now)
    outcome = host.rollback()
    assert outcome is not None
    assert outcome.course is Course.TAKEN_BACK
    assert tuple(host.text(now) for now in renamed) == before
