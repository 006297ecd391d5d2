"""What to do next on a host: the wanted state compared with what is there. Pure.

Absence is never an order. A guest is destroyed only because its id stands in ``absent``, a device
is taken from one that runs only because it stands in the server's ``leaving``, and cleaned only
because it stands in ``cleaning``; what is named nowhere stays as it is.

A guest is started because its generation has not been obeyed yet, not because it does not run:
one that ended by itself after its start is reported, and the controller decides.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from lanekeeper.agent.pairs import has_left
from lanekeeper.agent.vf_settings import drift
from lanekeeper.domain.pci.address import PciAddress
from lanekeeper.domain.pci.vf_change import VfChange
from lanekeeper.domain.pci.vf_settings import VfSettings
from lanekeeper.hypervisor.driver import Guest, Inventory
from lanekeeper.protocol import CleaningWanted, Desired, NicWanted, ServerWanted, TapWanted


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """One host at one moment.

    Attributes:
        files: ids of servers that have files here, with or without a guest.
        vf_settings: what the PFs hold for the VFs of running guests, by the VF's address.
        unsupported: settings that a VF's driver has said it does not know, by address.
        away: VFs of failover pairs that no guest should have now: their uplink is down, or they
            are listed no more and their guest has let go of them.
        unsure: those, and such whose uplink has not been well for long.
        fallen: VFs whose interface does not carry the macvtap of a running guest as it should.
        settled: what VFs were last seen, or have been, set to as wanted, by port id.
        cleaned: the round in which a device was last cleaned, by device id.
    """

    inventory: Inventory = field(default_factory=Inventory)
    files: frozenset[str] = frozenset()
    vf_settings: Mapping[PciAddress, VfSettings] = field(default_factory=dict)
    unsupported: Mapping[PciAddress, frozenset[str]] = field(default_factory=dict)
    away: frozenset[PciAddress] = frozenset()
    unsure: frozenset[PciAddress] = frozenset()
    fallen: frozenset[PciAddress] = frozenset()
    settled: Mapping[str, VfChange] = field(default_factory=dict)
    cleaned: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class StartGuest:
    """Bring the guest up, from wherever an earlier attempt has left it."""

    server: ServerWanted


@dataclass(frozen=True, slots=True)
class RestartGuest:
    """Power the guest off and bring it up again as it is wanted now."""

    server: ServerWanted


@dataclass(frozen=True, slots=True)
class StopGuest:
    """Have the guest off; define it if it was never here."""

    server: ServerWanted


@dataclass(frozen=True, slots=True)
class RecordGeneration:
    """The guest is as wanted; only the note of it is missing."""

    server: ServerWanted


@dataclass(frozen=True, slots=True)
class AttachNic:
    """Plug a network card into a guest that runs; *returns* is one that it had before."""

    server: ServerWanted
    nic: NicWanted
    returns: bool = False


@dataclass(frozen=True, slots=True)
class DetachDevice:
    """Have a guest that runs let go of a function that is its server's no more."""

    server: ServerWanted
    address: PciAddress


@dataclass(frozen=True, slots=True)
class AttachTap:
    """Plug a card of a virtual switch into a guest that runs."""

    server: ServerWanted
    tap: TapWanted


@dataclass(frozen=True, slots=True)
class LinkTap:
    """Have a card of a virtual switch show its guest the link that is wanted."""

    server: ServerWanted
    tap: TapWanted


@dataclass(frozen=True, slots=True)
class DetachTap:
    """Have a guest that runs let go of a card of a virtual switch."""

    server: ServerWanted
    port_id: str


@dataclass(frozen=True, slots=True)
class ApplyVfSettings:
    """A VF of a running guest lacks settings: *lost* names them; write them again.

    It had those that *taken* names, and something else changed them; others are wanted since.
    """

    server: ServerWanted
    nic: NicWanted
    lost: tuple[str, ...]
    taken: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class DestroyGuest:
    """A tombstone: no guest, no files."""

    server_id: str


@dataclass(frozen=True, slots=True)
class CleanDevice:
    wanted: CleaningWanted


Action = (
    StartGuest
    | RestartGuest
    | StopGuest
    | RecordGeneration
    | AttachNic
    | DetachDevice
    | AttachTap
    | LinkTap
    | DetachTap
    | ApplyVfSettings
    | DestroyGuest
    | CleanDevice
)


_INTERFACE = "interface below its macvtap"
"""What a VF can lose that is no setting at its PF."""


def nics_of(action: Action) -> tuple[NicWanted, ...]:
    """Return the cards that are set once *action* is done."""
    match action:
        case StartGuest(server) | RestartGuest(server):
            return tuple(server.nics)
        case AttachNic(_, nic) | ApplyVfSettings(_, nic):
            return (nic,)
        case _:
            return ()


def plan(desired: Desired, observed: Observed) -> tuple[Action, ...]:
    """Name all that has to be done, tombstones first, since they give devices back."""
    doomed = frozenset(desired.absent)
    alive = [server for server in desired.servers if server.id not in doomed]
    return (
        *_destroy(desired, observed),
        *_clean(desired, observed, doomed),
        *(action for server in alive for action in _serve(server, observed)),
    )


def _destroy(desired: Desired, observed: Observed) -> Iterator[Action]:
    here = observed.files | {guest.id for guest in observed.inventory.guests}
    return (DestroyGuest(server_id) for server_id in desired.absent if server_id in here)


def _clean(desired: Desired, observed: Observed, doomed: frozenset[str]) -> Iterator[Action]:
    for wanted in desired.cleaning:
        address = PciAddress.parse(wanted.device.address)
        if observed.cleaned.get(wanted.device.device_id) == wanted.round:
            continue
        if observed.inventory.holder(address) in doomed:
            continue  # comes free with the tombstone; then it is its turn
        yield CleanDevice(wanted)


def _serve(server: ServerWanted, observed: Observed) -> Iterator[Action]:
    guest = observed.inventory.guest(server.id)
    if guest is not None and guest.generation > server.generation:
        return  # a newer state was obeyed already; this one comes late
    wanted = _run if server.power == "running" else _rest
    yield from wanted(server, guest, observed)


def _run(server: ServerWanted, guest: Guest | None, observed: Observed) -> Iterator[Action]:
    is_new = guest is None or guest.generation < server.generation
    if guest is None or guest.power != "running":
        if is_new:
            yield StartGuest(server)
    elif guest.reboots < server.reboots:
        yield RestartGuest(server)
    else:
        back = tuple(_give_back(server, guest, observed, is_new))
        if is_new:
            yield from (*_plug(server, guest), *back) or (RecordGeneration(server),)
        else:
            yield from back
        yield from _take_away(server, guest, observed)
        yield from _mend(server, guest, observed)
        for tap in server.taps:
            if tap.port_id in guest.taps and tap.link == (tap.port_id in guest.unlinked):
                yield LinkTap(server, tap)


def _plug(server: ServerWanted, guest: Guest) -> Iterator[Action]:
    """Bring the cards of a running guest to what is wanted, what leaves first.

    A VF comes after the card that stands by for it, and goes before it.
    """
    held = {one.address for one in guest.devices}
    for text in server.leaving:
        if (address := PciAddress.parse(text)) in held:
            yield DetachDevice(server, address)
    for port_id in server.leaving_taps:
        if port_id in guest.taps:
            yield DetachTap(server, port_id)
    for tap in server.taps:
        if tap.port_id not in guest.taps:
            yield AttachTap(server, tap)
    for nic in server.nics:
        if not nic.failover and PciAddress.parse(nic.device.address) not in held:
            yield AttachNic(server, nic)


def _give_back(
    server: ServerWanted, guest: Guest, observed: Observed, is_new: bool
) -> Iterator[Action]:
    waits = observed.away if is_new else observed.unsure
    for nic in server.nics:
        if has_left(nic, guest) and PciAddress.parse(nic.device.address) not in waits:
            yield AttachNic(server, nic, returns=not is_new)


def _take_away(server: ServerWanted, guest: Guest, observed: Observed) -> Iterator[Action]:
    held = {one.address for one in guest.devices}
    for nic in server.nics:
        address = PciAddress.parse(nic.device.address)
        if nic.failover and address in held & observed.away and nic.port_id in guest.taps:
            yield DetachDevice(server, address)


def _rest(server: ServerWanted, guest: Guest | None, _: Observed) -> Iterator[Action]:
    if guest is None or guest.is_active:
        yield StopGuest(server)
    elif guest.generation < server.generation:
        yield RecordGeneration(server)


def _mend(server: ServerWanted, guest: Guest, observed: Observed) -> Iterator[Action]:
    for nic in server.nics:
        address = PciAddress.parse(nic.device.address)
        found = observed.vf_settings.get(address)
        if found is None or has_left(nic, guest):
            continue
        lost = drift(nic, found, observed.unsupported.get(address, frozenset()))
        taken = _taken(nic, lost, observed.settled.get(nic.port_id))
        if address in observed.fallen:
            lost += (_INTERFACE,)
        if lost:
            yield ApplyVfSettings(server, nic, lost, taken)


def _taken(nic: NicWanted, lost: tuple[str, ...], had: VfChange | None) -> tuple[str, ...]:
    """Those of *lost* that the VF *had* as they are wanted now: nobody asked for the change."""
    wanted = nic.settings()
    if had is None:  # not seen by this agent; what was wanted meanwhile it cannot tell
        return ()
    return tuple(name for name in lost if getattr(had, name) == getattr(wanted, name))
