"""Kernels that are installed while a policy stands lose its arguments with it."""

from __future__ import annotations

from pathlib import Path

from host.boot.distribution import SYSTEMD_BOOT, Distribution
from lanekeeper.host.journal import Course

HOME = "efi/loader/entries"
NEW = f"{HOME}/1-6.13.conf"


def install(host: Distribution, arguments: str, name: str = NEW) -> None:
    """Do as kernel-install: an entry from a line of arguments."""
    text = f"title Debian\nlinux      /vmlinuz\noptions    {arguments}\n"
    (host.root / name).write_text(text)


def test_a_kernel_of_later_loses_what_it_was_made_with(tmp_path: Path) -> None:
    host = Distribution(tmp_path, SYSTEMD_BOOT)
    before = host.state()
    host.apply("iommu=pt", "intel_iommu=on")
    install(host, host.text("etc/kernel/cmdline").strip())
    outcome = host.rollback()
    assert outcome is not None
    assert (outcome.course, outcome.left) == (Course.TAKEN_BACK, ())
    assert host.text(NEW) == "title Debian\nlinux      /vmlinuz\noptions    root=/dev/vda1 rw\n"
    (host.root / NEW).unlink()
    assert host.state() == before


def test_without_a_file_of_arguments_it_is_made_with_those_of_the_running_kernel(
    tmp_path: Path,
) -> None:
    host = Distribution(tmp_path, SYSTEMD_BOOT.partition("etc/kernel")[0])
    host.apply("iommu=pt")
    install(host, "root=/dev/vda1 rw iommu=pt")
    host.rollback()
    assert host.text(NEW).endswith("options    root=/dev/vda1 rw iommu=nopt\n")


def test_a_value_that_somebody_set_since_stays_and_is_told(tmp_path: Path) -> None:
    host = Distribution(tmp_path, SYSTEMD_BOOT)
    host.apply("iommu=pt")
    install(host, "root=/dev/vda1 rw iommu=off")
    outcome = host.rollback()
    assert outcome is not None
    assert outcome.course is Course.BACK
    assert f"/{NEW} has iommu=off" in outcome.left[0]
    assert host.text(NEW).endswith("rw iommu=off\n")
    assert host.text("etc/kernel/cmdline") == "root=/dev/vda1 rw"


def test_an_entry_that_had_the_argument_before_keeps_it(tmp_path: Path) -> None:
    host = Distribution(tmp_path, SYSTEMD_BOOT)
    install(host, "root=/dev/vda1 iommu=pt", f"{HOME}/3-own+3.conf")
    host.apply("iommu=pt")
    (host.root / f"{HOME}/3-own+3.conf").rename(host.root / f"{HOME}/3-own.conf")  # found good
    host.rollback()
    assert host.text(f"{HOME}/3-own.conf").endswith("options    root=/dev/vda1 iommu=pt\n")


def test_lists_and_huge_pages_go_back_to_what_new_kernels_had(tmp_path: Path) -> None:
    tree = SYSTEMD_BOOT.replace("=| root=/dev/vda1 rw", "=| pci=nomsi hugepages=4 rw")
    host = Distribution(tmp_path, tree)
    host.apply("pci=realloc", "hugepagesz=1G", "hugepages=2")
    install(host, host.text("etc/kernel/cmdline").strip())
    assert "pci=realloc" in host.text(NEW)
    assert host.rollback() is not None
    words = host.text(NEW).split("options")[1].split()
    assert sorted(words) == ["hugepages=4", "pci=nomsi", "rw"]
