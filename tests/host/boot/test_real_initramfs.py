"""initramfs-tools and dracut themselves put what a policy writes into the first root file system.

Both in a root of their own, with the lab's kernel and its modules; what is in the images is told by
lsinitramfs and lsinitrd, which also hold our own reader against what they see.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from host.boot.scratch import Scratch, scratch
from host.carry import apply, rollback
from lanekeeper.domain.hostplan.plan import plan
from lanekeeper.domain.hostplan.policy.policy import Policy, parse_policy
from lanekeeper.host import journal
from lanekeeper.host.facts import read_host
from lanekeeper.host.initramfs import read_initramfs

pytestmark = pytest.mark.service

OPTION_FILE = "etc/modprobe.d/lanekeeper.conf"
OPTIONS = "options igb RSS=2"
DRACUT = """\
hostonly="{hostonly}"
dracutmodules="bash base kernel-modules rootfs-block udev-rules"
drivers="igb"
filesystems="ext4"
compress="cat"
do_strip="no"
"""
"""Neither packed nor stripped, which is most of dracut's work; initramfs-tools packs."""


@pytest.fixture
def own() -> Iterator[Scratch]:
    with scratch() as made:
        yield made


def policy() -> Policy:
    options = {"igb": ["RSS=2"]}
    return parse_policy({"version": 1, "persist": False, "module_options": options})


def applied(own: Scratch) -> None:
    apply(plan(policy(), read_host(own.root)).steps, own.actor, own.root / journal.DIRECTORY)
    assert plan(policy(), read_host(own.root)).is_empty


def taken_back(own: Scratch) -> None:
    outcome = rollback(own.actor, own.root / journal.DIRECTORY)
    assert outcome is not None
    assert outcome.left == ()


def with_initramfs_tools(own: Scratch) -> tuple[str, str]:
    """Make a first image; return the kernel's release, and where the image is."""
    own.need("usr/sbin/update-initramfs")
    release = own.add_kernel()
    configuration = own.root / "etc/initramfs-tools/initramfs.conf"
    text = re.sub("^MODULES=.*", "MODULES=list", configuration.read_text(), flags=re.MULTILINE)
    configuration.write_text(text)
    own.write("etc/initramfs-tools/modules", "igb\n")
    own.write("var/lib/initramfs-tools/x", "")
    own(["update-initramfs", "-c", "-k", release])
    return release, f"boot/initrd.img-{release}"


def with_dracut(own: Scratch, hostonly: str) -> tuple[str, str]:
    own.need("usr/bin/dracut")
    (own.root / "usr/sbin/update-initramfs").unlink(missing_ok=True)
    release = own.add_kernel()
    own.write("etc/dracut.conf.d/10-test.conf", DRACUT.format(hostonly=hostonly))
    own.write("etc/fstab", "")
    own(["dracut", "--force", "--kver", release])
    (image,) = (own.root / "boot").glob("init*")
    return release, f"boot/{image.name}"


def files(listing: str) -> set[str]:
    return {line.split()[-1] for line in listing.splitlines() if line}


def assert_read_alike(own: Scratch, release: str, image: str, listed: set[str]) -> None:
    """Our reader finds the image, and in it the modules that its own maker's tool lists."""
    found = read_initramfs(own.root, release)
    assert found is not None
    assert found.path == image
    modules = {Path(name).name.partition(".ko")[0] for name in listed if ".ko" in name}
    assert found.modules == {name.replace("-", "_") for name in modules}
    assert "igb" in found.modules
    assert (OPTIONS in found.modprobe) == (OPTION_FILE in listed)


def test_initramfs_tools_takes_the_options_in_and_out(own: Scratch) -> None:
    release, image = with_initramfs_tools(own)
    bare = files(own.said("lsinitramfs", f"/{image}"))
    assert OPTION_FILE not in bare
    assert_read_alike(own, release, image, bare)
    applied(own)
    listed = files(own.said("lsinitramfs", f"/{image}"))
    assert listed - bare == {OPTION_FILE}
    assert_read_alike(own, release, image, listed)
    taken_back(own)
    assert files(own.said("lsinitramfs", f"/{image}")) == bare


@pytest.mark.parametrize("hostonly", ["yes", "no"])
def test_dracut_takes_the_options_in_and_out(own: Scratch, hostonly: str) -> None:
    release, image = with_dracut(own, hostonly)
    bare = files(own.said("lsinitrd", f"/{image}"))
    assert OPTION_FILE not in bare
    applied(own)
    listed = files(own.said("lsinitrd", f"/{image}"))
    assert OPTION_FILE in listed
    assert OPTIONS in own.said("lsinitrd", "-f", OPTION_FILE, f"/{image}")
    assert_read_alike(own, release, image, listed)
    taken_back(own)
    assert OPTION_FILE not in files(own.said("lsinitrd", f"/{image}"))
