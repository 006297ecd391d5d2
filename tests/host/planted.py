"""Hosts for tests: text trees, the lab's captured host, and simulated machines."""

from __future__ import annotations

import os
from pathlib import Path

from lanekeeper.domain.pci.address import PciAddress
from lanekeeper.host.simulated import SimulatedMachine, lab_tree
from lanekeeper.host.tree import plant

PF = PciAddress.parse("0000:21:00.0")
OTHER_PF = PciAddress.parse("0000:41:00.0")
VF0 = PciAddress.parse("0000:21:10.0")
NVME = PciAddress.parse("0000:22:00.0")

CAPTURED_LAB = Path(__file__).parent / "trees/lab-host.tree"
SAMPLE_POLICY = Path(__file__).parents[2] / "packaging/policy.sample.yaml"

ONE_PF_TWO_VFS = """
sys/bus/pci/devices/0000:3b:00.0/vendor = 0x15b3
sys/bus/pci/devices/0000:3b:00.0/device = 0x1017
sys/bus/pci/devices/0000:3b:00.0/class = 0x020000
sys/bus/pci/devices/0000:3b:00.0/numa_node = 0
sys/bus/pci/devices/0000:3b:00.0/sriov_totalvfs = 8
sys/bus/pci/devices/0000:3b:00.0/sriov_numvfs = 2
sys/bus/pci/devices/0000:3b:00.0/sriov_drivers_autoprobe = 1
sys/bus/pci/devices/0000:3b:00.0/virtfn0 -> ../0000:3b:00.2
sys/bus/pci/devices/0000:3b:00.0/virtfn1 -> ../0000:3b:00.3
sys/bus/pci/devices/0000:3b:00.0/driver -> ../../drivers/mlx5_core
sys/bus/pci/devices/0000:3b:00.0/net/ens1f0np0/address = b8:ce:f6:00:00:01
sys/bus/pci/devices/0000:3b:00.0/net/ens1f0np0/ifindex = 7
sys/bus/pci/devices/0000:3b:00.0/net/ens1f0np0/phys_port_name = p0
sys/bus/pci/devices/0000:3b:00.0/net/ens1f0_0/address = 02:00:00:00:00:01
sys/bus/pci/devices/0000:3b:00.0/net/ens1f0_0/phys_port_name = pf0vf0
sys/bus/pci/devices/0000:3b:00.2/vendor = 0x15b3
sys/bus/pci/devices/0000:3b:00.2/device = 0x1018
sys/bus/pci/devices/0000:3b:00.2/class = 0x020000
sys/bus/pci/devices/0000:3b:00.2/numa_node = 0
sys/bus/pci/devices/0000:3b:00.2/iommu_group -> ../../../../kernel/iommu_groups/42
sys/bus/pci/devices/0000:3b:00.2/physfn -> ../0000:3b:00.0
sys/bus/pci/devices/0000:3b:00.3/uevent = PCI_CLASS=20000\\nPCI_ID=15B3:1018\\nPCI_SLOT_NAME=x
sys/bus/pci/devices/0000:3b:00.3/numa_node = -1
sys/bus/pci/devices/0000:3b:00.3/physfn -> ../0000:3b:00.0
"""


def simulated(directory: Path) -> SimulatedMachine:
    """Return the lab's host before its policy, in *directory*."""
    return SimulatedMachine(plant(lab_tree(), directory))


def snapshot(root: Path, leave_out: str = "var") -> dict[str, str]:
    """Return every path below *root* with what stands there, to compare before and after."""
    found: dict[str, str] = {}
    _look_into(str(root), "", leave_out, found)
    return found


def _look_into(directory: str, name: str, leave_out: str, found: dict[str, str]) -> None:
    """Add what is in *directory*, *name* below the root. Strings are quicker than paths."""
    with os.scandir(directory) as entries:
        for entry in sorted(entries, key=lambda entry: entry.name):
            if not name and entry.name == leave_out:
                continue
            inner = f"{name}{entry.name}"
            if entry.is_symlink():
                found[inner] = f"-> {os.readlink(entry.path)}"  # noqa: PTH115
            elif entry.is_dir():
                found[inner] = "/"
                _look_into(entry.path, f"{inner}/", leave_out, found)
            else:
                with open(entry.path, encoding="latin-1") as file:  # noqa: PTH123
                    found[inner] = file.read()
