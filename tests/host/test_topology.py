"""NUMA nodes read from sysfs: CPUs, cores, sockets, memory, huge pages."""

from __future__ import annotations

from pathlib import Path

import pytest

from lanekeeper.domain.errors import HostFault
from lanekeeper.domain.hostplan.observed import NumaNode
from lanekeeper.host.simulated import SimulatedMachine, lab_tree
from lanekeeper.host.topology import read_nodes
from lanekeeper.host.tree import plant

NODE = """
sys/devices/system/node/node2/cpulist = 0,4
sys/devices/system/node/node2/meminfo = Node 2 MemTotal:       4194304 kB
sys/devices/system/node/node2/hugepages/hugepages-2048kB/nr_hugepages = 512
sys/devices/system/node/node2/hugepages/hugepages-2048kB/free_hugepages = 12
sys/devices/system/cpu/cpu0/topology/physical_package_id = {package}
sys/devices/system/cpu/cpu0/topology/thread_siblings_list = {siblings}
sys/devices/system/cpu/cpu4/topology/physical_package_id = {package}
sys/devices/system/cpu/cpu4/topology/thread_siblings_list = {siblings}
"""


def test_the_simulated_host_has_two_sockets_whose_cores_have_two_threads(tmp_path: Path) -> None:
    first, second = SimulatedMachine(plant(lab_tree(), tmp_path)).nodes()
    assert (first.socket, second.socket) == (0, 1)
    assert first.memory_mib == second.memory_mib == 131072
    assert first.siblings == tuple((core, core + 16) for core in range(16))
    assert second.siblings == tuple((core, core + 16) for core in range(32, 48))


def test_a_node_as_the_kernel_tells_it(tmp_path: Path) -> None:
    root = plant(NODE.format(package=1, siblings="0,4"), tmp_path)
    assert read_nodes(root) == (
        NumaNode(
            number=2,
            cpus=(0, 4),
            memory_mib=4096,
            huge_pages={2048: (512, 12)},
            socket=1,
            siblings=((0, 4),),
        ),
    )


def test_what_the_kernel_does_not_tell_is_left_open(tmp_path: Path) -> None:
    lines = [line for line in NODE.splitlines() if "system/cpu" not in line]
    (node,) = read_nodes(plant("\n".join(lines), tmp_path / "older"))
    assert (node.socket, node.siblings) == (None, ())
    (node,) = read_nodes(plant(NODE.format(package=-1, siblings="0,4"), tmp_path / "firmware"))
    assert node.socket is None
    assert read_nodes(tmp_path / "nothing") == ()


def test_what_no_kernel_says_is_refused(tmp_path: Path) -> None:
    with pytest.raises(HostFault, match="CPU list"):
        read_nodes(plant(NODE.format(package=0, siblings="4-0"), tmp_path))
