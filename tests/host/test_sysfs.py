import re
from pathlib import Path

import pytest

from host.planted import ONE_PF_TWO_VFS
from lanekeeper.domain.errors import Conflict, HostFault, Invalid, NotFound
from lanekeeper.domain.pci.address import PciAddress
from lanekeeper.domain.pci.device import DeviceType
from lanekeeper.host.simulated import SimulatedMachine, plant_lab
from lanekeeper.host.sysfs import PciSysfs
from lanekeeper.host.tree import plant

PF = PciAddress.parse("0000:3b:00.0")
VF = PciAddress.parse("0000:3b:00.2")

BAD = "sys/bus/pci/devices/0000:01:00.0"


@pytest.fixture
def bus(tmp_path: Path) -> PciSysfs:
    return PciSysfs(plant(ONE_PF_TWO_VFS, tmp_path))


@pytest.fixture
def device(tmp_path: Path) -> Path:
    return tmp_path / "sys/bus/pci/devices" / str(PF)


def test_functions_come_in_bus_order_with_their_types(bus: PciSysfs) -> None:
    scan = bus.scan()
    assert scan.faults == ()
    assert [(str(d.address), d.dev_type, d.vf_index) for d in scan.devices] == [
        ("0000:3b:00.0", DeviceType.PF, None),
        ("0000:3b:00.2", DeviceType.VF, 0),
        ("0000:3b:00.3", DeviceType.VF, 1),
    ]


def test_a_pf_says_what_it_has_and_passes_representors_over(bus: PciSysfs) -> None:
    pf = bus.device(PF)
    assert (pf.vendor_id, pf.product_id, pf.class_code) == (0x15B3, 0x1017, 0x020000)
    assert (pf.total_vfs, pf.num_vfs, pf.driver) == (8, 2, "mlx5_core")
    assert (pf.netdev, pf.mac) == ("ens1f0np0", "b8:ce:f6:00:00:01")
    assert bus.interface(PF) == ("ens1f0np0", 7)


def test_ids_may_stand_in_uevent_or_in_files(bus: PciSysfs) -> None:
    by_file, by_uevent = bus.device(VF), bus.device(PciAddress.parse("3b:00.3"))
    assert by_file.product_id == by_uevent.product_id == 0x1018
    assert by_file.class_code == by_uevent.class_code == 0x020000


def test_a_vf_names_its_pf_its_group_and_no_node_is_none(bus: PciSysfs) -> None:
    first, second = bus.device(VF), bus.device(PciAddress.parse("3b:00.3"))
    assert (first.parent, first.iommu_group, first.numa_node) == (PF, 42, 0)
    assert (second.parent, second.iommu_group, second.numa_node) == (PF, None, None)


def test_where_the_vfs_of_a_pf_sit(bus: PciSysfs) -> None:
    assert bus.vf_addresses(PF) == {0: VF, 1: PciAddress.parse("3b:00.3")}


def test_absence_and_refusal_are_told_apart(bus: PciSysfs, device: Path) -> None:
    with pytest.raises(NotFound, match=r"no PCI function at 0000:ff:00\.0"):
        bus.device(PciAddress.parse("ff:00.0"))
    (device / "numa_node").unlink()
    (device / "numa_node").mkdir()
    with pytest.raises(HostFault, match=r"cannot read .*numa_node: Is a directory"):
        bus.device(PF)


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        ("numa_node = nowhere", "numa_node is 'nowhere', not a number"),
        ("sriov_totalvfs ! EIO", "cannot read .*sriov_totalvfs"),
        ("vendor = 0xzz", "vendor is '0xzz'"),
        ("numa_node = 99999", "numa_node is '99999', not within -1 to 1023"),
        ("numa_node = -7", "numa_node is '-7'"),
        ("sriov_totalvfs = 70000", "sriov_totalvfs is '70000', not within 0 to 65535"),
        ("sriov_totalvfs = -1", "sriov_totalvfs is '-1'"),
        (f"sriov_totalvfs = 7\n{BAD}/sriov_numvfs = -5", "sriov_numvfs is '-5', not within 0 to 7"),
        (f"sriov_totalvfs = 7\n{BAD}/sriov_numvfs = 8", "sriov_numvfs is '8', not within 0 to 7"),
    ],
)
def test_a_bad_device_is_set_aside_and_named(tmp_path: Path, spoil: str, reason: str) -> None:
    bad = BAD
    tree = f"{bad}/vendor = 0x8086\n{bad}/device = 0x10c9\n{ONE_PF_TWO_VFS}"
    name = spoil.split(maxsplit=1)[0]
    tree = tree.replace(f"{bad}/{name} = 0x8086\n", "") + f"{bad}/{spoil}\n"
    scan = PciSysfs(plant(tree, tmp_path)).scan()
    assert len(scan.devices) == 3
    assert [fault.name for fault in scan.faults] == ["0000:01:00.0"]
    assert re.search(reason, scan.faults[0].reason)


def test_a_link_that_leads_nowhere_and_a_strange_name_are_named(tmp_path: Path) -> None:
    devices = "sys/bus/pci/devices"
    tree = f"{ONE_PF_TWO_VFS}{devices}/0000:02:00.0 -> ../gone\n{devices}/oddity/vendor = 1\n"
    scan = PciSysfs(plant(tree, tmp_path)).scan()
    assert [fault.name for fault in scan.faults] == ["0000:02:00.0", "oddity"]
    assert len(scan.devices) == 3


def test_a_vf_that_its_pf_does_not_know_is_set_aside(bus: PciSysfs, device: Path) -> None:
    (device / "virtfn1").unlink()
    scan = bus.scan()
    assert [fault.name for fault in scan.faults] == ["0000:3b:00.3"]


def test_vfs_are_created_from_none_and_never_resized(bus: PciSysfs, device: Path) -> None:
    with pytest.raises(Conflict, match="has 2 VFs; remove them before asking for 4"):
        bus.create_vfs(PF, 4)
    bus.create_vfs(PF, 2)
    bus.create_vfs(PF, 0)
    assert (device / "sriov_numvfs").read_text() == "0"
    bus.create_vfs(PF, 8)
    with pytest.raises(Invalid, match="0 to 8 VFs, not 9"):
        bus.create_vfs(PF, 9)


def test_fewer_vfs_than_asked_is_a_fault(tmp_path: Path) -> None:
    tree = ONE_PF_TWO_VFS.replace("sriov_numvfs = 2", "sriov_numvfs = 0")
    bus = PciSysfs(plant(tree, tmp_path), write=lambda _path, _text: None)
    with pytest.raises(HostFault, match="made 0 VFs of 4"):
        bus.create_vfs(PF, 4)


def test_autoprobe_is_read_and_written(bus: PciSysfs) -> None:
    assert bus.autoprobe(PF)
    bus.set_autoprobe(PF, False)
    assert not bus.autoprobe(PF)
    with pytest.raises(NotFound, match="is no PF"):
        bus.autoprobe(VF)


def test_a_function_without_reset_says_so(bus: PciSysfs, device: Path) -> None:
    with pytest.raises(HostFault, match="knows no way to reset"):
        bus.reset(PF)
    (device / "reset").touch()
    bus.reset(PF)
    assert (device / "reset").read_text() == "1"
    with pytest.raises(NotFound):
        bus.reset(PciAddress.parse("ff:00.0"))


def config_space(*capabilities: tuple[int, int, bytes]) -> bytes:
    """Build configuration space with extended *capabilities*: (offset, id, body)."""
    space = bytearray(4096)
    for number, (at, kind, body) in enumerate(capabilities):
        after = capabilities[number + 1][0] if number + 1 < len(capabilities) else 0
        space[at : at + 4] = (after << 20 | 1 << 16 | kind).to_bytes(4, "little")
        space[at + 4 : at + 4 + len(body)] = body
    return bytes(space)


def test_the_serial_number_is_found_behind_other_capabilities(bus: PciSysfs, device: Path) -> None:
    number = bytes.fromhex("0101aaffff211b00")
    space = config_space((0x100, 0x0001, b""), (0x140, 0x0003, number), (0x160, 0x0010, b""))
    (device / "config").write_bytes(space)
    assert bus.serial(PF) == "00-1b-21-ff-ff-aa-01-01"
    assert bus.device(PF).serial == "00-1b-21-ff-ff-aa-01-01"
    assert bus.device(VF).serial is None


@pytest.mark.parametrize(
    "space",
    [
        b"",
        bytes(64),  # what anyone but root sees
        config_space((0x100, 0x0001, b"")),
        config_space((0x100, 0x0003, bytes(8))),
        config_space((0x100, 1, b""), (0x200, 2, b""), (0x100, 1, b"")),  # a chain that loops
    ],
)
def test_no_serial_number_is_none(bus: PciSysfs, device: Path, space: bytes) -> None:
    (device / "config").write_bytes(space)
    assert bus.serial(PF) is None


def test_a_serial_number_is_read_once_for_each_device_object(bus: PciSysfs, device: Path) -> None:
    (device / "config").write_bytes(config_space((0x100, 3, b"\x01" * 8)))
    before = bus.device(PF).serial
    (device / "config").unlink()
    assert bus.device(PF).serial == before
    device.rename(device.with_name("old"))
    device.mkdir()
    for name in ("vendor", "device", "class"):
        (device / name).write_text("0x1\n")
    assert bus.device(PF).serial is None


def test_functions_below_one_root_port_say_which(tmp_path: Path) -> None:
    machine = SimulatedMachine(plant_lab(tmp_path))
    roots = {str(device.address): device.pcie_root for device in machine.scan().devices}
    assert roots["0000:21:00.0"] == roots["0000:21:10.0"] == "0000:20:00.0"
    assert roots["0000:22:00.0"] == "0000:20:01.0"
    assert roots["0000:00:02.0"] is None  # it is on a root bus itself
