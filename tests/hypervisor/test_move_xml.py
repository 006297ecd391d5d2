from __future__ import annotations

import re

import pytest

from lanekeeper.domain.errors import Invalid
from lanekeeper.domain.pci.address import PciAddress
from lanekeeper.hypervisor.libvirt.move_xml import move_devices


def guest(*addresses: str) -> str:
    devices = "".join(
        f"<hostdev type='pci'><source><address domain='0' bus='{bus}' slot='0X1' function='0x0'/>"
        "</source><address type='pci' bus='0x05' slot='0x01' function='0x0'/></hostdev>"
        for bus in addresses
    )
    return f"<domain><devices>{devices}</devices></domain>"


def at(bus: str) -> PciAddress:
    return PciAddress.parse(f"{bus}:01.0")


def buses(text: str) -> list[str]:
    return re.findall(r"<source><address[^>]* bus=\"(0x..)\"", text)


def test_hole_19_exchanges_and_chains_are_one_pass() -> None:
    moved = {at("0a"): at("0b"), at("0b"): at("0a"), at("0c"): at("0d")}
    text = move_devices(guest("0xA", "11", "0x0c"), moved)
    assert buses(text) == ["0x0b", "0x0a", "0x0d"]
    assert text.count('bus="0x05"') == 3  # where the guest sees them


def test_a_device_that_the_guest_has_not_is_named() -> None:
    with pytest.raises(Invalid, match=r"no device 0000:0c:01\.0 to move"):
        move_devices(guest("0x0a"), {at("0a"): at("0b"), at("0c"): at("0d")})
