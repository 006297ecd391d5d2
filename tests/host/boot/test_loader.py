from pathlib import Path

import pytest

from lanekeeper.cli.host.image import plan_for
from lanekeeper.domain.hostplan.boot_loader import Loader
from lanekeeper.host.boot.loader import read_boot_loader, read_command_line
from lanekeeper.host.capture import capture
from lanekeeper.host.image import Image
from lanekeeper.host.policy_file import read_policy
from lanekeeper.host.tree import plant


def configured(directory: Path, grub: str, **drop_ins: str) -> tuple[str, ...] | None:
    (directory / "etc/default/grub.d").mkdir(parents=True)
    (directory / "etc/default/grub").write_text(grub)
    for name, text in drop_ins.items():
        (directory / f"etc/default/grub.d/{name}.cfg").write_text(text)
    return read_boot_loader(directory).arguments


@pytest.mark.parametrize(
    ("grub", "arguments"),
    [
        ('GRUB_CMDLINE_LINUX="a b"\nGRUB_CMDLINE_LINUX_DEFAULT="c"', ("a", "b", "c")),
        ("GRUB_CMDLINE_LINUX=a # b\n# GRUB_CMDLINE_LINUX=c", ("a",)),
        ('X=1\nGRUB_CMDLINE_LINUX="$X ${X}2 $NONE"', ("1", "12")),
        ("export GRUB_CMDLINE_LINUX='a  b'", ("a", "b")),
        ('GRUB_CMDLINE_LINUX="a"\nGRUB_CMDLINE_LINUX+=" b"', ("a", "b")),
        ('GRUB_CMDLINE_LINUX="a \\\nb"', ("a", "b")),
        ("GRUB_DISTRIBUTOR=`lsb_release`\nGRUB_CMDLINE_LINUX='a'", ("a",)),
        ("X='one\ntwo'\nGRUB_CMDLINE_LINUX=a # don't", ("a",)),
    ],
)
def test_settings_are_followed_as_a_shell_would(
    tmp_path: Path, grub: str, arguments: tuple[str, ...]
) -> None:
    assert configured(tmp_path, grub) == arguments


@pytest.mark.parametrize(
    ("grub", "where"),
    [
        (
            b"A=1\nGRUB_CMDLINE_LINUX='unclosed\nB=2\n",
            "/etc/default/grub:2 is",
        ),
        (
            b'A=1\nGRUB_CMDLINE_LINUX="a' + b"\nB=2" * 5000,
            "/etc/default/grub:2 is to",
        ),
        (b"A=1\nB=2\n\x7fELF\x00\x01", "/etc/default/grub:3 is to be mended first, it is no text"),
        (b"\xff\xfeG\0R\0", "/etc/default/grub:1 is to be mended first, it is no text"),
    ],
)
def test_settings_that_no_shell_would_read_are_not_added_to(
    tmp_path: Path, grub: bytes, where: str
) -> None:
    (tmp_path / "etc/default").mkdir(parents=True)
    (tmp_path / "etc/default/grub").write_bytes(grub)
    (tmp_path / "policy").write_text("version: 1\nkernel_arguments: [iommu=pt]\n")
    found = read_boot_loader(tmp_path)
    assert found.arguments is None
    assert found.settings.doubt.startswith(where)
    image = Image(tmp_path)
    (refusal,) = plan_for(read_policy(tmp_path / "policy"), image).refusals
    assert refusal.reason.startswith(where)


def test_drop_ins_come_after_in_order(tmp_path: Path) -> None:
    arguments = configured(
        tmp_path,
        'GRUB_CMDLINE_LINUX="a"',
        **{
            "90-z": 'GRUB_CMDLINE_LINUX="$GRUB_CMDLINE_LINUX z"',
            "10-b": 'GRUB_CMDLINE_LINUX="$GRUB_CMDLINE_LINUX b"',
        },
    )
    assert arguments == ("a", "b", "z")


def test_a_boot_loader_that_is_not_known_says_where_it_was_looked_for(tmp_path: Path) -> None:
    found = read_boot_loader(tmp_path)
    assert found.arguments is None
    assert found.files == (
        "etc/default/grub",
        "boot/loader/entries/*.conf",
        "efi/loader/entries/*.conf",
        "boot/efi/loader/entries/*.conf",
    )


def test_the_running_command_line(tmp_path: Path) -> None:
    plant("proc/cmdline = root=/dev/sda1  ro quiet", tmp_path)
    assert read_command_line(tmp_path) == ("root=/dev/sda1", "ro", "quiet")


@pytest.mark.parametrize(
    "tree",
    [
        "efi/EFI/Linux/debian-6.12.efi = PE\nefi/loader/entries/a.conf = options ro\n",
        "boot/EFI/Linux/arch.efi = PE\nboot/loader/entries/a.conf = options ro\n",
        "boot/efi/EFI/Linux/f.efi = PE\n",
        "run/ostree-booted =\nboot/loader/entries/ostree-1.conf = options ro ostree=/x\n",
        "etc/default/grub = GRUB_ENABLE_BLSCFG=true\nusr/bin/grubby = x\n"
        "boot/loader/entries/a.conf = options $kernelopts\n"
        "boot/efi/EFI/redhat/grubenv = # GRUB Environment Block\\nkernelopts=ro quiet\n",
    ],
)
def test_a_capture_has_what_tells_the_boot_loader(tree: str, tmp_path: Path) -> None:
    host = plant(f"proc/cmdline = ro\n{tree}", tmp_path / "host")
    captured = plant(capture(host), tmp_path / "captured")
    told = read_boot_loader(host)
    assert told.arguments is not None or told.settings.loader is None
    assert read_boot_loader(captured) == told


def grub_host(root: Path, *files: str, maker: str = "") -> Path:
    """A host with GRUB's settings and *files*, of which menus have an entry."""
    for name in ("etc/default/grub", *files):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text("linux /vmlinuz root=/dev/sda1\n" if "grub.cfg" in name else "")
    if maker:
        (root / "usr/sbin").mkdir(parents=True, exist_ok=True)
        (root / "usr/sbin/grub2-mkconfig").write_text(maker)
    return root


def test_a_menu_that_nothing_makes_anew_is_not_written_for(tmp_path: Path) -> None:
    found = read_boot_loader(grub_host(tmp_path, "boot/grub2/grub.cfg")).settings
    assert found.loader is None
    assert "nothing here makes GRUB's menu /boot/grub2/grub.cfg anew" in found.doubt
    mended = read_boot_loader(grub_host(tmp_path, maker="#!/bin/sh\n")).settings
    assert (mended.loader, mended.update) == (
        Loader.GRUB_SETTINGS,
        ("grub2-mkconfig", "-o", "/boot/grub2/grub.cfg"),
    )


def test_the_only_menu_of_an_image_may_lie_on_its_esp(tmp_path: Path) -> None:
    image = grub_host(tmp_path, "boot/efi/EFI/redhat/grub.cfg", maker="#!/bin/sh\n")
    update = ("grub2-mkconfig", "-o", "/boot/efi/EFI/redhat/grub.cfg")
    assert read_boot_loader(image).settings.update == update


@pytest.mark.parametrize(
    ("maker", "loader"),
    [
        ("#!/bin/sh\n. /etc/default/grub\n", Loader.GRUB_SETTINGS),
        ("#!/bin/sh\nfor x in /etc/default/grub.d/*.cfg; do . $x; done\n", Loader.GRUB_DROP_IN),
        ("", Loader.GRUB_DROP_IN),
    ],
)
def test_a_directory_for_drop_ins_does_not_make_grub_read_them(
    tmp_path: Path, maker: str, loader: Loader
) -> None:
    """The script that makes the menu says what it reads; a captured one is without its text."""
    root = grub_host(tmp_path, "boot/grub2/grub.cfg", "etc/default/grub.d/own.cfg", maker=" ")
    (root / "usr/sbin/grub2-mkconfig").write_text(maker)
    assert read_boot_loader(root).settings.loader is loader
