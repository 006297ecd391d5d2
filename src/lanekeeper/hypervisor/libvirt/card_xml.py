"""Devices and network cards of a guest as parts of libvirt's domain XML, written and found again.

This is where a VF gets its MAC and its VLAN: libvirt sets both from ``<interface type='hostdev'>``
when the guest starts and puts the old ones back when it ends.

Source: libvirt ``docs/formatdomain.rst``; nova ``virt/libvirt/config.py`` for the same choices.
"""

from __future__ import annotations

from collections.abc import Mapping

from lxml import etree

from lanekeeper.domain.pci.address import PciAddress
from lanekeeper.host.flow_table import SEALED
from lanekeeper.hypervisor.libvirt.macvtap_xml import macvtap, macvtaps_of
from lanekeeper.hypervisor.libvirt.markup import Element, tag
from lanekeeper.protocol import DeviceWanted, NicWanted, ServerWanted, TapWanted

_USUAL_MTU = 1500
_NO_INTERFACES: Mapping[PciAddress, str | None] = {}
PARSER = etree.XMLParser(resolve_entities=False, no_network=True)
FUNCTIONS = (
    "devices/interface[@type='hostdev']/source/address[@bus]",
    "devices/hostdev[@type='pci']/source/address",
)
_TAP, _PORT = "devices/interface", "virtualport[@type='openvswitch']/parameters[@interfaceid]"


def card_xml(nic: NicWanted | TapWanted, interface: str | None = None) -> str:
    """Return a network card as a guest that runs is given it; *interface* is its VF's."""
    card = _tap(nic) if isinstance(nic, TapWanted) else _card(nic, interface)
    return etree.tostring(card, encoding="unicode")


def tap_xml(text: str, port_id: str) -> str | None:
    """Return the part of the domain whose XML is *text* that is the port's card; None for none."""
    for card in etree.fromstring(text, PARSER).findall(_TAP):
        parameters = card.find(_PORT)
        if parameters is not None and parameters.get("interfaceid") == port_id:
            return str(etree.tostring(card, encoding="unicode"))
    return None


def with_link(text: str, *, up: bool) -> str:
    """Return the card whose XML is *text* with a link, or without."""
    card = etree.fromstring(text, PARSER)
    for link in card.findall("link"):
        card.remove(link)
    card.append(tag("link", state="up" if up else "down"))
    return etree.tostring(card, encoding="unicode")


def function_xml(text: str, address: PciAddress) -> str | None:
    """Return the part of the domain whose XML is *text* that is the function; None for none."""
    root = etree.fromstring(text, PARSER)
    for path in FUNCTIONS:
        whole, _, inside = path.partition("/source")
        for one in root.findall(whole):
            found = one.find(f"source{inside}")
            if found is not None and address_of(found) == address:
                return str(etree.tostring(one, encoding="unicode"))
    macvtap_of = dict(macvtaps_of(root))
    if address in macvtap_of:
        return str(etree.tostring(macvtap_of[address], encoding="unicode"))
    return None


def taps_of(root: Element) -> tuple[tuple[str, ...], frozenset[str]]:
    """Return the ports of cards of a virtual switch, and those that show the guest no link."""
    found = {
        str(port.get("interfaceid")): card.find("link[@state='down']") is None
        for card in root.findall(_TAP)
        if (port := card.find(_PORT)) is not None
    }
    return tuple(found), frozenset(port_id for port_id, has_link in found.items() if not has_link)


def cards(
    server: ServerWanted, interfaces: Mapping[PciAddress, str | None] = _NO_INTERFACES
) -> list[Element]:
    """Return the network cards in the order in which the guest is to see them.

    *interfaces* are those at the host of VFs that the guest has by a macvtap.

    Raises:
        ValueError: the interface below a macvtap is not named.
    """
    places = {port_id: place for place, port_id in enumerate(server.cards)}

    def place(card: NicWanted | TapWanted) -> int:
        return places.get(card.port_id, len(places))

    cards: list[NicWanted | TapWanted] = [*server.nics, *server.taps]
    return [
        _tap(card)
        if isinstance(card, TapWanted)
        else _card(card, interfaces.get(PciAddress.parse(card.device.address)))
        for card in sorted(cards, key=place)
    ]


def _tap(tap: TapWanted) -> Element:
    """Return a card on a virtual switch; libvirt plugs it in, and out when the guest ends.

    VLAN 0 makes it an access port for frames without a tag. Without a VLAN it would be a trunk, and
    the guest would be on every network of the switch. A card that is guarded is a trunk of the one
    VLAN that nobody uses: flows alone bring frames to it and take them from it.

    Source: ovs-vswitchd.conf.db(5), Port, vlan_mode and tag; libvirt ``virnetdevopenvswitch.c``.
    """
    card = tag(
        "interface",
        tag("mac", address=tap.mac),
        tag("source", bridge=tap.bridge),
        _vlan(tap),
        tag("virtualport", tag("parameters", interfaceid=tap.port_id), type="openvswitch"),
        tag("model", type=tap.model),
        type="bridge",
    )
    if tap.mtu != _USUAL_MTU:
        card.append(tag("mtu", size=str(tap.mtu)))
    if not tap.link:
        card.append(tag("link", state="down"))
    if tap.failover:
        card.append(tag("teaming", type="persistent"))
        card.append(tag("alias", name=_alias(tap.port_id)))
    return card


def _alias(port_id: str) -> str:
    """The name by which a VF knows what stands by for it; libvirt keeps what begins like that."""
    return f"ua-{port_id}"


def _vlan(tap: TapWanted) -> Element:
    if tap.guard is None:
        return tag("vlan", tag("tag", id=str(tap.vlan)))
    return tag("vlan", tag("tag", id=str(SEALED)), trunk="yes")


def _card(nic: NicWanted, interface: str | None) -> Element:
    """Return the VF as a network card; a whole PF has nobody who could set its MAC or VLAN."""
    if nic.macvtap is not None:
        if interface is None:
            raise ValueError(f"the interface of {nic.device.address} is not known")
        return macvtap(nic, interface)
    if nic.vf_index is None:
        return hostdev(nic.device)
    card = tag(
        "interface",
        tag("mac", address=nic.mac),
        tag("source", tag("address", type="pci", **_position(nic.device))),
        type="hostdev",
        managed=_managed(nic.device),
    )
    if nic.vlan:
        card.append(tag("vlan", tag("tag", id=str(nic.vlan))))
    if nic.failover:
        card.append(tag("teaming", type="transient", persistent=_alias(nic.port_id)))
    return card


def hostdev(device: DeviceWanted) -> Element:
    return tag(
        "hostdev",
        tag("source", tag("address", **_position(device))),
        mode="subsystem",
        type="pci",
        managed=_managed(device),
    )


def _managed(device: DeviceWanted) -> str:
    return "yes" if device.managed else "no"


def _position(device: DeviceWanted) -> dict[str, str]:
    return attributes_of(PciAddress.parse(device.address))


def attributes_of(address: PciAddress) -> dict[str, str]:
    """Spell a PCI address as an ``<address>`` has it."""
    return {
        "domain": f"0x{address.domain:04x}",
        "bus": f"0x{address.bus:02x}",
        "slot": f"0x{address.slot:02x}",
        "function": f"0x{address.function:x}",
    }


def address_of(element: Element) -> PciAddress:
    """Read an ``<address>``, whose numbers may be spelled in any way that libvirt takes."""

    def number(name: str) -> int:
        return int(element.get(name, "0"), 0)

    return PciAddress(number("domain"), number("bus"), number("slot"), number("function"))
