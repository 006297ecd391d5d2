"""What a simulated guest prints to its console."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import msgspec

from lanekeeper.domain import typed
from lanekeeper.host.machine import Machine
from lanekeeper.hypervisor.simulated_guest import Record, functions_of

_GUEST_DRIVERS = {(0x8086, 0x10CA): "igbvf", (0x8086, 0x10C9): "igb", (0x1B36, 0x0010): "nvme"}


def console_lines(record: Record, machine: Machine) -> list[str]:
    """What the lab's guest prints about itself: its devices, its cards, its addresses.

    The lines are those of ``lab/guest_init.sh``; it has nobody to ping.
    """
    server = record.wanted
    lines = ["GUEST-INIT 0.50", f"GUEST-SERVER {server.id}"]
    cards: dict[str, str] = {}
    virtual: list[tuple[str, bool]] = []
    for number, function in enumerate(functions_of(server), start=1):
        at, device = f"0000:{number:02x}:00.0", machine.device(function.address)
        driver = _GUEST_DRIVERS.get((device.vendor_id, device.product_id), "-")
        if function.is_macvtap and function.nic is not None:
            virtual.append((function.nic.mac, True))
            continue
        lines.append(
            f"GUEST-PCI {at} {device.vendor_id:04x}:{device.product_id:04x} "
            f"class={device.class_code:06x} driver={driver}"
        )
        if function.nic is not None:
            name = f"eth{len(cards)}"
            cards[function.nic.mac] = name
            lines.append(
                f"GUEST-NET {name} mac={function.nic.mac} driver={driver} pci={at} carrier=1"
            )
    for mac, has_link in (*virtual, *((tap.mac, tap.link) for tap in server.taps)):
        name = f"eth{len(cards)}"
        cards[mac] = name
        lines.append(f"GUEST-NET {name} mac={mac} driver=virtio_net carrier={int(has_link)}")
    lines += [*_address_lines(server.config_drive, cards), "GUEST-READY 1.00"]
    return [f"{line}\n" for line in lines]


def _address_lines(drive: Mapping[str, str], cards: Mapping[str, str]) -> Iterator[str]:
    """Tell the addresses that the config drive gives to the cards, by MAC."""
    text = drive.get("openstack/latest/network_data.json", "{}")
    network = typed.decode(text, _NetworkData)
    mac_by_link = {link.id: link.ethernet_mac_address for link in network.links}
    for one in network.networks:
        mac = mac_by_link.get(one.link, "")
        if one.ip_address and mac in cards:
            yield f"GUEST-ADDRESS {cards[mac]} {one.ip_address} netmask={one.netmask} mac={mac}"


class _Link(msgspec.Struct):
    id: str
    ethernet_mac_address: str = ""


class _Network(msgspec.Struct):
    link: str
    ip_address: str = ""
    netmask: str = ""


class _NetworkData(msgspec.Struct):
    """The part of ``network_data.json`` that gives a card its address."""

    links: list[_Link] = []
    networks: list[_Network] = []
