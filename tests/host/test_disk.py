from pathlib import Path

from lanekeeper.domain.pci.address import PciAddress
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
