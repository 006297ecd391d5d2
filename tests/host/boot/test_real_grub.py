"""Debian's own GRUB makes the menu, in a root of its own that lies over this machine's.

Only grub-probe is stood in for: it asks the disks, and there are none.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from host.boot.distribution import policy
from host.carry import apply, rollback
from lanekeeper.domain.hostplan.plan import plan
from lanekeeper.host import journal
from lanekeeper.host.actor import Actor
from lanekeeper.host.facts import read_host
from lanekeeper.host.simulated import SimulatedMachine

pytestmark = pytest.mark.service

PROBE = """#!/bin/sh
for word; do case $word in
    --target=fs) echo ext2;; --target=fs_uuid) echo 0a-1b;; --target=device) echo /dev/vda1;;
    --target=abstraction | --target=partmap | --target=hints_string) :;;
    --target=*) echo x;;
esac; done
"""
SETTINGS = 'GRUB_DEFAULT=0\nGRUB_DISTRIBUTOR=Debian\nGRUB_CMDLINE_LINUX_DEFAULT="quiet"\n'


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return where GRUB's packages are unpacked."""
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        pytest.skip("a root of its own needs root, and GRUB's packages apt-get")
    place = tmp_path_factory.mktemp("grub")
    command = ["apt-get", "download", "-q", "grub-common", "grub2-common"]
    done = subprocess.run(command, cwd=place, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"GRUB's packages cannot be had: {done.stderr.strip()[-200:]}")
    for package in place.glob("*.deb"):
        subprocess.run(["dpkg-deb", "-x", str(package), str(place / "root")], check=True)
    return place / "root"


@pytest.fixture
def root(packages: Path) -> Iterator[Path]:
    """Return a root with GRUB, two kernels, and this machine's programs."""
    place = Path("/dev/shm") / f"lanekeeper-grub-{os.getpid()}"  # an overlay cannot lie on another
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", str(place)], check=True)
    try:
        for name in ("lower", "upper", "work", "root"):
            (place / name).mkdir()
        shutil.copytree(packages, place / "lower", symlinks=True, dirs_exist_ok=True)
        options = f"lowerdir={place}/lower:/,upperdir={place}/upper,workdir={place}/work"
        command = ["mount", "-t", "overlay", "overlay", "-o", options, str(place / "root")]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            pytest.skip(f"no overlay over this machine's root: {done.stderr.strip()}")
        try:
            _fill(place / "root")
            yield place / "root"
        finally:
            subprocess.run(["umount", str(place / "root")], check=True)
    finally:
        subprocess.run(["umount", str(place)], check=True)
        place.rmdir()


def _fill(root: Path) -> None:
    (root / "usr/sbin/grub-probe").write_text(PROBE)
    (root / "boot/grub").mkdir(parents=True, exist_ok=True)
    for release in ("6.1.0-1-amd64", "6.1.0-2-amd64"):
        for name in ("vmlinuz", "initrd.img", "config"):
            (root / f"boot/{name}-{release}").write_text("x")
    (root / "etc/default").mkdir(exist_ok=True)
    (root / "etc/default/grub").write_text(SETTINGS)
    (root / "sys/bus/pci/devices").mkdir(parents=True, exist_ok=True)
    chroot(root)(["update-grub"])


def chroot(root: Path) -> Run:
    return Run(root)


class Run:
    """Runs programs inside *root*."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def __call__(self, command: Sequence[str]) -> None:
        environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C"}
        subprocess.run(
            ["chroot", str(self.root), *command], check=True, env=environment, capture_output=True
        )


def applied(root: Path, *arguments: str, entry: str) -> None:
    wanted = policy(*arguments, entry=entry)
    actor = Actor(root, SimulatedMachine(root), chroot(root))
    apply(plan(wanted, read_host(root)).steps, actor, root / journal.DIRECTORY)
    assert plan(wanted, read_host(root)).is_empty


def kernels(root: Path) -> list[str]:
    lines = (root / "boot/grub/grub.cfg").read_text().splitlines()
    return [line.strip() for line in lines if line.strip().startswith("linux\t")]


def test_every_entry_gets_the_arguments_but_those_for_recovery(root: Path) -> None:
    before = (root / "boot/grub/grub.cfg").read_text()
    applied(root, "intel_iommu=on", "iommu=pt", entry="every")
    plain = [line for line in kernels(root) if "single" not in line]
    assert len(plain) == 3  # the newest, and both below "advanced"
    assert all(line.endswith("ro  quiet intel_iommu=on iommu=pt") for line in plain)
    assert all("iommu" not in line for line in kernels(root) if "single" in line)
    rollback(Actor(root, SimulatedMachine(root), chroot(root)), root / journal.DIRECTORY)
    assert (root / "boot/grub/grub.cfg").read_text() == before
    assert not list((root / "etc/default").glob("grub.d/*lanekeeper*"))


def test_a_separate_entry_is_the_default_beside_the_plain_ones(root: Path) -> None:
    before = (root / "boot/grub/grub.cfg").read_text()
    applied(root, "iommu=pt", entry="separate")
    menu = (root / "boot/grub/grub.cfg").read_text()
    assert before.count("menuentry 'Debian GNU/Linux'") == 1
    assert "menuentry 'Debian GNU/Linux - SR-IOV'" in menu
    (chosen,) = [line for line in menu.splitlines() if "$menuentry_id_option 'lanekeeper'" in line]
    after = menu.split(chosen)[1]
    assert "vmlinuz-6.1.0-2-amd64" in after.split("initrd")[0]
    assert "iommu=pt" in after.split("initrd")[0]
    assert [line for line in kernels(root) if "iommu=pt" not in line and "single" not in line]
    assert b"saved_entry=lanekeeper\n" in (root / "boot/grub/grubenv").read_bytes()
    assert 'set default="${saved_entry}"' in menu
    check = subprocess.run(
        ["chroot", str(root), "grub-script-check", "/boot/grub/grub.cfg"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (check.returncode, check.stderr) == (0, "")
    rollback(Actor(root, SimulatedMachine(root), chroot(root)), root / journal.DIRECTORY)
    assert (root / "boot/grub/grub.cfg").read_text() == before
