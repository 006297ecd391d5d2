"""Which functions each entry of a policy means."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

from lanekeeper.domain.hostplan.observed import HostFacts
from lanekeeper.domain.hostplan.policy.pf import PfPolicy
from lanekeeper.domain.hostplan.policy.policy import Policy
from lanekeeper.domain.hostplan.policy.selector import DeviceSelector
from lanekeeper.domain.hostplan.step import Refusal
from lanekeeper.domain.pci.address import PciAddress
from lanekeeper.domain.pci.device import PciDevice

Chosen = list[tuple[PfPolicy, PciDevice]]


class _Entry(Protocol):
    @property
    def path(self) -> str: ...

    @property
    def selector(self) -> DeviceSelector: ...


def choose(policy: Policy, host: HostFacts) -> tuple[Chosen, list[Refusal]]:
    """Find the PF that each entry means; an entry that means none, or another's, is refused."""
    chosen: Chosen = []
    refusals: list[Refusal] = []
    owners: dict[PciAddress, str] = {}
    for entry in policy.pfs:
        found = entry.selector.select(host.pfs, host)
        refusals += _wrong(entry, found, host, owners)
        chosen += [(entry, pf) for pf in _own(entry, found, owners)]
    return chosen, refusals


def _own(
    entry: _Entry, found: Sequence[PciDevice], owners: dict[PciAddress, str]
) -> Iterator[PciDevice]:
    """Yield those of *found* that no entry had before, and note that *entry* has them."""
    for device in found:
        if owners.setdefault(device.address, entry.path) == entry.path:
            yield device


def _wrong(
    entry: _Entry, found: Sequence[PciDevice], host: HostFacts, owners: dict[PciAddress, str]
) -> Iterator[Refusal]:
    if entry.selector.index is not None and host.device_faults:
        yield _order_unknown(entry, host)
    if not found:
        yield _nothing_selected(entry, host)
    for device in found:
        if device.address in owners:
            yield _two_owners(entry, owners[device.address], device)


def _nothing_selected(entry: _Entry, host: HostFacts) -> Refusal:
    there = ", ".join(f"{pf.address} ({pf.netdev or 'no netdev'})" for pf in host.pfs)
    reason = f"no PF has {entry.selector}"
    for name, fault in host.device_faults:
        if name == str(entry.selector.address):
            reason = f"{reason}: the function there is set aside, since {fault}"
    near = "; ".join(entry.selector.near_misses(host.pfs, host))
    fix = f"{near}. PFs here: {there}" if near else f"PFs here: {there or 'none'}"
    return Refusal("pf-not-found", entry.path, reason, fix)


def _order_unknown(entry: _Entry, host: HostFacts) -> Refusal:
    """A card that cannot be read is no card that can be counted: the next one would be taken."""
    names = ", ".join(name for name, _ in host.device_faults)
    reason = f"index {entry.selector.index} counts PFs, and {names} cannot be read: it may be one"
    return Refusal(
        "pf-order-unknown", entry.path, reason, "select by address, serial or slot, or mend it"
    )


def _two_owners(entry: _Entry, other: str, device: PciDevice) -> Refusal:
    reason = f"{device.address} is chosen by {other} and by {entry.path}"
    return Refusal("pf-chosen-twice", entry.path, reason, "let one entry choose each PF")
