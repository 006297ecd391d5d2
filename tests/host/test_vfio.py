from pathlib import Path

import pytest

from host.planted import PF, VF0, simulated
from lanekeeper.domain.errors import HostFault, Invalid, NotFound
from lanekeeper.domain.pci.address import PciAddress
from lanekeeper.host.simulated import SimulatedMachine


@pytest.fixture
def machine(tmp_path: Path) -> SimulatedMachine:
    machine = simulated(tmp_path)
    machine.set_autoprobe(PF, False)
    machine.create_vfs(PF, 7)
    return machine


def override(machine: SimulatedMachine) -> str:
    path = machine.root / "sys/bus/pci/devices" / str(VF0) / "driver_override"
    return path.read_text().strip()


def test_a_vf_goes_to_vfio_and_back_to_what_it_had(machine: SimulatedMachine) -> None:
    for _ in range(2):
        machine.bind(VF0, "vfio-pci")
        assert (machine.device(VF0).driver, override(machine)) == ("vfio-pci", "vfio-pci")
    for _ in range(2):
        machine.bind(VF0, None)
        assert (machine.device(VF0).driver, override(machine)) == (None, "(null)")


def test_an_ordinary_driver_leaves_no_override_behind(machine: SimulatedMachine) -> None:
    machine.bind(VF0, "vfio-pci")
    machine.bind(VF0, "igbvf")
    assert (machine.device(VF0).driver, override(machine)) == ("igbvf", "(null)")


def test_a_driver_that_is_not_loaded_changes_nothing(machine: SimulatedMachine) -> None:
    machine.bind(VF0, "igbvf")
    with pytest.raises(HostFault, match=r"driver mlx5_vfio_pci for .* is not loaded") as caught:
        machine.bind(VF0, "mlx5_vfio_pci")
    assert caught.value.hint == "modprobe mlx5_vfio_pci"
    assert machine.device(VF0).driver == "igbvf"


def test_without_an_iommu_group_vfio_refuses_and_nothing_is_left_set(tmp_path: Path) -> None:
    machine = simulated(tmp_path)
    machine.set_autoprobe(PF, False)
    machine.create_vfs(PF, 1)
    group = tmp_path / "sys/bus/pci/devices" / str(VF0) / "iommu_group"
    group.unlink()
    with pytest.raises(HostFault, match="Invalid argument"):
        machine.bind(VF0, "vfio-pci")
    assert (machine.device(VF0).driver, override(machine)) == (None, "(null)")


def test_a_driver_that_does_not_take_the_function_is_a_fault(machine: SimulatedMachine) -> None:
    quiet = SimulatedMachine(machine.root)
    quiet.vfio._write = lambda path, text: (  # a kernel that ignores the probe
        None if path.endswith("drivers_probe") else quiet.kernel.write(path, text)
    )
    with pytest.raises(HostFault, match="driver igbvf did not take 0000:21:10"):
        quiet.bind(VF0, "igbvf")
    assert override(machine) == "(null)"


@pytest.mark.parametrize("name", ["", "..", "a/b", "a b", "x" * 65, "a\n"])
def test_names_that_are_no_drivers_are_refused(machine: SimulatedMachine, name: str) -> None:
    with pytest.raises(Invalid, match="is not the name of a driver"):
        machine.bind(VF0, name)


def test_a_function_that_is_not_there(machine: SimulatedMachine) -> None:
    with pytest.raises(NotFound, match="no PCI function"):
        machine.bind(PciAddress.parse("ff:00.0"), "vfio-pci")


def test_a_vf_has_a_group_of_its_own_that_nothing_blocks(machine: SimulatedMachine) -> None:
    assert machine.iommu_group(VF0) == (VF0,)
    assert machine.blockers(VF0) == ()


def test_group_members_on_host_drivers_block(machine: SimulatedMachine) -> None:
    sata = PciAddress.parse("00:1f.2")
    assert [str(member) for member in machine.iommu_group(sata)] == [
        "0000:00:1f.0",
        "0000:00:1f.2",
        "0000:00:1f.3",
    ]
    assert machine.blockers(sata) == (sata,)
    machine.bind(sata, None)
    assert machine.blockers(sata) == ()


def test_a_bridge_blocks_nothing(machine: SimulatedMachine) -> None:
    assert machine.blockers(PciAddress.parse("20:00.0")) == ()
