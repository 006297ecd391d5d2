"""What of a lab host outlasts a reboot: its disk, its boot menu, the services enabled in it."""

from __future__ import annotations

import shutil
import subprocess
from graphlib import CycleError
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lanekeeper.domain.errors import HostFault, Invalid, Unavailable
from lanekeeper.lab import boot_menu, disk
from lanekeeper.lab.cache import Cache
from lanekeeper.lab.folder import LabFolder
from lanekeeper.lab.inside import boot_loader
from lanekeeper.lab.inside.init import kvm_modules
from lanekeeper.lab.inside.unit import Unit, in_order, parse
from lanekeeper.lab.machine import with_kernel_arguments
from lanekeeper.lab.reboot import reboot


def test_the_first_entry_counts_and_a_menu_without_one_is_refused() -> None:
    menu = "set x\nmenuentry 'A' {\n\tlinux  /vmlinuz  a=1   b\n}\n\tlinux /other c\n"
    assert boot_menu.kernel_arguments(menu) == "a=1 b"
    assert boot_menu.kernel_arguments("linux\t/vmlinuz\n") == ""
    with pytest.raises(Invalid, match="has no line `linux KERNEL ARGUMENTS`"):
        boot_menu.kernel_arguments("# linux /vmlinuz\nlinux\n")


def test_update_grub_follows_settings_and_drop_ins_as_a_shell_does(tmp_path: Path) -> None:
    text = boot_loader.UPDATE_TEXT
    for name in ("/etc", "/boot"):
        text = text.replace(f" {name}/", f" {tmp_path}{name}/").replace(
            f">{name}/", f">{tmp_path}{name}/"
        )
    drop_ins = tmp_path / "etc/default/grub.d"
    drop_ins.mkdir(parents=True)
    (tmp_path / "etc/default/grub").write_text(boot_loader.SETTINGS_TEXT)
    (drop_ins / "90-x.cfg").write_text(
        'GRUB_CMDLINE_LINUX_DEFAULT="$GRUB_CMDLINE_LINUX_DEFAULT x=1"\n'
    )
    (drop_ins / "95-not.txt").write_text("exit 1\n")
    subprocess.run(["sh", "-c", text], check=True)
    menu = (tmp_path / "boot/grub/grub.cfg").read_text()
    words = f"{boot_menu.ALWAYS} {boot_menu.DEFAULT} x=1"
    assert boot_menu.kernel_arguments(menu) == words
    assert with_kernel_arguments(["qemu", "-append", "old", "-m"], words)[1:3] == ["-append", words]
    (drop_ins / "91-broken.cfg").write_text("exit 7\n")
    assert subprocess.run(["sh", "-c", text], check=False).returncode == 7
    assert (tmp_path / "boot/grub/grub.cfg").read_text() == menu


@pytest.mark.skipif(shutil.which("mkfs.ext4") is None, reason="no e2fsprogs: ./dev setup has them")
def test_a_disk_is_read_without_being_mounted(tmp_path: Path) -> None:
    image, menu = tmp_path / "disk.img", tmp_path / "menu"
    disk.make(image)
    assert image.stat().st_blocks * 512 < 32 * 2**20  # holes
    assert image.stat().st_mode & 0o077 == 0
    with pytest.raises(HostFault, match=r"disk has no /boot/grub/grub\.cfg"):
        disk.read(image, boot_menu.MENU)
    menu.write_bytes(b"linux /vmlinuz a=1\n\xff")
    for request in ("mkdir files", "mkdir files/boot", f"write {menu} files/boot/menu"):
        subprocess.run(["debugfs", "-w", "-R", request, str(image)], check=True)
    assert disk.read(image, "/boot/menu") == menu.read_bytes()
    with image.open("r+b") as file:  # the superblock, and what would stand in for it
        file.truncate(1024)
    with pytest.raises(HostFault, match="e2fsck"):
        disk.read(image, "/boot/menu")


@pytest.mark.parametrize("is_there", [False, True])
def test_a_lab_that_never_got_ready_is_not_started_again(tmp_path: Path, is_there: bool) -> None:
    folder = LabFolder("h1", tmp_path)
    if is_there:
        folder.create()
    with pytest.raises(Unavailable, match=r"h1 never got ready|there is no lab h1"):
        reboot(folder, Cache(tmp_path), print)


def test_a_unit_says_what_it_runs_and_beside_whom() -> None:
    unit = parse(
        "a.service",
        "[Unit]\nAfter=b.service \\\n  c.service\nAfter=d.service\n#Before=x.service\n"
        "Before=e.service\n[Service]\nType = oneshot\nExecStart=/bin/a\nExecStart=\n"
        "ExecStart=-/bin/b 'c d'\n[Install]\nWantedBy=multi-user.target\n",
    )
    assert unit == Unit(
        "a.service",
        after=frozenset({"b.service", "c.service", "d.service"}),
        before=frozenset({"e.service"}),
        is_oneshot=True,
        commands=("-/bin/b 'c d'",),
    )


NAMES = [f"{letter}.service" for letter in "abcde"]


@given(st.lists(st.tuples(st.sampled_from(NAMES), st.sampled_from(NAMES), st.booleans())))
def test_units_start_in_the_order_they_ask_for(wishes: list[tuple[str, str, bool]]) -> None:
    after = {name: frozenset(b for a, b, is_after in wishes if is_after and a == name)
             for name in NAMES}  # fmt: skip
    before = {name: frozenset(b for a, b, is_after in wishes if not is_after and a == name)
              for name in NAMES}  # fmt: skip
    units = [
        Unit(name, after[name] | {"network.target"}, before[name], is_oneshot=True, commands=())
        for name in NAMES
    ]
    try:
        order = [unit.name for unit in in_order(units)]
    except CycleError:
        return
    assert sorted(order) == NAMES
    for first, second, is_after in wishes:
        assert (order.index(first) > order.index(second)) == is_after


def test_units_that_ask_for_nothing_start_by_name_and_a_circle_is_an_error() -> None:
    plain = [parse(name, "") for name in reversed(NAMES)]
    assert [unit.name for unit in in_order(plain)] == NAMES
    circle = [parse("a.service", "After=b.service"), parse("b.service", "After=a.service")]
    with pytest.raises(CycleError):
        in_order(circle)


@pytest.mark.parametrize(
    ("flags", "modules"), [("fpu svm npt", ["kvm_amd"]), ("vmx fpu", ["kvm_intel"]), ("fpu", [])]
)
def test_the_module_that_runs_guests_follows_from_the_processor(
    flags: str, modules: list[str]
) -> None:
    processor = f"processor : 0\nvmx flags : ept\nflags\t\t: {flags}\n"
    assert kvm_modules(processor * 2) == modules
    assert kvm_modules("") == []
