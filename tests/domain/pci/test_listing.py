import json
import re
from dataclasses import replace
from typing import Any

from lanekeeper.config import load
from lanekeeper.domain.pci.address import PciAddress
from lanekeeper.domain.pci.device import DeviceType, PciDevice
from lanekeeper.domain.pci.device_spec import DeviceSpec
from lanekeeper.domain.pci.listing import list_devices
from lanekeeper.domain.pci.request import Offered, flavor_requests, matches, port_request


def card(pf: str, vendor_id: int, pf_id: int, vf_id: int, vfs: list[str]) -> list[PciDevice]:
    parent = PciDevice(
        address=PciAddress.parse(pf),
        vendor_id=vendor_id,
        product_id=pf_id,
        dev_type=DeviceType.PF,
        total_vfs=8,
        num_vfs=len(vfs),
        netdev="ens" + pf[5:7],
    )
    children = [
        PciDevice(
            address=PciAddress.parse(vf),
            vendor_id=vendor_id,
            product_id=vf_id,
            dev_type=DeviceType.VF,
            parent=parent.address,
            vf_index=index,
        )
        for index, vf in enumerate(vfs)
    ]
    return [parent, *children]


def igb(bus: str) -> list[PciDevice]:
    vfs = [f"0000:{bus}:{slot:02x}.{f}" for slot in (0x10, 0x11) for f in (0, 2, 4, 6)][:7]
    return card(f"0000:{bus}:00.0", 0x8086, 0x10C9, 0x10CA, vfs)


NVME = card("0000:22:00.0", 0x1B36, 0x0010, 0x0010, [f"0000:22:00.{f}" for f in (1, 2, 3, 4)])
_ADDRESS = re.compile(r"\{[^}]*\}")
LAB = [*igb("21"), *NVME, *igb("41")]


def specs(*entries: dict[str, Any]) -> list[DeviceSpec]:
    return [DeviceSpec.parse(one, source=f"nova.conf:{i + 2}") for i, one in enumerate(entries)]


def test_the_sample_gives_each_kind_of_vf_its_purpose() -> None:
    config = load(()).config
    listing = list_devices(config.pci.device_spec, LAB)
    assert listing.problems == ()
    assert listing.cautions == ()
    offered = [Offered.of(one.device, one.tags) for one in listing.listed]
    port = port_request("direct", "physnet1")
    assert port is not None
    a1, nvme = (flavor_requests(config.pci.alias, f"{name}:1")[0] for name in ("a1", "nvme"))
    fitting = [
        sum(matches(request.alternatives[0], one) for one in offered)
        for request in (port, a1, nvme)
    ]
    assert fitting == [7, 7, 4]
    assert len(listing.listed) == 18


def test_a_pf_beside_its_vfs_is_refused_with_both_lines() -> None:
    both = specs({"product_id": "10c9"}, {"product_id": "10ca"})
    first, second = list_devices(both, LAB).problems
    assert first.startswith("nova.conf:2 and nova.conf:3: PF 0000:21:00.0 and 7 of its VFs")
    assert "0000:41:00.0" in second
    assert "without a physical_network" in first


def test_one_entry_can_list_both_sides_too() -> None:
    (problem,) = list_devices(specs({"address": "0000:41:00.0"}), LAB).problems
    assert problem.startswith("nova.conf:2: PF 0000:41:00.0")


def test_where_ids_are_the_same_an_address_is_given_for_each_side() -> None:
    many = [f"0000:23:{n // 8:02x}.{n % 8}" for n in range(1, 11)]
    drives = [*NVME, *card("0000:23:00.0", 0x1B36, 0x0010, 0x0010, many)]
    ids = {"vendor_id": "1b36", "product_id": "0010"}
    for entry in (ids | {"address": "0000:22:00.0"}, ids):
        says, *_ = list_devices(specs(entry), drives).problems
        assert "the ids of both are the same" in says
        assert "product_id beside" not in says
        pf, vfs = (specs(ids | {"address": json.loads(one)}) for one in _ADDRESS.findall(says))
        assert [str(one.device.address) for one in list_devices(pf, drives).listed] == [
            "0000:22:00.0"
        ]
        listing = list_devices(vfs, drives)
        assert [one.device for one in listing.listed] == NVME[1:]
        assert listing.problems == ()
    _, says = list_devices(specs(ids), drives).problems
    assert says.endswith("its VFs, each in an entry of its own")
    _, *vfs = (specs(ids | {"address": json.loads(one)})[0] for one in _ADDRESS.findall(says))
    assert [str(one.device.address) for one in list_devices(vfs, drives).listed] == many


def test_with_a_physical_network_both_sides_are_offered() -> None:
    listing = list_devices(specs({"devname": "ens21", "physical_network": "physnet1"}), LAB)
    assert listing.problems == ()
    assert len(listing.listed) == 8


def test_an_entry_that_lists_nothing_is_said() -> None:
    listing = list_devices(
        specs({"vendor_id": "8086", "product_id": "10ca"}, {"product_id": "10ca"}), LAB
    )
    (caution,) = listing.cautions
    assert caution.startswith("nova.conf:3: this device_spec entry lists no device")


def test_a_pf_cannot_be_remote_managed() -> None:
    devices = [replace(one, serial="MT1") for one in igb("21")]
    entry = {"address": "0000:21:00.0", "remote_managed": "true", "physical_network": "p"}
    (problem,) = list_devices(specs(entry), devices).problems
    assert "cannot be remote_managed" in problem
    assert list_devices(specs({**entry, "product_id": "10ca"}), devices).problems == ()


def test_devices_come_in_bus_order() -> None:
    listed = list_devices(specs({"product_id": "10ca"}), reversed(LAB)).listed
    addresses = [one.device.address for one in listed]
    assert addresses == sorted(addresses)


def test_hole_12_remote_managed_on_a_pf_address_gives_its_vfs() -> None:
    pf, vf = card("0000:82:00.0", 0x15B3, 0xA2D6, 0x101E, ["0000:82:00.3"])
    card_ = [replace(pf, serial="MT1"), vf]
    entry = {"vendor_id": "15b3", "address": "0000:82:00.0", "remote_managed": True}
    taken = list_devices(specs({**entry, "product_id": "101e"}), card_)
    assert [one.device.address for one in taken.listed] == [vf.address]
    assert taken.problems == ()
    _, problem = list_devices(specs(entry), card_).problems  # it lists both sides of the card, too
    assert problem.startswith("nova.conf:2: a PF (0000:82:00.0) cannot be remote_managed")


def test_remote_managed_wants_an_interface_that_is_there() -> None:
    (problem,) = list_devices(specs({"devname": "ens9", "remote_managed": "yes"}), LAB).problems
    assert problem.startswith("nova.conf:2: remote_managed needs a device that is there")
    assert "ens9; give an address" in problem
