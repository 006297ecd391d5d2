"""Carrying out one action of a plan. What there was to decide was decided by the plan."""

from __future__ import annotations

from dataclasses import dataclass, field

from lanekeeper.agent import guests
from lanekeeper.agent.cleaning import Cleaner
from lanekeeper.agent.guests import Unsupported, Workshop
from lanekeeper.agent.observe import View
from lanekeeper.agent.plan import (
    Action,
    ApplyVfSettings,
    CleanDevice,
    DestroyGuest,
    RecordGeneration,
    RestartGuest,
    StartGuest,
    StopGuest,
)
from lanekeeper.protocol import CleaningState


@dataclass(frozen=True, slots=True)
class Outcome:
    """What is worth remembering of an action that succeeded."""

    unsupported: Unsupported = field(default_factory=dict)
    cleaned: CleaningState | None = None


def apply(action: Action, shop: Workshop, cleaner: Cleaner, view: View) -> Outcome:
    """Do it; doing it twice does no harm. Raises Error with the reason."""
    match action:
        case StartGuest(server):
            return Outcome(guests.start(shop, server, view))
        case RestartGuest(server):
            return Outcome(guests.restart(shop, server, view))
        case StopGuest(server):
            guests.stop(shop, server, view)
        case RecordGeneration(server):
            shop.hypervisor.record(server.id, server.generation)
        case ApplyVfSettings(_, nic):
            return Outcome(guests.mend(shop, nic))
        case DestroyGuest(server_id):
            guests.destroy(shop, server_id)
        case CleanDevice(wanted):
            return Outcome(cleaned=cleaner.clean(wanted, view))
    return Outcome()


def key_of(action: Action) -> str:
    """Name what the action is about: a server's id or a device's."""
    match action:
        case DestroyGuest(server_id):
            return server_id
        case CleanDevice(wanted):
            return wanted.device.device_id
        case _:
            return action.server.id


def order_of(action: Action) -> str:
    """Name what is wanted, so that failures of another order do not count."""
    match action:
        case DestroyGuest():
            return "absent"
        case CleanDevice(wanted):
            return f"round {wanted.round}"
        case ApplyVfSettings():
            return f"settings of {action.nic.device.address}"
        case _:
            return f"generation {action.server.generation}"


def touches(action: Action) -> frozenset[str]:
    """Name all that no other action may touch meanwhile: the server, its devices by address."""
    match action:
        case DestroyGuest(server_id):
            return frozenset({server_id})
        case CleanDevice(wanted):
            return frozenset({wanted.device.device_id, wanted.device.address})
        case _:
            server = action.server
            own = [*(nic.device for nic in server.nics), *server.devices]
            return frozenset({server.id, *(device.address for device in own)})


def describe(action: Action) -> dict[str, str]:
    """Return what a log line says of the action, under the keys that all log lines share."""
    match action:
        case CleanDevice(wanted):
            return {"event": "device clean", "device": wanted.device.address}
        case ApplyVfSettings(server, nic):
            device = nic.device.address
            return {"event": "vf settings apply", "server": server.id, "device": device}
        case _:
            return {"event": _EVENTS[type(action)], "server": key_of(action)}


_EVENTS: dict[type, str] = {
    StartGuest: "guest start",
    RestartGuest: "guest restart",
    StopGuest: "guest stop",
    RecordGeneration: "guest record",
    DestroyGuest: "guest destroy",
}
