"""Which functions each entry of a policy means."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from lanekeeper.domain.errors import Invalid
from lanekeeper.domain.hostplan.near_miss import instead_of_device, instead_of_pf, near_names, told
from lanekeeper.domain.hostplan.observed import HostFacts
from lanekeeper.domain.hostplan.policy.device import DevicePolicy
from lanekeeper.domain.hostplan.policy.pf import PfPolicy
from lanekeeper.domain.hostplan.policy.policy import Policy
from lanekeeper.domain.hostplan.policy.selector import DeviceSelector
from lanekeeper.domain.hostplan.step import Refusal, Unmet
from lanekeeper.domain.pci.address import PciAddress
from lanekeeper.domain.pci.device import PciDevice

Chosen = list[tuple[PfPolicy, PciDevice]]
ChosenDevices = list[tuple[DevicePolicy, PciDevice]]


class _Kind(StrEnum):
    PF = "PF"
    DEVICE = "device"


class _Entry(Protocol):
    @property
    def path(self) -> str: ...

    @property
    def selector(self) -> DeviceSelector: ...


@dataclass(frozen=True, slots=True)
class Choice:
    """What the entries of ``pfs`` and those of ``devices`` mean; *unmet* are those that mean none.

    One that means a function which cannot be read is refused. So is one that means what an
    earlier one has, and it does not have it.

    Attributes:
        left: functions of the entries that are left out on purpose.
        is_partial: some entry has nothing here, for now: what was written for it stays.
    """

    pfs: Chosen
    devices: ChosenDevices
    refusals: tuple[Refusal, ...]
    unmet: tuple[Unmet, ...] = ()
    left: frozenset[PciAddress] = frozenset()
    is_partial: bool = False


def choose(policy: Policy, host: HostFacts, without: Collection[str] = ()) -> Choice:
    """Find the functions that each entry means, but for those of the entries *without*."""
    owners: dict[PciAddress, str] = {}
    refusals: list[Refusal] = []
    unmet: list[Unmet] = []
    pfs: Chosen = []
    left: list[PciDevice] = []
    for entry in policy.pfs:
        if entry.path in without:
            left += entry.selector.select(host.pfs, host)
            continue
        found = entry.selector.select(host.pfs, host)
        refusals += _wrong(_Kind.PF, entry, found, host, owners)
        unmet += _unmet(_Kind.PF, entry, found, host)
        pfs += [(entry, pf) for pf in _own(entry, found, owners)]
    devices: ChosenDevices = []
    for whole in policy.devices:
        if whole.path in without:
            left += whole.selector.select(host.whole, host)
            continue
        found = whole.selector.select(host.whole, host)
        refusals += _wrong(_Kind.DEVICE, whole, found, host, owners)
        unmet += _unmet(_Kind.DEVICE, whole, found, host)
        devices += [(whole, device) for device in _own(whole, found, owners)]
    aside = frozenset(device.address for device in left)
    is_partial = bool(unmet or without)
    return Choice(pfs, devices, tuple(refusals), tuple(unmet), aside, is_partial)


def _own(
    entry: _Entry, found: Sequence[PciDevice], owners: dict[PciAddress, str]
) -> Iterator[PciDevice]:
    """Yield those of *found* that no entry had before, and note that *entry* has them."""
    for device in found:
        if owners.setdefault(device.address, entry.path) == entry.path:
            yield device


def _wrong(
    kind: _Kind,
    entry: _Entry,
    found: Sequence[PciDevice],
    host: HostFacts,
    owners: dict[PciAddress, str],
) -> Iterator[Refusal]:
    if entry.selector.index is not None and (faults := _countable(entry, found, host)):
        yield _order_unknown(kind, entry, faults)
    if not found and _fault_of(entry, host):
        yield Refusal(*_nothing_selected(kind, entry, host))
    for device in found:
        if device.address in owners:
            yield _two_owners(kind, entry, owners[device.address], device)


def _unmet(
    kind: _Kind, entry: _Entry, found: Sequence[PciDevice], host: HostFacts
) -> Iterator[Unmet]:
    if not found and not _fault_of(entry, host):
        yield Unmet(*_nothing_selected(kind, entry, host))


def _fault_of(entry: _Entry, host: HostFacts) -> str:
    """Say why the very function that the entry names cannot be read; empty for none."""
    return dict(host.device_faults).get(str(entry.selector.address), "")


def _nothing_selected(kind: _Kind, entry: _Entry, host: HostFacts) -> tuple[str, str, str, str]:
    """Return code, subject, reason and fix."""
    reason = f"no {kind} has {entry.selector}"
    if fault := _fault_of(entry, host):
        reason = f"{reason}: the function there is set aside, since {fault}"
    among = host.pfs if kind is _Kind.PF else host.whole
    instead = instead_of_pf if kind is _Kind.PF else instead_of_device
    near = [*instead(entry.selector, host), *entry.selector.near_misses(among, host)]
    near += [] if near else near_names(entry.selector, among, host)
    code = f"{kind.lower()}-not-found"
    return code, entry.path, reason, ". ".join(_fix(kind, entry, among, host, near))


def _fix(
    kind: _Kind,
    entry: _Entry,
    among: Sequence[PciDevice],
    host: HostFacts,
    near: Sequence[str],
) -> Iterator[str]:
    """Say what was probably meant, and what is there."""
    if near:
        yield "; ".join(near)
    if kind is _Kind.PF:
        there = ", ".join(told(pf, entry.selector, host) for pf in among)
        yield f"PFs here: {there or 'none'}"
    else:
        yield "`lanekeeper host show` lists what is here"
    if entry.selector.address is None:
        for name, fault in host.device_faults:
            yield f"{name} is set aside, since {fault}: it may be what is meant"


def _countable(entry: _Entry, found: Sequence[PciDevice], host: HostFacts) -> list[str]:
    """Return the functions set aside that may stand before the one which the index means."""
    last = found[-1].address if found else None
    names = [name for name, _ in host.device_faults]
    return [name for name in names if _may_be_before(name, entry, last)]


def _may_be_before(name: str, entry: _Entry, last: PciAddress | None) -> bool:
    try:
        address = PciAddress.parse(name)
    except Invalid:
        return True
    return entry.selector.may_be_at(address) and (last is None or address < last)


def _order_unknown(kind: _Kind, entry: _Entry, faults: Sequence[str]) -> Refusal:
    """A card that cannot be read is no card that can be counted: the next one would be taken."""
    names = ", ".join(faults)
    index = f"index {entry.selector.index}"
    reason = f"{index} counts {kind}s, and {names} cannot be read: it may be one"
    return Refusal(
        f"{kind.lower()}-order-unknown",
        entry.path,
        reason,
        "select by address, serial or slot, or mend it",
    )


def _two_owners(kind: _Kind, entry: _Entry, other: str, device: PciDevice) -> Refusal:
    reason = f"{device.address} is chosen by {other} and by {entry.path}"
    fix = f"let one entry choose each {kind}"
    return Refusal(f"{kind.lower()}-chosen-twice", entry.path, reason, fix, other)
