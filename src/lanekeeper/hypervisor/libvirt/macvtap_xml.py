"""A macvtap of a guest in libvirt's domain XML, and the VF below it.

The XML names the VF by its interface at the host. Which function that is stands in the domain's
metadata, so that the guest is known to have it in hand.

Source: libvirt ``docs/formatdomain.rst``, direct attachment; nova ``virt/libvirt/designer.py``.
"""

from __future__ import annotations

from collections.abc import Iterator

from lanekeeper.domain.pci.address import PciAddress
from lanekeeper.hypervisor.libvirt.markup import DEVICE, SERVER, Element, tag
from lanekeeper.protocol import NicWanted

_VIRTIO = "virtio"
_CARDS = "devices/interface[@type='direct']"


def macvtap(nic: NicWanted, interface: str) -> Element:
    """Return a card that alone has *interface*, a VF of the host.

    The VLAN stands here although it is set on the PF before: libvirt takes it away where it is not
    named. Only a virtio card is served by vhost, and only that follows what a trusted guest makes
    of its addresses.

    Source: libvirt ``virnetdev.c``, virNetDevSetNetConfig; ``qemu_interface.c``,
    qemuInterfaceOpenVhostNet.
    """
    is_virtio = nic.macvtap == _VIRTIO
    card = tag(
        "interface",
        tag("mac", address=nic.mac),
        tag("model", type=nic.macvtap or _VIRTIO),
        tag("source", dev=interface, mode="passthrough"),
        type="direct",
    )
    if is_virtio:
        card.insert(2, tag("driver", name="vhost"))
        if nic.trusted:
            card.set("trustGuestRxFilters", "yes")
    if nic.vlan:
        card.append(tag("vlan", tag("tag", id=str(nic.vlan))))
    return card


def macvtaps_of(root: Element) -> Iterator[tuple[PciAddress, Element]]:
    """Yield the macvtaps of Lanekeeper's domain *root*, each with the function below it."""
    functions = {
        device.get("interface"): PciAddress.parse(device.get("address", ""))
        for device in root.findall(f"metadata/{SERVER}/{DEVICE}[@interface]")
    }
    for card in root.findall(_CARDS):
        source = card.find("source")
        name = None if source is None else source.get("dev")
        if name in functions:
            yield functions[name], card
