"""Cards put into captured trees: the attributes that such a card has, one line a card.

    + card 0000:3b:00.0 ids=8086:10fb driver=ixgbe vf=10ed total=63 vfs=4 netdev=ens3f0

Ids, offsets, strides and numbers of VFs are those of real cards.
"""

from __future__ import annotations

from collections.abc import Iterator

from host.derived import derive
from lanekeeper.domain.pci.address import PciAddress

_GROUPS = 100  # those of the base lie below


def with_cards(base: str, changes: str) -> str:
    """Return *base* with the changes of ``derive``, and with the cards of lines ``+ card``."""
    lines = changes.splitlines()
    cards = [line.removeprefix("+ card ") for line in lines if line.startswith("+ card ")]
    rest = [line for line in lines if line and not line.startswith(("+", "#"))]
    added = [line for number, card in enumerate(cards) for line in _card(card, number)]
    whole = derive(base, "\n".join(added)) if added else base
    return derive(whole, "\n".join(rest))


def _card(text: str, number: int) -> Iterator[str]:
    word, *rest = text.split()
    facts = dict(fact.split("=", 1) for fact in rest)
    address = PciAddress.parse(word)
    total, vfs = int(facts.get("total", 0)), int(facts.get("vfs", 0))
    offset, stride = int(facts.get("offset", 128)), int(facts.get("stride", 2))
    bus = f"pci{address.domain:04x}:{address.bus:02x}"
    above = f"{bus}/{facts['above']}" if "above" in facts else bus
    node, group = facts.get("node", "0"), int(facts.get("group", _GROUPS * (number + 1)))
    vendor, product = facts["ids"].split(":")
    code = facts.get("class", "020000")
    driver = facts.get("driver")
    yield from _function(above, address, (vendor, product, code, node), group, driver)
    home = f"sys/devices/{above}/{address}"
    if "vga" in facts:
        yield f"{home}/boot_vga = {facts['vga']}"
    if total:
        yield f"{home}/sriov_totalvfs = {total}"
        yield f"{home}/sriov_numvfs = {vfs}"
        yield f"{home}/sriov_offset = {offset}"
        yield f"{home}/sriov_stride = {stride}"
        yield f"{home}/sriov_vf_device = {facts['vf']}"
        yield f"{home}/sriov_drivers_autoprobe = {facts.get('autoprobe', '1')}"
    if "netdev" in facts:
        name, net = facts["netdev"], f"{home}/net/{facts['netdev']}"
        yield f"{net}/flags = {'0x1002' if facts.get('link') == 'down' else '0x1003'}"
        yield f"{net}/operstate = {facts.get('link', 'up')}"
        yield f"{net}/ifindex = {50 + number}"
        yield f"{net}/address = {facts.get('mac', f'b8:ce:f6:00:00:{number:02x}')}"
        yield f"sys/class/net/{name} -> ../../{net.removeprefix('sys/')}"
    for index in range(vfs):  # what a simulated kernel makes, so that it can be compared
        routing = (address.bus << 8 | address.slot << 3 | address.function) + offset
        routing += index * stride
        vf = PciAddress(address.domain, routing >> 8, routing >> 3 & 0x1F, routing & 7)
        ids = (vendor, facts["vf"], code, node)
        yield from _function(above, vf, ids, group + 1 + index, facts.get("vf_driver"))
        vf_home = f"sys/devices/{above}/{vf}"
        named = f"PCI_ID={vendor.upper()}:{facts['vf'].upper()}\\nPCI_SLOT_NAME={vf}"
        yield f"{vf_home}/uevent = PCI_CLASS={int(code, 16):X}\\n{named}"
        yield f"{vf_home}/reset =| "
        yield f"sys/kernel/iommu_groups/{group + 1 + index}/type = identity"
        yield f"{vf_home}/physfn -> ../{address}"
        yield f"{home}/virtfn{index} -> ../{vf}"


def _function(
    above: str,
    address: PciAddress,
    facts: tuple[str, str, str, str],
    group: int,
    driver: str | None,
) -> Iterator[str]:
    home = f"sys/devices/{above}/{address}"
    up = "../" * (3 + above.count("/"))
    vendor, product, code, node = facts
    yield f"sys/bus/pci/devices/{address} -> ../../../devices/{above}/{address}"
    yield f"{home}/vendor = 0x{vendor}"
    yield f"{home}/device = 0x{product}"
    yield f"{home}/class = 0x{code}"
    yield f"{home}/numa_node = {node}"
    yield f"{home}/driver_override = (null)"
    yield f"{home}/iommu_group -> {up}kernel/iommu_groups/{group}"
    members = f"sys/kernel/iommu_groups/{group}/devices/{address}"
    yield f"{members} -> ../../../../devices/{above}/{address}"
    if driver:
        yield f"{home}/driver -> {up}bus/pci/drivers/{driver}"
        at = f"sys/bus/pci/drivers/{driver}/{address}"
        yield f"{at} -> ../../../../devices/{above}/{address}"
