"""A guest's XML for another host: the same guest, with that host's devices."""

from __future__ import annotations

from collections.abc import Mapping

from lxml import etree

from lanekeeper.domain.errors import Invalid
from lanekeeper.domain.pci.address import PciAddress
from lanekeeper.hypervisor.libvirt.card_xml import address_of, attributes_of

_SOURCES = "devices/hostdev[@type='pci']/source/address"


def move_devices(text: str, moved: Mapping[PciAddress, PciAddress]) -> str:
    """Put the devices of the destination in place of those of the source.

    Addresses are compared as numbers, and each device of *text* is looked up once, so that chains
    and exchanges (a to b while b goes to c) come out right. What the guest sees stays.

    Args:
        text: the domain's XML at the source.
        moved: source to destination.

    Raises:
        Invalid: *text* lacks one of the source's devices.

    Source: nova ``virt/libvirt/migration.py``, _update_pci_dev_xml, which edits pair by pair and
        compares text.
    """
    # A guest's XML comes from libvirt on a host that is not this one's to trust blindly.
    domain = etree.fromstring(text, etree.XMLParser(resolve_entities=False, no_network=True))
    missing = set(moved)
    for source in domain.findall(_SOURCES):
        here = address_of(source)
        if here in moved:
            missing.discard(here)
            for name, value in attributes_of(moved[here]).items():
                source.set(name, value)
    if missing:
        raise Invalid(f"the guest has no device {', '.join(map(str, sorted(missing)))} to move")
    return str(etree.tostring(domain, encoding="unicode"))
