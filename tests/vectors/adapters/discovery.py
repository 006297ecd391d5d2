"""What a host sees, by our own eyes: a case's node devices become a tree in sysfs, which is read.

Compared is what both know: place, ids, node, type, PF, MAC of a PF, number of a VF. Serial numbers
come from configuration space here and from VPD there; features of a VF's interface are libvirt's.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from lxml import etree

from lanekeeper.domain.errors import Error
from lanekeeper.domain.pci.address import PciAddress
from lanekeeper.domain.pci.device import DeviceType, PciDevice
from lanekeeper.host.sysfs import PciSysfs
from lanekeeper.host.tree import plant
from vectors.case import Answer, Data

_HOME = "sys/bus/pci/devices"
_COMPARED = ("address", "vendor_id", "product_id", "numa_node", "dev_type", "parent_addr")


def discovery(data: Data) -> Iterator[Answer]:
    name = data["device"]
    address = _address(_pci(data["node_devices"][name]))
    with TemporaryDirectory() as directory:
        machine = PciSysfs(plant("\n".join(sorted(set(tree(data)))) + "\n", Path(directory)))
        try:
            said: Any = as_told(machine.device(PciAddress.parse(address)), data)
        except Error:
            said = "error"
    expect = data["expect"]
    yield Answer(said, compared(expect["device"]) if expect["result"] == "ok" else "error")


def as_told(device: PciDevice, data: Data) -> dict[str, Any]:
    told: dict[str, Any] = {
        "address": str(device.address),
        "vendor_id": f"{device.vendor_id:04x}",
        "product_id": f"{device.product_id:04x}",
        "numa_node": device.numa_node,
        "dev_type": str(device.dev_type),
    }
    if device.parent is not None:
        told["parent_addr"] = str(device.parent)
        # Nova tells the number only where it knows the PF's MAC.
        if str(device.parent) in data["sysfs"].get("macs", {}):
            told["vf_num"] = device.vf_index
    if device.dev_type is DeviceType.PF and device.mac:
        told["mac_address"] = device.mac
    return told


def compared(record: Mapping[str, Any]) -> dict[str, Any]:
    told = {key: record[key] for key in (*_COMPARED, "mac_address") if key in record}
    sriov = record.get("capabilities", {}).get("sriov", {})
    return {**told, **({"vf_num": sriov["vf_num"]} if "vf_num" in sriov else {})}


def tree(data: Data) -> Iterator[str]:
    """What sysfs shows of these node devices, a line for each file and link."""
    macs, numbers = data["sysfs"].get("macs", {}), data["sysfs"].get("vf_nums", {})
    for name, text in data["node_devices"].items():
        pci = _pci(text)
        address = _address(pci)
        home = f"{_HOME}/{address}"
        yield f"{home}/vendor = {pci.find('vendor').get('id')}"
        yield f"{home}/device = {pci.find('product').get('id')}"
        yield f"{home}/class = {pci.findtext('class') or '0x020000'}"
        node = pci.find("numa")
        if node is not None:
            yield f"{home}/numa_node = {node.get('node')}"
        for capability in pci.findall("capability"):
            if capability.get("type") == "virt_functions":
                yield f"{home}/sriov_totalvfs = {capability.get('maxCount', '8')}"
            link = capability.find("address")
            if capability.get("type") == "phys_function" and link is not None:
                pf = _place(link)
                yield f"{home}/physfn -> ../{pf}"
                # A VF whose number cannot be read is one that no link leads to.
                if address in numbers or pf not in macs:
                    yield f"{_HOME}/{pf}/virtfn{numbers.get(address, 0)} -> ../{address}"
        if address in macs:
            yield f"{home}/driver -> ../../drivers/any"
            yield f"{home}/net/pf0/address = {macs[address]}"
        for interface, one in data["network_interfaces"].items():
            if one["parent"] == name and address not in macs:
                yield f"{home}/driver -> ../../drivers/any"
                yield f"{home}/net/{interface}/address = 02:00:00:00:00:01"


def _pci(text: str) -> Any:
    return etree.fromstring(text).find("capability[@type='pci']")


def _address(pci: Any) -> str:
    bus = {key: int(pci.findtext(key)) for key in ("domain", "bus", "slot", "function")}
    return f"{bus['domain']:04x}:{bus['bus']:02x}:{bus['slot']:02x}.{bus['function']:x}"


def _place(link: Any) -> str:
    bus = {key: int(link.get(key), 16) for key in ("domain", "bus", "slot", "function")}
    return f"{bus['domain']:04x}:{bus['bus']:02x}:{bus['slot']:02x}.{bus['function']:x}"
