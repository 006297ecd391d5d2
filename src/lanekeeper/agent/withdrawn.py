"""What a host offers no more because its configuration has changed, and who has it still."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from lanekeeper.agent.observe import View
from lanekeeper.domain.errors import some
from lanekeeper.domain.pci.address import PciAddress
from lanekeeper.protocol import Desired

_NAMED_MAX = 5


@dataclass(frozen=True, slots=True)
class Withdrawn:
    """Devices that are there and were offered with the configuration of before.

    Attributes:
        held: the name of the guest that has it, by address.
        dirty: those that were to be cleaned.
    """

    addresses: Sequence[PciAddress]
    held: Mapping[str, str]
    dirty: Sequence[str]

    def __str__(self) -> str:
        each = some(map(str, self.addresses), _NAMED_MAX)
        count = len(self.addresses)
        are = "device that was offered is" if count == 1 else "devices that were offered are"
        parts = [f"{count} {are} offered no more: {each}"]
        if self.held:
            each_held = (f"{address} by {name}" for address, name in self.held.items())
            kept = some(each_held, _NAMED_MAX)
            parts.append(
                "held, and kept until the guest gives it back, then not cleaned before an entry "
                f"lists it again: {kept}"
            )
        if self.dirty:
            dirty = some(self.dirty, _NAMED_MAX)
            parts.append(f"not clean, and nobody's before an entry lists it again: {dirty}")
        return "; ".join(parts)


def withdrawn(before: View | None, after: View, desired: Desired | None) -> Withdrawn | None:
    """What is not offered *after* the configuration has changed and was *before*; None for nothing.

    What has left the bus meanwhile is no question of the configuration.
    """
    if before is None or before.policy == after.policy:
        return None
    there = {one.address for one in after.others} | after.parents.keys()
    gone = sorted(address for address in before.listed if address in there)
    if not gone:
        return None
    held, dirty = _in_orders(desired) if desired is not None else ({}, frozenset())
    return Withdrawn(
        addresses=gone,
        held={str(one): held[str(one)] for one in gone if str(one) in held},
        dirty=[str(one) for one in gone if str(one) in dirty],
    )


def _in_orders(desired: Desired) -> tuple[Mapping[str, str], frozenset[str]]:
    held = {
        device.address: server.name
        for server in desired.servers
        for device in (*server.devices, *(nic.device for nic in server.nics))
    }
    return held, frozenset(one.device.address for one in desired.cleaning)
