"""Carrying out one action of a plan. What there was to decide was decided by the plan."""

from __future__ import annotations

from dataclasses import dataclass, field

from lanekeeper.agent import guests
from lanekeeper.agent.cleaning import Cleaner
from lanekeeper.agent.guests import Unsupported
from lanekeeper.agent.observe import View
from lanekeeper.agent.plan import (
    Action,
    ApplyVfSettings,
    AttachNic,
    AttachTap,
    CleanDevice,
    DestroyGuest,
    DetachDevice,
    DetachTap,
    LinkTap,
    PauseGuest,
    RecordGeneration,
    RestartGuest,
    StartGuest,
    StopGuest,
)
from lanekeeper.agent.workshop import Workshop
from lanekeeper.protocol import CleaningState


@dataclass(frozen=True, slots=True)
class Outcome:
    """What is worth remembering of an action that succeeded."""

    unsupported: Unsupported = field(default_factory=dict)
    cleaned: CleaningState | None = None


def apply(action: Action, shop: Workshop, cleaner: Cleaner, view: View) -> Outcome:
    """Do it; doing it twice does no harm. Raises Error with the reason."""
    match action:
        case StartGuest() | RestartGuest() | PauseGuest() | StopGuest() | RecordGeneration():
            return Outcome(_settle(action, shop, view))
        case AttachNic(server, nic):
            return Outcome(guests.attach(shop, server, nic, view))
        case DetachDevice(server, address):
            guests.detach(shop, server, address)
        case AttachTap(server, tap):
            guests.attach_tap(shop, server, tap, view)
        case LinkTap(server, tap):
            shop.hypervisor.link_tap(server.id, tap)
        case DetachTap(server, port_id):
            guests.detach_tap(shop, server, port_id)
        case ApplyVfSettings(_, nic, lost):
            return Outcome(guests.mend(shop, nic, lost))
        case DestroyGuest(server_id):
            guests.destroy(shop, server_id)
        case CleanDevice(wanted):
            return Outcome(cleaned=cleaner.clean(wanted, view))
    return Outcome()


def _settle(
    action: StartGuest | RestartGuest | PauseGuest | StopGuest | RecordGeneration,
    shop: Workshop,
    view: View,
) -> Unsupported:
    """Bring the guest to where it is to be, and note that it is there."""
    match action:
        case StartGuest(server):
            return guests.start(shop, server, view)
        case RestartGuest(server):
            return guests.restart(shop, server, view)
        case PauseGuest(server):
            guests.pause(shop, server)
        case StopGuest(server):
            guests.stop(shop, server, view)
        case RecordGeneration(server):
            shop.hypervisor.record(server.id, server.generation)
    return {}
