"""The host that the examples of rules are about; the reference describes it."""

from __future__ import annotations

from lanekeeper.config.doctor.host import Host
from lanekeeper.domain.hostplan.observed import HostFacts, Interface
from lanekeeper.domain.pci.address import PciAddress
from lanekeeper.domain.pci.device import DeviceType, PciDevice

_BRIDGE = PciAddress.parse("0000:00:1c.0")
_DISK = PciAddress.parse("0000:01:00.0")
_OTHER_DISK = PciAddress.parse("0000:05:00.0")
_MANAGEMENT = PciAddress.parse("0000:02:00.0")
_PF = PciAddress.parse("0000:3b:00.0")
_EMPTY_PF = PciAddress.parse("0000:3b:00.1")
_VFS = (PciAddress.parse("0000:3b:10.0"), PciAddress.parse("0000:3b:10.2"))

_DEVICES = (
    PciDevice(address=_BRIDGE, vendor_id=0x8086, product_id=0xA110, class_code=0x060400),
    PciDevice(
        address=_DISK, vendor_id=0x144D, product_id=0xA804, class_code=0x010802, driver="nvme"
    ),
    PciDevice(
        address=_OTHER_DISK, vendor_id=0x8086, product_id=0xA54, class_code=0x010802, driver="nvme"
    ),
    PciDevice(
        address=_MANAGEMENT,
        vendor_id=0x8086,
        product_id=0x1533,
        class_code=0x020000,
        driver="igb",
        netdev="eno1",
    ),
    PciDevice(
        address=_PF,
        vendor_id=0x8086,
        product_id=0x10C9,
        class_code=0x020000,
        dev_type=DeviceType.PF,
        total_vfs=7,
        num_vfs=2,
        driver="igb",
        netdev="ens1f0",
    ),
    PciDevice(
        address=_EMPTY_PF,
        vendor_id=0x8086,
        product_id=0x10C9,
        class_code=0x020000,
        dev_type=DeviceType.PF,
        total_vfs=7,
        driver="igb",
        netdev="ens1f1",
    ),
    *(
        PciDevice(
            address=address,
            vendor_id=0x8086,
            product_id=0x10CA,
            class_code=0x020000,
            dev_type=DeviceType.VF,
            parent=_PF,
            vf_index=index,
            driver="igbvf",
        )
        for index, address in enumerate(_VFS)
    ),
)

EXAMPLE_HOST = Host(
    "the example host",
    HostFacts(
        devices=_DEVICES,
        interfaces=(
            Interface(
                name="eno1",
                device=_MANAGEMENT,
                is_up=True,
                carries=("the default route",),
                is_management=True,
            ),
            Interface(name="ens1f0", device=_PF, is_up=True),
            Interface(name="ens1f1", device=_EMPTY_PF, is_up=False),
        ),
    ),
    {_DISK: ("/", "/boot")},
)
