"""Who holds what, links and VF settings, as ``host show`` prints them."""

from pathlib import Path

import pytest

from host.planted import ONE_PF_TWO_VFS
from host.test_names import vpd
from lanekeeper.cli.host.device_view import devices_text, inventory_json
from lanekeeper.domain.errors import HostFault
from lanekeeper.domain.pci.address import PciAddress
from lanekeeper.domain.pci.holder import Holder, HolderKind
from lanekeeper.domain.pci.vf_change import VfChange
from lanekeeper.host.capture import capture
from lanekeeper.host.fault import Faults
from lanekeeper.host.holder import read_holders
from lanekeeper.host.inventory import read_inventory
from lanekeeper.host.simulated import SimulatedMachine, lab_tree
from lanekeeper.host.sysfs import PciSysfs
from lanekeeper.host.tree import plant

VF0, VF1 = PciAddress.parse("0000:3b:00.2"), PciAddress.parse("0000:3b:00.3")
BOUND = """
sys/bus/pci/devices/0000:3b:00.2/driver -> ../../drivers/vfio-pci
sys/bus/pci/devices/0000:3b:00.3/driver -> ../../drivers/mlx5_vfio_pci
sys/bus/pci/devices/0000:3b:00.3/iommu_group -> ../../../../kernel/iommu_groups/43
sys/bus/pci/devices/0000:3b:00.3/vfio-dev/vfio1/dev = 1:1
sys/class/net/ens1f0np0/operstate = up
sys/class/net/ens1f0np0/speed = 25000
captured/vf-settings = {"0000:3b:00.0":{"0":{"mac":"02:00:00:00:00:aa","vlan":15}}}
"""
GUEST = r"""
run/libvirt/qemu/instance-1.xml = <domstatus state='running' pid='77'>\n\
<domain type='kvm' id='1'><name>instance-1</name><title>web</title><devices>\
<graphics type='vnc' passwd='geheim'/>\
<interface type='hostdev' managed='yes'><source>\
<address type='pci' domain='0x0000' bus='0x3b' slot='0x00' function='0x2'/></source></interface>\
<hostdev mode='subsystem' type='usb'><source><address bus='1' device='2'/></source></hostdev>\
</devices></domain></domstatus>
""".replace("\\\n", "")


def holders(root: Path) -> dict[PciAddress, Holder]:
    return read_holders(root, PciSysfs(root).scan().devices, Faults(keep=False))


def test_a_guest_is_known_by_libvirts_record(tmp_path: Path) -> None:
    root = plant(ONE_PF_TWO_VFS + BOUND + GUEST, tmp_path)
    assert holders(root) == {VF0: Holder(HolderKind.GUEST, "web")}


@pytest.mark.parametrize("file", ["/dev/vfio/43", "/dev/vfio/devices/vfio1"])
def test_a_process_is_known_by_its_open_file(tmp_path: Path, file: str) -> None:
    process = (
        f"proc/812/fd/3 -> {file}\nproc/812/fd/4 -> /dev/null\nproc/812/comm = qemu-system-x86\n"
    )
    root = plant(ONE_PF_TWO_VFS + BOUND + process, tmp_path)
    assert holders(root) == {VF1: Holder(HolderKind.PROCESS, "qemu-system-x86", 812)}
    (root / "proc/812/cmdline").write_bytes(b"qemu\0-name\0guest=by-hand,debug-threads=on\0")
    assert str(holders(root)[VF1]) == "process 812 (by-hand)"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("<domstatus>", "is no XML"),
        (GUEST.partition(" = ")[2].replace("0x3b", "three"), "a function at no address"),
    ],
)
def test_a_broken_record_is_named(tmp_path: Path, text: str, reason: str) -> None:
    root = plant(f"{ONE_PF_TWO_VFS}run/libvirt/qemu/x.xml = {text}", tmp_path)
    with pytest.raises(HostFault, match=rf"/run/libvirt/qemu/x\.xml .*{reason}"):
        holders(root)
    found = read_inventory(root, live=False)
    assert len(found.devices) == 3
    assert found.faults[0][0] == "guests' records"


def test_what_may_be_that_of_a_guest_whose_record_is_broken_is_nobody_elses(tmp_path: Path) -> None:
    root = plant(f"{ONE_PF_TWO_VFS}{BOUND}{GUEST}run/libvirt/qemu/x.xml = <domstatus>\n", tmp_path)
    found = read_inventory(root, live=False).holders
    assert found[VF0].name == "web"
    assert str(found[VF1]) == "unknown (the record of a guest makes no sense)"
    assert set(found) == {VF0, VF1}


def test_the_tree_shows_what_the_pf_holds(tmp_path: Path) -> None:
    root = plant(ONE_PF_TWO_VFS + BOUND + GUEST, tmp_path)
    found = read_inventory(root, live=False)
    lines = [line for text in devices_text(found, found.devices) for line in text.splitlines()]
    assert lines[1].split()[:3] == ["0000:3b:00.0", "PF", "2/8"]
    assert "up 25000 Mbit/s" in lines[1]
    assert lines[2].startswith("|- 0000:3b:00.2  VF 0")
    assert lines[2].endswith("02:00:00:00:00:aa  15    auto             guest web")
    assert lines[3].startswith("`- 0000:3b:00.3  VF 1")
    shown = {one["address"]: one for one in inventory_json(found, found.devices)["devices"]}
    assert shown["0000:3b:00.2"]["settings"]["vlan"] == 15
    assert shown["0000:3b:00.2"]["settings"]["link_state"] == "auto"
    assert shown["0000:3b:00.2"]["holder"] == {"kind": "guest", "name": "web", "pid": None}


def test_a_capture_keeps_who_holds_what_and_no_secret_of_a_guest(tmp_path: Path) -> None:
    root = plant(lab_tree(), tmp_path / "host")
    machine = SimulatedMachine(root)
    pf = next(one.address for one in machine.scan().devices if one.total_vfs and one.netdev)
    machine.create_vfs(pf, 2)
    machine.write_vf_settings(pf, 0, VfChange(mac="02:00:00:00:00:aa", vlan=15))
    vf = machine.vf_addresses(pf)[0]
    record = GUEST.replace("0x3b", f"{vf.bus:#x}").replace("slot='0x00'", f"slot='{vf.slot:#x}'")
    record = record.replace("function='0x2'", f"function='{vf.function:#x}'")
    plant(record, root)
    text = capture(root)
    assert "geheim" not in text
    again = plant(text, tmp_path / "again")
    before, after = read_inventory(root, live=True), read_inventory(again, live=False)
    assert (after.holders, after.settings) == (before.holders, before.settings)
    assert after.holders[vf].name == "web"
    assert after.settings[pf][0].vlan == 15


def test_slot_and_serial_are_shown_where_they_are_known(tmp_path: Path) -> None:
    bare = read_inventory(plant(ONE_PF_TWO_VFS, tmp_path / "bare"), live=False)
    assert "SLOT" not in "\n".join(devices_text(bare, bare.devices))
    root = plant(ONE_PF_TWO_VFS + "sys/bus/pci/slots/4/address = 0000:3b:00\n", tmp_path / "known")
    (root / "sys/bus/pci/devices/0000:3b:00.0/vpd").write_bytes(vpd((b"SN", b"MT1943X01234")))
    known = read_inventory(root, live=False)
    head, pf, vf, *_ = "\n".join(devices_text(known, known.devices)).splitlines()
    assert head.split()[-3:] == ["SLOT", "SERIAL", "HOLDER"]
    assert pf.split()[-3:] == ["4", "MT1943X01234", "-"]
    assert vf.split()[-3:] == ["-", "-", "-"]
    first, second, *_ = inventory_json(known, known.devices)["devices"]
    assert (first["slot"], first["vpd_serial"], first["serial"]) == ("4", "MT1943X01234", None)
    assert (second["slot"], second["vpd_serial"]) == (None, None)
