"""Whether functions can serve those that the policy gives them to."""

from __future__ import annotations

from collections.abc import Iterator

from lanekeeper.domain.hostplan.choice import Choice
from lanekeeper.domain.hostplan.policy.policy import Policy
from lanekeeper.domain.hostplan.policy.purpose import Purpose
from lanekeeper.domain.hostplan.step import Refusal
from lanekeeper.domain.pci.device import PciDevice

_NETWORK = 0x02
_INFINIBAND = 0x0C06
"""PCI Code and ID Assignment Specification: a base class, and a class of another one."""
_CLASSES = (f"{_NETWORK:02x}", f"{_INFINIBAND:04x}")


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


def purpose_refusals_of_image(policy: Policy) -> Iterator[Refusal]:
    """Refuse a network for what is selected by a class that has none; else only its host knows."""
    entries = [(each.path, each.purpose, each.selector.class_code) for each in policy.devices]
    for pf in policy.pfs:
        code = pf.selector.class_code
        entries.append((pf.path, pf.purpose, code))
        entries += [(each.path, each.wish.purpose, code) for each in pf.ranges]
    for path, purpose, code in entries:
        if code is None or any(one.startswith(code) or code.startswith(one) for one in _CLASSES):
            continue
        if purpose is not None and purpose.physical_network is not None:
            reason = f"class {code} is no network card's, and it would serve ports on"
            subject = f"{path}.physical_network"
            yield _refusal(path, subject, f"{reason} {purpose.physical_network}")


def _no_card(path: str, purpose: Purpose | None, device: PciDevice, what: str) -> Iterator[Refusal]:
    network = purpose and purpose.physical_network
    if network is None or is_network_card(device):
        return
    kind = f"no network card (class {device.class_code:06x})"
    reason = f"{device.address} is {kind}, and {what} would serve"
    subject = f"{path}.physical_network ({device.address})"
    yield _refusal(path, subject, f"{reason} ports on {network}")


def _refusal(path: str, subject: str, reason: str) -> Refusal:
    fix = f"alias: NAME in place of physical_network, or another {path.partition('[')[0][:-1]}"
    return Refusal("not-a-network-card", subject, reason, fix)
