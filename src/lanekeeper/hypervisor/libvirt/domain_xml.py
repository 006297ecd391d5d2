"""A guest as libvirt's domain XML, written and read back. Pure.

Source: libvirt ``docs/formatdomain.rst``; nova ``virt/libvirt/config.py`` for the same choices.
"""

from __future__ import annotations

from dataclasses import dataclass

from lxml import etree

from lanekeeper.domain.errors import Invalid
from lanekeeper.domain.pci.address import PciAddress
from lanekeeper.hypervisor.driver import Blueprint, GuestFiles, HeldDevice
from lanekeeper.hypervisor.libvirt.card_xml import (
    FUNCTIONS,
    PARSER,
    address_of,
    cards,
    hostdev,
    taps_of,
)
from lanekeeper.hypervisor.libvirt.macvtap_xml import macvtaps_of
from lanekeeper.hypervisor.libvirt.markup import (
    DEVICE,
    ITEM,
    NAMESPACE,
    PREFIX,
    SERVER,
    Element,
    tag,
)
from lanekeeper.hypervisor.libvirt.numa_xml import guest_cells, numa_elements
from lanekeeper.protocol import ServerWanted

SPARE_PORTS = 4
"""PCIe root ports for cards that a guest is given while it runs; a reboot makes room again."""


@dataclass(frozen=True, slots=True)
class DomainFacts:
    """What a domain's XML says that Lanekeeper cares for; ``id`` is None for a stranger's."""

    id: str | None
    generation: int
    reboots: int
    drivers: tuple[HeldDevice, ...]
    addresses: tuple[PciAddress, ...]
    taps: tuple[str, ...] = ()
    unlinked: frozenset[str] = frozenset()


def domain_name(server_id: str) -> str:
    return f"lanekeeper-{server_id}"


def domain_xml(blueprint: Blueprint, *, kvm: bool, generation: int = 0) -> str:
    """Return the definition of a guest; *generation* is the one that was obeyed before.

    Raises:
        Invalid: a text that XML cannot carry.
    """
    server = blueprint.server
    try:
        domain = tag(
            "domain",
            tag("name", domain_name(server.id)),
            tag("uuid", server.id),
            tag("title", _one_line(server.name)),
            tag("metadata", _server(blueprint, generation)),
            tag("memory", str(server.memory_mib), unit="MiB"),
            *numa_elements(server),
            _boot(server, blueprint.files),
            tag("features", tag("acpi"), tag("apic")),
            _cpu(server, kvm=kvm),
            tag("clock", offset="utc"),
            tag("on_poweroff", "destroy"),
            tag("on_reboot", "restart"),
            tag("on_crash", "destroy"),
            _devices(blueprint),
            type="kvm" if kvm else "qemu",
        )
    except ValueError as error:
        raise Invalid(f"server {server.id}: {error}") from error
    return etree.tostring(domain, pretty_print=True, encoding="unicode")


def with_metadata(
    text: str, *, generation: int | None = None, held: HeldDevice | None = None
) -> str:
    """Return the metadata of the domain whose XML is *text*, with another generation, with one
    more device's former driver.

    For libvirt's virDomainSetMetadata, which puts every element into the namespace by itself.

    Raises:
        Invalid: the domain is a stranger's.
    """
    found = etree.fromstring(text, PARSER).find(f"metadata/{SERVER}")
    if found is None:
        raise Invalid("the domain has no metadata of Lanekeeper")
    element = tag("server", **_attributes(found))
    if generation is not None:
        element.set("generation", str(generation))
    for child in found.iterchildren(DEVICE, ITEM):
        if held is not None and child.get("address") == str(held.address):
            continue
        name = etree.QName(child).localname
        element.append(tag(name, child.text or "", **_attributes(child)))
    if held is not None:
        element.append(tag("device", **_told(held)))
    return etree.tostring(element, encoding="unicode")


def parse_domain(text: str) -> DomainFacts:
    """Read what libvirt says of a domain, Lanekeeper's own or a stranger's."""
    root = etree.fromstring(text, PARSER)
    addresses = tuple(address_of(found) for path in FUNCTIONS for found in root.findall(path))
    addresses += tuple(address for address, _ in macvtaps_of(root))
    own = root.find(f"metadata/{SERVER}")
    if own is None or not own.get("id"):
        return DomainFacts(None, 0, 0, (), addresses)
    drivers = tuple(
        HeldDevice(
            PciAddress.parse(device.get("address", "")),
            device.get("driver"),
            device.get("interface"),
        )
        for device in own.findall(DEVICE)
    )
    return DomainFacts(
        own.get("id"),
        int(own.get("generation", "0")),
        int(own.get("reboots", "0")),
        drivers,
        addresses,
        *taps_of(root),
    )


def _server(blueprint: Blueprint, generation: int) -> Element:
    """Return what the domain carries in its metadata, so that it is known again."""
    server = blueprint.server
    element = etree.Element(SERVER, nsmap={PREFIX: NAMESPACE})
    element.set("id", server.id)
    element.set("generation", str(generation))
    element.set("reboots", str(server.reboots))
    for held in blueprint.devices:
        element.append(tag(DEVICE, **_told(held)))
    for key, value in sorted(server.metadata.items()):
        element.append(tag(ITEM, value, key=key))
    return element


def _told(held: HeldDevice) -> dict[str, str]:
    told = {"address": str(held.address), "driver": held.driver, "interface": held.interface}
    return {name: value for name, value in told.items() if value}


def _attributes(element: Element) -> dict[str, str]:
    return {str(name): str(value) for name, value in element.attrib.items()}


def _boot(server: ServerWanted, files: GuestFiles) -> Element:
    boot = tag("os", tag("type", "hvm", arch="x86_64", machine="q35"))
    if files.kernel is None:
        boot.append(tag("boot", dev="hd"))
        return boot
    boot.append(tag("kernel", str(files.kernel)))
    if files.ramdisk is not None:
        boot.append(tag("initrd", str(files.ramdisk)))
    if server.kernel_arguments:
        boot.append(tag("cmdline", server.kernel_arguments))
    return boot


def _cpu(server: ServerWanted, *, kvm: bool) -> Element:
    # Without KVM there is no CPU to pass through; ``maximum`` is all that QEMU can emulate.
    cpu = (
        tag("cpu", mode="host-passthrough", migratable="off") if kvm else tag("cpu", mode="maximum")
    )
    cpu.extend(guest_cells(server))
    return cpu


def _devices(blueprint: Blueprint) -> Element:
    files = blueprint.files
    devices = tag(
        "devices",
        tag("controller", type="usb", model="none"),
        tag("controller", type="pci", index="0", model="pcie-root"),
    )
    devices.extend(tag("controller", type="pci", model="pcie-root-port") for _ in _ports(blueprint))
    if files.disk is not None:
        devices.append(_disk(str(files.disk), "qcow2", "vda"))
    if files.config_drive is not None:
        drive = _disk(str(files.config_drive), "raw", "vdb")
        drive.append(tag("readonly"))
        devices.append(drive)
    devices.append(
        tag(
            "serial",
            tag("source", path=str(files.console), append="on"),
            tag("target", type="isa-serial", port="0"),
            type="file",
        )
    )
    devices.append(tag("memballoon", model="none"))
    interfaces = {held.address: held.interface for held in blueprint.devices}
    devices.extend(cards(blueprint.server, interfaces))
    devices.extend(hostdev(device) for device in blueprint.server.devices)
    return devices


def _ports(blueprint: Blueprint) -> range:
    """A root port for each device, and some to spare: what is plugged in later needs one."""
    files, server = blueprint.files, blueprint.server
    disks = sum(disk is not None for disk in (files.disk, files.config_drive))
    cards = len(server.nics) + len(server.taps)
    return range(disks + cards + len(server.devices) + SPARE_PORTS)


def _disk(path: str, kind: str, target: str) -> Element:
    return tag(
        "disk",
        tag("driver", name="qemu", type=kind),
        tag("source", file=path),
        tag("target", dev=target, bus="virtio"),
        type="file",
        device="disk",
    )


def _one_line(text: str) -> str:
    """Titles of several lines are refused by libvirt, control characters by XML."""
    return "".join(letter if letter.isprintable() else " " for letter in text)
