"""Debian's own GRUB makes the menu, in a root of its own that lies over this machine's.

Only grub-probe is stood in for: it asks the disks, and there are none.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from host.boot.distribution import policy
from host.boot.scratch import Scratch, scratch
from host.carry import apply, rollback
from lanekeeper.domain.hostplan.plan import plan
from lanekeeper.host import journal
from lanekeeper.host.facts import read_host

pytestmark = pytest.mark.service

PROBE = """#!/bin/sh
for word; do case $word in
    --target=fs) echo ext2;; --target=fs_uuid) echo 0a-1b;; --target=device) echo /dev/vda1;;
    --target=abstraction | --target=partmap | --target=hints_string) :;;
    --target=*) echo x;;
esac; done
"""
SETTINGS = 'GRUB_DEFAULT=0\nGRUB_DISTRIBUTOR=Debian\nGRUB_CMDLINE_LINUX_DEFAULT="quiet"\n'


@pytest.fixture
def root(own: Scratch) -> Path:
    return own.root


@pytest.fixture
def own() -> Iterator[Scratch]:
    """Return a root with GRUB and two kernels, whose menu is made."""
    with scratch() as made:
        made.need("usr/sbin/update-grub")
        made.write("usr/sbin/grub-probe", PROBE).chmod(0o755)
        (made.root / "boot/grub").mkdir()
        for release in ("6.1.0-1-amd64", "6.1.0-2-amd64"):
            for name in ("vmlinuz", "initrd.img", "config"):
                made.write(f"boot/{name}-{release}", "x")
        made.write("etc/default/grub", SETTINGS)
        made(["update-grub"])
        yield made


def applied(own: Scratch, *arguments: str, entry: str) -> None:
    wanted = policy(*arguments, entry=entry)
    apply(plan(wanted, read_host(own.root)).steps, own.actor, own.root / journal.DIRECTORY)
    assert plan(wanted, read_host(own.root)).is_empty


def kernels(root: Path) -> list[str]:
    lines = (root / "boot/grub/grub.cfg").read_text().splitlines()
    return [line.strip() for line in lines if line.strip().startswith("linux\t")]


def test_every_entry_gets_the_arguments_but_those_for_recovery(own: Scratch, root: Path) -> None:
    before = (root / "boot/grub/grub.cfg").read_bytes()
    applied(own, "intel_iommu=on", "iommu=pt", entry="every")
    plain = [line for line in kernels(root) if "single" not in line]
    assert len(plain) == 3  # the newest, and both below "advanced"
    assert all(line.endswith("ro  quiet intel_iommu=on iommu=pt") for line in plain)
    assert all("iommu" not in line for line in kernels(root) if "single" in line)
    rollback(own.actor, root / journal.DIRECTORY)
    assert (root / "boot/grub/grub.cfg").read_bytes() == before
    assert not list((root / "etc/default").glob("grub.d/*lanekeeper*"))


def test_a_separate_entry_is_the_default_beside_the_plain_ones(own: Scratch, root: Path) -> None:
    before = (root / "boot/grub/grub.cfg").read_text()
    applied(own, "iommu=pt", entry="separate")
    menu = (root / "boot/grub/grub.cfg").read_text()
    assert before.count("menuentry 'Debian GNU/Linux'") == 1
    assert "menuentry 'Debian GNU/Linux - SR-IOV'" in menu
    (chosen,) = [line for line in menu.splitlines() if "$menuentry_id_option 'lanekeeper'" in line]
    after = menu.split(chosen)[1]
    assert "vmlinuz-6.1.0-2-amd64" in after.split("initrd")[0]
    assert "iommu=pt" in after.split("initrd")[0]
    assert [line for line in kernels(root) if "iommu=pt" not in line and "single" not in line]
    assert own.said("grub-editenv", "-", "list") == "saved_entry=lanekeeper\n"
    assert 'set default="${saved_entry}"' in menu
    own.said("grub-script-check", "/boot/grub/grub.cfg")
    rollback(own.actor, root / journal.DIRECTORY)
    assert (root / "boot/grub/grub.cfg").read_text() == before
    assert own.said("grub-editenv", "-", "list") == ""
