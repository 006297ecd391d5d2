"""What names a function beside its address: slot, VPD serial, other names; and who has it."""

import json
from pathlib import Path

import pytest

from host.planted import ONE_PF_TWO_VFS
from lanekeeper.domain.pci.address import PciAddress
from lanekeeper.domain.pci.holder import Holder, HolderKind
from lanekeeper.domain.pci.vf_settings import VfSettings
from lanekeeper.host.facts import read_host
from lanekeeper.host.fault import Faults
from lanekeeper.host.tree import plant
from lanekeeper.host.vpd import read_serial

PF = PciAddress.parse("0000:3b:00.0")
VF = PciAddress.parse("0000:3b:00.2")
STATUS = (
    "<domstatus><domain><name>web-1</name><devices><hostdev type='pci'><source>"
    "<address domain='0x0000' bus='0x3b' slot='0x00' function='0x2'/>"
    "</source></hostdev></devices></domain></domstatus>"
)


def vpd(*fields: tuple[bytes, bytes]) -> bytes:
    body = b"".join(key + bytes([len(value)]) + value for key, value in fields)
    name = b"ConnectX-5"
    return b"".join(
        (
            b"\x82" + len(name).to_bytes(2, "little") + name,
            b"\x90" + len(body).to_bytes(2, "little") + body,
            b"\x78",
        )
    )


@pytest.mark.parametrize(
    ("data", "serial"),
    [
        (vpd((b"PN", b"MCX516A"), (b"SN", b"MT1943X01234  ")), "MT1943X01234"),
        (vpd((b"PN", b"MCX516A")), None),
        (vpd((b"SN", b"  ")), None),
        (vpd((b"SN", b"ABCDEF"))[:-4], "ABC"),  # cut off: what is there, never more
        (b"", None),
        (b"\xff" * 64, None),
    ],
)
def test_a_serial_number_is_read_from_vital_product_data(
    tmp_path: Path, data: bytes, serial: str | None
) -> None:
    (tmp_path / "vpd").write_bytes(data)
    assert read_serial(str(tmp_path / "vpd")) == serial
    assert read_serial(str(tmp_path / "absent")) is None


def test_names_are_read_beside_the_address(tmp_path: Path) -> None:
    links = json.dumps([{"ifname": "ens1f0np0", "altnames": ["enp59s0f0np0"]}, {"ifname": "lo"}])
    lines = [
        "sys/bus/pci/slots/4/address = 0000:3b:00",
        "sys/bus/pci/slots/9/address = 0000:99:00",
        "sys/class/net/ens1f0np0 -> ../../bus/pci/devices/0000:3b:00.0/net/ens1f0np0",
        f"captured/ip-link = {links}",
        'captured/vf-settings = {"0000:3b:00.0":{"1":{"trust":true,"mac":"02:00:00:00:00:09"}}}',
        f"run/libvirt/qemu/web-1.xml = {STATUS}",
    ]
    root = plant(ONE_PF_TWO_VFS + "\n".join(lines) + "\n", tmp_path)
    found = read_host(root)
    assert found.slots == {PF: "4"}
    assert found.altnames == {PF: ("enp59s0f0np0",)}
    assert found.holders == {VF: Holder(HolderKind.GUEST, "web-1")}
    trusted = VfSettings(trust=True, mac="02:00:00:00:00:09")
    assert found.vf_settings == {PF: {0: VfSettings(), 1: trusted}}


@pytest.mark.parametrize(
    ("name", "text", "reason"),
    [
        ("captured/ip-link", "{]", "no JSON of ip"),
        ("captured/vf-settings", "[]", "makes no sense"),
    ],
)
def test_what_few_policies_need_does_not_stop_a_plan(
    tmp_path: Path, name: str, text: str, reason: str
) -> None:
    root = plant(f"{ONE_PF_TWO_VFS}{name} = {text}\n", tmp_path)
    assert read_host(root).pfs
    faults = Faults(keep=True)
    read_host(root, faults=faults)
    assert any(reason in said for _, said in faults.found)
