from pathlib import Path

import pytest

from host.planted import CAPTURED_LAB, PF, simulated
from lanekeeper.domain.hostplan.observed import NumaNode
from lanekeeper.host.facts import read_host
from lanekeeper.host.simulated import lab_tree
from lanekeeper.host.topology import cpu_list
from lanekeeper.host.tree import plant


def test_the_simulated_lab_host(tmp_path: Path) -> None:
    simulated(tmp_path)
    host = read_host(tmp_path)
    assert (host.cpus_online, len(host.nodes), host.kvm) == (64, 2, True)
    assert sum(node.memory_mib for node in host.nodes) == 256 * 1024
    assert host.interrupt_remapping.holds is True
    assert host.iommu_modes == {"identity": 9}
    assert host.configured_cmdline == ("intel_iommu=on", "iommu=pt", "quiet")
    assert host.autoprobe[PF] is True
    management = [i.name for i in host.interfaces if i.is_management]
    assert management == ["enp0s2"]


def test_the_lab_host_as_it_was_captured(tmp_path: Path) -> None:
    host = read_host(plant(CAPTURED_LAB.read_text(), tmp_path))
    assert host.release == "6.12.95+deb12-amd64"
    assert {"vfio_pci", "igb", "kvm_amd"} <= host.modules
    assert "vfio_pci" in host.loadable
    assert "svm" in host.cpu_flags
    assert host.device_faults == ()
    assert [(str(pf.address), pf.netdev, pf.total_vfs) for pf in host.pfs] == [
        ("0000:21:00.0", "ens1", 7),
        ("0000:22:00.0", None, 4),
        ("0000:41:00.0", "ens2", 7),
    ]
    assert host.interrupt_remapping.source == "/proc/interrupts has IR-IO-APIC"
    assert host.configured_cmdline is None
    # No default route there: whoever has an address carries the host's traffic.
    names = {i.name: i.is_management for i in host.interfaces}
    assert names == {"enp0s3": True, "ens1": False, "ens2": False}


def test_an_empty_tree_is_a_host_without_anything(tmp_path: Path) -> None:
    host = read_host(tmp_path)
    assert (host.devices, host.nodes, host.kvm) == ((), (), False)
    assert host.interrupt_remapping.holds is None


@pytest.mark.parametrize(
    ("interrupts", "ecap", "holds"),
    [
        (r" 24: 0 IR-PCI-MSIX-0000:21:00.0 0-edge", "f00f5e", True),
        (r" 24: 0 PCI-MSI 0-edge nvme", "f00f5e", False),
        (r" 24: 0 PCI-MSI 0-edge FAIR-USE", "f00f5e", False),
        (r" 24: 0 PCI-MSI 0-edge nvme", "f00f56", False),
        (None, "f00f5e", None),
        (None, "f00f56", False),
    ],
)
def test_interrupt_remapping_is_told_from_chips_and_capability(
    tmp_path: Path, interrupts: str | None, ecap: str, holds: bool | None
) -> None:
    lines = [line for line in lab_tree().splitlines() if "/ecap" not in line]
    lines = [line for line in lines if not line.startswith("proc/interrupts")]
    lines.append(f"sys/devices/virtual/iommu/dmar0/intel-iommu/ecap = {ecap}")
    if interrupts:
        lines.append(f"proc/interrupts = {interrupts}")
    found = read_host(plant("\n".join(lines), tmp_path)).interrupt_remapping
    assert found.holds is holds
    assert found.source


def test_huge_pages_and_cpus_of_a_node(tmp_path: Path) -> None:
    base = "sys/devices/system/node/node1"
    plant(
        f"{base}/cpulist = 4-5,8\n{base}/meminfo = Node 1 MemTotal:  2048 kB\n"
        f"{base}/hugepages/hugepages-2048kB/nr_hugepages = 10\n"
        f"{base}/hugepages/hugepages-2048kB/free_hugepages = 4\n",
        tmp_path,
    )
    wanted = NumaNode(number=1, cpus=(4, 5, 8), memory_mib=2, huge_pages={2048: (10, 4)})
    assert read_host(tmp_path).nodes == (wanted,)


@pytest.mark.parametrize(
    ("text", "cpus"), [("", ()), ("0", (0,)), ("0-2", (0, 1, 2)), ("0-1,4,6-7\n", (0, 1, 4, 6, 7))]
)
def test_cpu_lists(text: str, cpus: tuple[int, ...]) -> None:
    assert cpu_list(text) == cpus


def test_a_builtin_module_counts(tmp_path: Path) -> None:
    plant(
        "proc/version = Linux version 6.1.0 (x)\n"
        "lib/modules/6.1.0/modules.builtin = kernel/drivers/vfio/pci/vfio-pci.ko\n",
        tmp_path,
    )
    assert "vfio_pci" in read_host(tmp_path).modules


NICS = """
proc/net/route = Iface\\tDestination\\tGateway\\tFlags\\tRefCnt\\tUse\\tMetric\\tMask\\n{routes}
sys/class/net/bond0 -> ../../devices/virtual/net/bond0
sys/devices/virtual/net/bond0/flags = 0x1003
sys/devices/virtual/net/bond0/lower_eth0 -> ../../../pci0000:00/0000:01:00.0/net/eth0
sys/class/net/br0 -> ../../devices/virtual/net/br0
sys/devices/virtual/net/br0/lower_bond0 -> ../bond0
sys/class/net/eth0 -> ../../devices/pci0000:00/0000:01:00.0/net/eth0
sys/devices/pci0000:00/0000:01:00.0/net/eth0/flags = 0x1003
sys/class/net/eth1 -> ../../devices/pci0000:00/0000:02:00.0/net/eth1
sys/devices/pci0000:00/0000:02:00.0/net/eth1/flags = 0x1002
"""
DEFAULT = "{}\\t00000000\\t0101A8C0\\t3\\t0\\t0\\t0\\t00000000"
SUBNET = "{}\\t0001A8C0\\t00000000\\t1\\t0\\t0\\t0\\t00FFFFFF"


def interfaces(directory: Path, *routes: str) -> dict[str, tuple[bool, tuple[str, ...]]]:
    host = read_host(plant(NICS.format(routes="\\n".join(routes)), directory))
    return {i.name: (i.is_management, i.carries) for i in host.interfaces}


def test_a_default_route_through_a_bridge_on_a_bond_is_followed_down(tmp_path: Path) -> None:
    found = interfaces(tmp_path, DEFAULT.format("br0"), SUBNET.format("eth1"))
    assert found == {
        "eth0": (True, ("the default route",)),
        "eth1": (False, ("192.168.1.0/24",)),
    }


def test_without_a_default_route_every_address_counts(tmp_path: Path) -> None:
    found = interfaces(tmp_path, SUBNET.format("eth1"))
    assert found == {"eth0": (False, ()), "eth1": (True, ("192.168.1.0/24",))}


def test_a_default_route_of_ipv6_counts(tmp_path: Path) -> None:
    zero, gateway = "0" * 32, "fe80" + "0" * 27 + "1"
    row = f"{zero} 00 {zero} 00 {gateway} 00000400 00000001 00000000 00000003     eth1"
    plant(f"proc/net/ipv6_route = {row}\n", tmp_path)
    assert interfaces(tmp_path)["eth1"] == (True, ("the default route",))


def test_garbage_in_flags_sets_its_function_aside(tmp_path: Path) -> None:
    tree = NICS.format(routes="").replace("0x1002", "what")
    host = read_host(plant(tree, tmp_path))
    assert "eth1" not in {each.name for each in host.interfaces}
    assert any("eth1/flags is 'what', not a number" in reason for _, reason in host.device_faults)
