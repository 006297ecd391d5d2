"""systemd's own programs read what plans write: boot entries, and units."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from host.boot.distribution import policy
from host.boot.scratch import Scratch, scratch
from host.carry import apply, rollback
from lanekeeper.domain.hostplan import persistence
from lanekeeper.domain.hostplan.plan import plan
from lanekeeper.host import journal
from lanekeeper.host.facts import read_host

pytestmark = pytest.mark.service

PACKAGING = Path(__file__).parents[3] / "packaging/systemd"
# What is mounted there is no VFAT.
RELAXED = {"SYSTEMD_RELAX_ESP_CHECKS": "1"}
MACHINE = "0123456789abcdef0123456789abcdef"
OWN = f"systemd.machine_id={MACHINE}"  # what kernel-install adds by itself
ENTRIES = "efi/loader/entries"


@pytest.fixture
def own() -> Iterator[Scratch]:
    with scratch() as made:
        yield made


@pytest.fixture
def booted(own: Scratch) -> Scratch:
    """A root whose entry files kernel-install makes and systemd-boot reads."""
    own.need("usr/bin/bootctl")
    own.write("etc/machine-id", f"{MACHINE}\n")
    own.write("etc/kernel/cmdline", "root=/dev/vda1 ro quiet\n")
    own.write("etc/kernel/install.conf", "layout=bls\n")
    (own.root / "efi").mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", str(own.root / "efi")], check=True)
    own.write("efi/loader/loader.conf", "timeout 3\n")
    (own.root / "efi" / MACHINE).mkdir()
    (own.root / "etc/default/grub").unlink(missing_ok=True)
    install_kernel(own, "6.1.0-1-test")
    return own


def install_kernel(own: Scratch, release: str) -> None:
    own.write(f"boot/vmlinuz-{release}", "x")
    (own.root / "usr/lib/modules" / release).mkdir(parents=True)
    own.said(
        "kernel-install", "add", release, f"/boot/vmlinuz-{release}", BOOT_ROOT="/efi", **RELAXED
    )


def listed(own: Scratch) -> dict[str, str]:
    """Return the options of each entry, by its file's name, as systemd-boot's tool reads them."""
    found: dict[str, str] = {}
    name = ""
    done = own.run("bootctl", "--esp-path=/efi", "--no-pager", "list", **RELAXED)
    assert done.returncode == 0, done.stderr
    assert "ignoring" not in done.stderr
    for line in done.stdout.splitlines():
        key, _, value = line.strip().partition(": ")
        if key == "id":
            name = value
        elif key == "options":
            found[name] = value
    return found


def entry_texts(own: Scratch) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (own.root / ENTRIES).iterdir()}


def test_bootctl_lists_the_entry_with_the_arguments_and_new_kernels_have_them(
    booted: Scratch,
) -> None:
    before = entry_texts(booted)
    (name,) = before
    assert listed(booted) == {name: f"root=/dev/vda1 ro quiet {OWN}"}
    wanted = policy("intel_iommu=on", "iommu=pt")
    changes = booted.root / journal.DIRECTORY
    apply(plan(wanted, read_host(booted.root)).steps, booted.actor, changes)
    first = {name: f"root=/dev/vda1 ro quiet {OWN} intel_iommu=on iommu=pt"}
    assert listed(booted) == first
    install_kernel(booted, "6.1.0-2-test")
    second = {name.replace("-1-", "-2-"): f"root=/dev/vda1 ro quiet intel_iommu=on iommu=pt {OWN}"}
    assert listed(booted) == first | second
    assert plan(wanted, read_host(booted.root)).is_empty
    outcome = rollback(booted.actor, changes)
    assert outcome is not None
    assert outcome.left == ()
    assert {key: entry_texts(booted)[key] for key in before} == before
    plain = f"root=/dev/vda1 ro quiet {OWN}"
    assert listed(booted) == dict.fromkeys(first | second, plain)
    assert (booted.root / "etc/kernel/cmdline").read_text() == "root=/dev/vda1 ro quiet\n"


def test_systemd_takes_the_units_that_are_written_and_those_that_are_shipped(own: Scratch) -> None:
    own.write("usr/bin/lanekeeper", "#!/bin/sh\n").chmod(0o755)
    unit = own.write(persistence.UNIT_FILE, persistence.unit_text("/usr/bin/lanekeeper"))
    names = [unit.name]
    for path in sorted(PACKAGING.iterdir()):
        own.write(f"etc/systemd/system/{path.name}", path.read_text())
        names.append(path.name)
    done = own.run("systemd-analyze", "verify", "--man=no", *names)
    assert done.returncode == 0, done.stderr
    assert "lanekeeper" not in done.stderr  # other units of this machine have warnings of theirs
    unit.write_text(unit.read_text().replace("Type=oneshot", "Type=twoshot"))
    assert "twoshot" in own.run("systemd-analyze", "verify", "--man=no", unit.name).stderr
