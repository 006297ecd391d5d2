from pathlib import Path

import pytest

from lanekeeper.domain.pci.address import PciAddress
from lanekeeper.host.capture import capture
from lanekeeper.host.disk import read_mounted
from lanekeeper.host.tree import plant

NVME = "sys/devices/pci0000:00/0000:00:1d.0/0000:01:00.0/nvme/nvme0/nvme0n1"
TREE = f"""
proc/self/mounts = proc /proc proc rw\\n/dev/nvme0n1p1 /boot ext4 rw\\n/dev/mapper/vg-root / xfs rw
{NVME}/nvme0n1p1/partition = 1
{NVME}/nvme0n1p2/partition = 2
sys/class/block/nvme0n1p1 -> ../../../{NVME}/nvme0n1p1
sys/class/block/nvme0n1p2 -> ../../../{NVME}/nvme0n1p2
sys/class/block/dm-0 -> ../../devices/virtual/block/dm-0
sys/devices/virtual/block/dm-0/dm/name = vg-root
sys/devices/virtual/block/dm-0/slaves/nvme0n1p2 -> ../../../../../../{NVME}/nvme0n1p2
"""


def test_what_is_mounted_is_found_below_its_function_through_lvm(tmp_path: Path) -> None:
    mounted = read_mounted(plant(TREE, tmp_path))
    assert mounted == {PciAddress.parse("0000:01:00.0"): ("/boot", "/")}


def test_a_tree_without_mounts_has_none(tmp_path: Path) -> None:
    assert read_mounted(tmp_path) == {}


def test_swap_counts_and_a_drive_below_its_nvme_subsystem_has_the_functions_of_its_paths(
    tmp_path: Path,
) -> None:
    path = "sys/devices/pci0000:00/0000:02:00.0/nvme/nvme0/nvme0c0n1"
    drive = "sys/devices/virtual/nvme-subsystem/nvme-subsys0/nvme0n1"
    tree = f"""
proc/swaps = Filename Type Size Used Priority\\n/dev/nvme0n1p3 partition 8 0 -2
{path}/size = 1
{drive}/nvme0n1p3/partition = 3
sys/class/block/nvme0c0n1 -> ../../../{path}
sys/class/block/nvme0n1p3 -> ../../../{drive}/nvme0n1p3
"""
    assert read_mounted(plant(tree, tmp_path)) == {PciAddress.parse("0000:02:00.0"): ("swap",)}


POOL = f"""
sys/class/block/nvme0n1p1 -> ../../../{NVME}/nvme0n1p1
{NVME}/nvme0n1p1/partition = 1
sys/dev/block/259:1 -> ../../../{NVME}/nvme0n1p1
run/udev/data/b259:1 = I:123\\nE:ID_FS_LABEL=rpool\\nE:ID_SERIAL=S5GX\\nE:ID_FS_TYPE=zfs_member
run/udev/data/b8:0 = E:ID_FS_TYPE=ext4
run/udev/data/c1:1 = E:ID_FS_TYPE=zfs_member
"""
FUNCTION = PciAddress.parse("0000:01:00.0")


@pytest.mark.parametrize(
    ("more", "places"),
    [
        ("", ("the ZFS pool rpool",)),
        ("proc/self/mounts = other/a / zfs rw\\n", ("the ZFS pool rpool",)),
        ("proc/self/mounts = rpool/ROOT/debian / zfs rw\\n", ("the ZFS pool rpool", "/")),
        (
            "proc/swaps = Filename Type\\n/dev/zd0 partition 8 0 -2\n",
            ("the ZFS pool rpool", "swap"),
        ),
    ],
)
def test_members_of_zfs_pools_are_in_use_and_captured_as_such(
    more: str, places: tuple[str, ...], tmp_path: Path
) -> None:
    host = plant(POOL + more, tmp_path / "host")
    assert read_mounted(host) == {FUNCTION: places}
    text = capture(host)
    assert "S5GX" not in text
    assert read_mounted(plant(text, tmp_path / "captured")) == {FUNCTION: places}


def test_every_device_of_a_btrfs_is_in_use_and_captured_as_such(tmp_path: Path) -> None:
    other = NVME.replace("1d.0/0000:01", "1e.0/0000:02").replace("nvme0", "nvme1")
    third = NVME.replace("1d.0/0000:01", "1f.0/0000:03").replace("nvme0", "nvme2")
    mapping = "sys/devices/virtual/block/dm-0"
    btrfs = "sys/fs/btrfs/6f1c-uuid/devices"
    tree = f"""
proc/self/mounts = /dev/nvme0n1p1 /srv btrfs rw,subvol=/\\n
{NVME}/nvme0n1p1/partition = 1
{other}/nvme1n1p1/partition = 1
{third}/size = 9
{mapping}/dm/name = luks
{mapping}/slaves/nvme2n1 -> ../../../../../../{third}
sys/class/block/nvme0n1p1 -> ../../../{NVME}/nvme0n1p1
sys/class/block/nvme1n1p1 -> ../../../{other}/nvme1n1p1
sys/class/block/nvme2n1 -> ../../../{third}
sys/class/block/dm-0 -> ../../../{mapping}
{btrfs}/nvme0n1p1 -> ../../../../../{NVME}/nvme0n1p1
{btrfs}/nvme1n1p1 -> ../../../../../{other}/nvme1n1p1
{btrfs}/dm-0 -> ../../../../../{mapping}
"""
    functions = [PciAddress.parse(f"0000:0{bus}:00.0") for bus in (1, 2, 3)]
    root = plant(tree, tmp_path / "host")
    assert read_mounted(root) == dict.fromkeys(functions, ("/srv",))
    captured = plant(capture(root), tmp_path / "captured")
    assert read_mounted(captured) == dict.fromkeys(functions, ("/srv",))
