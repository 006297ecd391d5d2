import errno
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from host.planted import NVME, OTHER_PF, PF, SAMPLE_POLICY, VF0, simulated, snapshot
from lanekeeper.domain.errors import Conflict, HostFault, Invalid, NotFound
from lanekeeper.domain.pci.device import DeviceType
from lanekeeper.domain.pci.vf_change import AT_REST, VfChange, differences, narrowed
from lanekeeper.domain.pci.vf_settings import LinkState, VfSettings
from lanekeeper.host import journal
from lanekeeper.host.machine import Machine
from lanekeeper.host.simulated import SimulatedMachine, machine_tree, plant_lab
from lanekeeper.host.tree import plant
from lanekeeper.main import main


def test_modprobe_knows_the_modules_of_its_kernel_and_no_other(tmp_path: Path) -> None:
    machine = SimulatedMachine(plant(machine_tree(), tmp_path))
    machine.run(["modprobe", "mlx5_vfio_pci"])
    assert (tmp_path / "sys/bus/pci/drivers/mlx5_vfio_pci").is_dir()
    for name in ("igbvff", "vfio-pcie"):
        with pytest.raises(HostFault, match=f"modprobe: module {name} not found in /lib/modules/6"):
            machine.run(["modprobe", name])
        assert not (tmp_path / "sys/module" / name.replace("-", "_")).exists()


def test_the_default_host_is_the_labs_after_its_policy(tmp_path: Path) -> None:
    machine: Machine = SimulatedMachine(plant_lab(tmp_path))
    scan = machine.scan()
    assert scan.faults == ()
    vfs = [device for device in scan.devices if device.dev_type is DeviceType.VF]
    assert [str(vf.address)[5:] for vf in vfs if vf.parent == PF] == [
        "21:10.0",
        "21:10.2",
        "21:10.4",
        "21:10.6",
        "21:11.0",
        "21:11.2",
        "21:11.4",
    ]
    counts = {pf: sum(vf.parent == pf for vf in vfs) for pf in (PF, OTHER_PF, NVME)}
    assert counts == {PF: 7, OTHER_PF: 7, NVME: 4}
    assert len({vf.iommu_group for vf in vfs}) == len(vfs)
    assert {vf.numa_node for vf in vfs if vf.parent == OTHER_PF} == {1}
    assert {(vf.vendor_id, vf.product_id) for vf in vfs if vf.parent == PF} == {(0x8086, 0x10CA)}
    assert {vf.driver for vf in vfs} == {None}


def test_it_is_made_twice_without_harm(tmp_path: Path) -> None:
    machine = simulated(tmp_path)
    before = snapshot(tmp_path)
    machine.create_vfs(PF, 7)
    machine.create_vfs(PF, 7)
    machine.create_vfs(PF, 0)
    machine.create_vfs(PF, 0)
    assert snapshot(tmp_path) == before


def test_numbers_of_vfs_change_as_in_the_kernel(tmp_path: Path) -> None:
    machine = simulated(tmp_path)
    machine.create_vfs(PF, 3)
    with pytest.raises(Conflict, match="has 3 VFs"):
        machine.create_vfs(PF, 4)
    with pytest.raises(Invalid, match="0 to 7 VFs, not 8"):
        machine.create_vfs(PF, 8)
    with pytest.raises(HostFault, match="Device or resource busy"):
        machine.kernel.write(f"{tmp_path}/sys/bus/pci/devices/{PF}/sriov_numvfs", "4")
    with pytest.raises(HostFault, match="Numerical result out of range"):
        machine.kernel.write(f"{tmp_path}/sys/bus/pci/devices/{PF}/sriov_numvfs", "9")


def test_a_pf_without_driver_creates_nothing(tmp_path: Path) -> None:
    machine = simulated(tmp_path)
    machine.bind(PF, None)
    with pytest.raises(HostFault, match="No such file"):
        machine.create_vfs(PF, 2)


@pytest.mark.parametrize(("autoprobe", "driver"), [(True, "igbvf"), (False, None)])
def test_autoprobe_decides_who_takes_new_vfs(
    tmp_path: Path, autoprobe: bool, driver: str | None
) -> None:
    machine = simulated(tmp_path)
    machine.set_autoprobe(PF, autoprobe)
    machine.create_vfs(PF, 1)
    assert machine.device(VF0).driver == driver


def test_without_an_iommu_vfs_have_no_groups(tmp_path: Path) -> None:
    machine = simulated(tmp_path)
    groups = tmp_path / "sys/kernel/iommu_groups"
    groups.rename(tmp_path / "gone")
    machine.create_vfs(PF, 1)
    assert machine.device(VF0).iommu_group is None


def test_settings_are_kept_apart_and_read_back(tmp_path: Path) -> None:
    machine = SimulatedMachine(plant_lab(tmp_path))
    change = VfChange(mac="fa:16:3e:00:00:05", vlan=15, qos=3, trust=True, rates=(0, 100))
    assert machine.write_vf_settings(PF, 3, change) == ()
    wanted = VfSettings(mac="fa:16:3e:00:00:05", vlan=15, qos=3, trust=True, max_tx_rate=100)
    again = SimulatedMachine(tmp_path)
    assert again.vf_settings(PF, 3) == wanted
    assert again.vf_settings(PF, 2) == again.vf_settings(OTHER_PF, 3) == VfSettings()
    assert list(differences(change, wanted)) == []
    assert machine.write_vf_settings(PF, 3, AT_REST) == ("link_state",)  # as igb
    assert machine.all_vf_settings(PF)[3] == VfSettings()


def test_new_vfs_are_clean(tmp_path: Path) -> None:
    machine = SimulatedMachine(plant_lab(tmp_path))
    machine.write_vf_settings(PF, 0, VfChange(vlan=15))
    machine.create_vfs(PF, 0)
    machine.create_vfs(PF, 7)
    assert machine.vf_settings(PF, 0) == VfSettings()


def test_settings_of_what_is_not_there(tmp_path: Path) -> None:
    machine = SimulatedMachine(plant_lab(tmp_path))
    with pytest.raises(NotFound, match="has no VF 7"):
        machine.vf_settings(PF, 7)
    with pytest.raises(NotFound, match="has no VF 7"):
        machine.write_vf_settings(PF, 7, AT_REST)
    with pytest.raises(NotFound, match="has no network interface"):
        machine.vf_settings(NVME, 0)


def test_settings_that_igb_or_the_standard_refuse_change_nothing(tmp_path: Path) -> None:
    machine = SimulatedMachine(plant_lab(tmp_path))
    with pytest.raises(Invalid, match="VLAN 4095 is not in 0 to 4094"):
        machine.write_vf_settings(PF, 0, VfChange(mac="fa:16:3e:00:00:05", vlan=4095))
    with pytest.raises(HostFault, match=r"rates 10 to 20 Mbit/s on VF 0 of .*: Invalid argument"):
        machine.write_vf_settings(PF, 0, VfChange(rates=(10, 20)))
    assert machine.vf_settings(PF, 0) == VfSettings()


def test_only_what_differs_is_written() -> None:
    found = VfSettings(mac="fa:16:3e:00:00:05", vlan=15, link_state=None)
    changed = VfChange(mac=AT_REST.mac, vlan=0, link_state=AT_REST.link_state)
    assert narrowed(AT_REST, found) == changed  # what is not reported may be anything
    assert list(differences(VfChange(link_state=LinkState.ENABLE), found)) == []


def test_a_disturbance_refuses_a_write(tmp_path: Path) -> None:
    simulated(tmp_path)
    machine = SimulatedMachine(tmp_path, lambda path, _: errno.EIO * path.endswith("reset"))
    with pytest.raises(HostFault, match="Input/output error"):
        machine.reset(PF)
    machine.create_vfs(PF, 1)


def test_the_link_of_a_pf_follows(tmp_path: Path) -> None:
    machine = simulated(tmp_path)
    flags = tmp_path / "sys/class/net/ens1/flags"
    machine.set_link(PF, True)
    assert int(flags.read_text(), 16) & 1
    machine.set_link(PF, False)
    assert not int(flags.read_text(), 16) & 1


_CREATE = """
import os, signal, sys
from pathlib import Path
from lanekeeper.domain.pci.address import PciAddress
from lanekeeper.host.simulated import SimulatedKernel, SimulatedMachine
add = SimulatedKernel._add_vf
def die_at_the_fourth(self, pf, index):
    if index == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    add(self, pf, index)
SimulatedKernel._add_vf = die_at_the_fourth
SimulatedMachine(Path(sys.argv[1])).create_vfs(PciAddress.parse("21:00.0"), 7)
"""


def test_creation_that_was_killed_half_way_can_be_repeated(tmp_path: Path) -> None:
    machine = simulated(tmp_path)
    source = str(Path(__file__).parents[2] / "src")
    called = [sys.executable, "-c", _CREATE, str(tmp_path)]
    done = subprocess.run(called, env={**os.environ, "PYTHONPATH": source}, check=False)
    assert done.returncode == -9
    machine.create_vfs(PF, 7)
    vfs = [device for device in machine.scan().devices if device.parent == PF]
    assert [vf.vf_index for vf in vfs] == list(range(7))
    assert len({vf.iommu_group for vf in vfs}) == 7


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    place = tmp_path / "disk"
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(place)]
    if os.geteuid() != 0 or subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("mounting needs root")
    yield place
    subprocess.run(["umount", str(place)], check=True)


def test_a_machine_whose_disk_fills_up_takes_the_change_back(
    small_disk: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Wherever it happens: in the middle of the VFs, of their settings, of a file."""
    root = simulated(small_disk / "machine").root
    left_behind = ("simulated", "sys/module")  # modules stay loaded
    said = ""
    for room in range(6, 120, 6):
        before = {k: v for k, v in snapshot(root).items() if not k.startswith(left_behind)}
        (root / journal.DIRECTORY).mkdir(parents=True, exist_ok=True)
        filler = small_disk / "filler"
        free = os.statvfs(small_disk).f_bavail
        filler.write_bytes(b"x" * (max(free - room, 0) * 4096))
        policy = ["--simulate", str(root), "--policy", str(SAMPLE_POLICY)]
        code = main(["host", "apply", *policy])
        filler.unlink()
        told = capsys.readouterr()
        if code == 0:
            break
        assert code == 1, told
        assert "No space left on device" in told.out
        assert "is taken back: the host is as it was before" in told.out
        now = {k: v for k, v in snapshot(root).items() if not k.startswith(left_behind)}
        assert now == before
        said += told.out
    assert code == 0, "a disk with room takes it all"
    for step in ("create 7 VFs", "write /etc"):
        assert f"failed: {step}" in said
