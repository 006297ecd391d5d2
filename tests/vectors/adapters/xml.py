"""Guest XML of flavor devices and of ports on VFs, against what Nova writes.

What Lanekeeper's guests do not have (representors, vIOMMU, other hypervisors) is "not
offered": the API refuses it before there is any XML.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lxml import etree

from lanekeeper.domain.errors import Invalid
from lanekeeper.domain.pci.address import PciAddress
from lanekeeper.hypervisor.driver import Blueprint, GuestFiles, HeldDevice
from lanekeeper.hypervisor.libvirt.domain_xml import domain_xml
from lanekeeper.protocol import DeviceWanted, NicWanted, ServerWanted, TapWanted
from vectors.case import Answer, Data
from vectors.markup import plain

_VIFS = {
    ("hw_veb", "direct"),
    ("hw_veb", "macvtap"),
    ("ib_hostdev", "direct"),
    ("ovs", "normal"),
}


def xml(data: Data) -> Iterator[Answer]:
    expect = data["expect"]
    expected = plain(etree.fromstring(expect["xml"])) if "xml" in expect else expect["result"]
    yield Answer(said(data) if is_offered(data) else "not offered", expected)


def is_offered(data: Data) -> bool:
    if data["kind"] == "flavor_device":
        return data["virt_type"] in {"kvm", "qemu"}
    vif = data.get("vif", {})
    return (vif.get("type"), vif.get("vnic_type")) in _VIFS


def said(data: Data) -> Any:
    """Return the element that the guest gets for the case's device, or ``error``."""
    wanted: dict[str, Any]
    if data["kind"] == "flavor_device":
        wanted = {"devices": [device(data["address"], managed=data["managed"] != "false")]}
    elif data["vif"]["type"] == "ovs":
        wanted = {"taps": [tap(data["vif"])]}
    else:
        model = data["image_properties"].get("hw_vif_model", "virtio")
        is_macvtap = data["vif"]["vnic_type"] == "macvtap"
        wanted = {"nics": [card(data["vif"], model if is_macvtap else None)]}
    server = ServerWanted(
        id="5f0a6c0e-1111-4222-8333-944455566677",
        name="n",
        generation=1,
        power="running",
        vcpus=1,
        memory_mib=64,
        disk_gib=0,
        **wanted,
    )
    named = data["host"]["netdev_of"] if "vif" in data else {}
    held = (HeldDevice(PciAddress.parse(at), None, name) for at, name in named.items())
    files = GuestFiles(console=Path("/c"))
    blueprint = Blueprint(server=server, files=files, devices=tuple(held))
    try:
        text = domain_xml(blueprint, kvm=data["virt_type"] == "kvm")
    except Invalid:
        return "error"
    return plain(etree.fromstring(text).findall("devices/*")[-1])


def device(address: str, *, managed: bool = True) -> DeviceWanted:
    return DeviceWanted(
        device_id="d", address=address, vendor_id="8086", product_id="10ca", managed=managed
    )


def tap(vif: dict[str, Any]) -> TapWanted:
    """Nova's oracle called the port ``ifid`` and its bridge ``br-int``."""
    mtu = vif.get("network_mtu") or 1500
    return TapWanted(
        port_id="ifid", mac=vif["mac"], bridge="br-int", physical_network="p", vlan=0, mtu=mtu
    )


def card(vif: dict[str, Any], macvtap: str | None) -> NicWanted:
    return NicWanted(
        port_id="p",
        mac=vif["mac"],
        device=device(vif["profile"]["pci_slot"]),
        vf_index=0 if vif["type"] == "hw_veb" else None,
        vlan=int(vif["details"].get("vlan") or 0),
        macvtap=macvtap,
    )
