"""Whether functions can serve those that the policy gives them to."""

from __future__ import annotations

from collections.abc import Iterator

from lanekeeper.domain.hostplan.choice import Choice
from lanekeeper.domain.hostplan.policy.purpose import Purpose
from lanekeeper.domain.hostplan.step import Refusal
from lanekeeper.domain.pci.device import PciDevice

_NETWORK = 0x02
_INFINIBAND = 0x0C06
"""PCI Code and ID Assignment Specification: a base class, and a class of another one."""


def is_network_card(device: PciDevice) -> bool:
    """Whether it has a port to a network, by its class."""
    return device.class_code >> 16 == _NETWORK or device.class_code >> 8 == _INFINIBAND


def purpose_refusals(chosen: Choice) -> Iterator[Refusal]:
    """Refuse a network for functions that have no port to one."""
    for entry, pf in chosen.pfs:
        ranges = ((each.path, each.wish.purpose) for each in entry.ranges)
        for path, purpose in ((entry.path, entry.purpose), *ranges) if entry.vfs else ():
            yield from _no_card(path, purpose, pf, "VFs of it")
    for whole, device in chosen.devices:
        yield from _no_card(whole.path, whole.purpose, device, "it")


def _no_card(path: str, purpose: Purpose | None, device: PciDevice, what: str) -> Iterator[Refusal]:
    network = purpose and purpose.physical_network
    if network is None or is_network_card(device):
        return
    kind = f"no network card (class {device.class_code:06x})"
    reason = f"{device.address} is {kind}, and {what} would serve"
    fix = f"alias: NAME in place of physical_network, or another {path.partition('[')[0][:-1]}"
    subject = f"{path}.physical_network ({device.address})"
    yield Refusal("not-a-network-card", subject, f"{reason} ports on {network}", fix)
