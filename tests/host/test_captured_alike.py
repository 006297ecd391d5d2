"""A captured machine has all that plans are made from: it plans as the machine itself does."""

from dataclasses import replace
from pathlib import Path

import pytest

from host.derived import derive
from host.test_plans import HEALTHY, NAMES, PLANS, host_of
from lanekeeper.host.capture import capture
from lanekeeper.host.facts import read_host
from lanekeeper.host.tree import plant
from lanekeeper.main import main


def planned(name: str, root: Path, capsys: pytest.CaptureFixture[str]) -> str:
    policy = PLANS / name / "policy.yaml"
    code = main(["host", "plan", "--root", str(root), "--policy", str(policy)])
    out, err = capsys.readouterr()
    return f"{out}{err}exit {code}\n".replace(str(root), "")


@pytest.mark.parametrize("name", NAMES)
def test_a_capture_plans_as_what_it_was_taken_of(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = host_of(name, tmp_path / "machine")
    captured = plant(capture(root), tmp_path / "captured")
    assert planned(name, captured, capsys) == planned(name, root, capsys)


MODULES = "lib/modules/6.12.9"
OTHERS = (
    r"alias pci:v000010DEd*sv*sd*bc03sc*i* nouveau\nalias pci:v00008086d000010C9sv*sd*bc*sc*i* igb"
)
MENU = r"set root=hd0\nmenuentry 'A' {\n\tlinux /vmlinuz ro quiet\n}"
STUB = r"search.fs_uuid 1 root\nconfigfile /boot/grub/grub.cfg"


@pytest.mark.parametrize(
    "changes",
    [
        f"{MODULES}/modules.dep = kernel/a/igb-vf.ko.xz: kernel/b/c.ko\\nkernel/d/vfio-pci.ko:",
        f"{MODULES}/modules.dep = ",
        f"{MODULES}/modules.builtin = kernel/drivers/net/ixgbe/ixgbe.ko",
        f"{MODULES}/modules.alias = {OTHERS}",
        "usr/sbin/grub2-mkconfig = #!/bin/sh\netc/default/grub.d /\nboot/grub2/grub.cfg .",
        r"usr/sbin/grub2-mkconfig = #!/bin/sh\nfor x in /etc/default/grub.d/*.cfg; do . $x; done",
        f"usr/sbin/grub2-mkconfig = #!/bin/sh\nboot/grub2/grub.cfg = {MENU}",
        f"usr/sbin/grub-mkconfig = #!/bin/sh\nboot/efi/EFI/debian/grub.cfg = {STUB}\n"
        f"boot/grub/grub.cfg = {MENU}",
        "etc/dracut.conf.d/lanekeeper.conf = # mine\netc/udev -> nowhere",
        "var/lib/lanekeeper-host/changes /\netc/modules-load.d = a file",
    ],
)
def test_a_capture_says_of_the_host_what_the_host_says(changes: str, tmp_path: Path) -> None:
    root = plant(derive(HEALTHY, changes), tmp_path / "machine")
    captured = plant(capture(root), tmp_path / "captured")
    here, there = read_host(root), read_host(captured)
    for module, patterns in there.aliases.items():
        assert set(patterns) <= set(here.aliases[module])
    assert there.aliases.keys() == here.aliases.keys()
    assert replace(there, aliases=here.aliases) == here


def test_lists_of_modules_are_kept_short(tmp_path: Path) -> None:
    dep = f"{MODULES}/modules.dep = kernel/net/a.ko: kernel/net/b.ko\\nkernel/net/b.ko:"
    ids = "".join(rf"\nalias pci:v000010DEd{number:08X}sv* nouveau" for number in range(20))
    text = derive(HEALTHY, f"{dep}\n{MODULES}/modules.alias = {OTHERS}{ids}")
    captured = capture(plant(text, tmp_path))
    assert rf"{MODULES}/modules.dep = a.ko:\nb.ko:" in captured
    assert captured.count(" nouveau") == 1


def test_of_the_boot_menu_no_password_is_kept(tmp_path: Path) -> None:
    menu = rf"boot/grub/grub.cfg = password_pbkdf2 root grub.pbkdf2.X\n{MENU}"
    captured = capture(plant(derive(HEALTHY, menu), tmp_path))
    assert "pbkdf2" not in captured
    assert "linux /vmlinuz ro quiet" in captured
