"""One action with all that is to be known of it before it is tried. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, NamedTuple

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
    RecordGeneration,
    RestartGuest,
    StartGuest,
    StopGuest,
)
from lanekeeper.protocol import CleaningWanted, Desired, DeviceWanted, ServerWanted

Kind = Literal["guest", "vf settings", "cleaning"]


class Identity(NamedTuple):
    """Which order an action serves: as long as the order stands, what came of it is remembered.

    Attributes:
        about: id of the server or of the device.
        order: what is wanted; another order is another identity, of which nothing is known yet.
    """

    kind: Kind
    about: str
    order: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """An action of the plan.

    Attributes:
        subject: id of the server or of the device whose report tells what became of it.
        touches: all that no other action may touch meanwhile: the server, devices by address.
        endless: it is tried as long as it is wanted, however often it has failed.
        event, device: what log lines say of it.
    """

    action: Action
    identity: Identity
    subject: str
    touches: frozenset[str]
    event: str
    endless: bool = False
    device: str = ""

    def described(self) -> dict[str, str]:
        """Return what a log line says of the task, under the keys that all log lines share."""
        server = {} if self.identity.kind == "cleaning" else {"server": self.subject}
        device = {"device": self.device} if self.device else {}
        return {"event": self.event} | server | device


_EVENTS: dict[type, str] = {
    StartGuest: "guest start",
    RestartGuest: "guest restart",
    StopGuest: "guest stop",
    RecordGeneration: "guest record",
}


def task_of(action: Action) -> Task:
    """Return *action* with its identity and all that it touches."""
    match action:
        case DestroyGuest(server_id):
            return Task(
                action=action,
                identity=Identity("guest", server_id, "absent"),
                subject=server_id,
                touches=frozenset({server_id}),
                event="guest destroy",
                endless=True,
            )
        case CleanDevice(wanted):
            device = wanted.device
            return Task(
                action=action,
                identity=_cleaning(wanted),
                subject=device.device_id,
                touches=frozenset({device.device_id, *_places(device)}),
                event="device clean",
                device=device.address,
            )
        case AttachNic() | DetachDevice() | ApplyVfSettings():
            return _of_card(action)
        case AttachTap() | LinkTap() | DetachTap():
            return _of_tap(action)
        case _:
            server = action.server
            own = [*(nic.device for nic in server.nics), *server.devices]
            return Task(
                action=action,
                identity=Identity("guest", server.id, _order(server)),
                subject=server.id,
                touches=frozenset({server.id, *(place for one in own for place in _places(one))}),
                event=_EVENTS[type(action)],
            )


def _of_card(action: AttachNic | DetachDevice | ApplyVfSettings) -> Task:
    """What is done with one device of a guest that runs."""
    match action:
        case AttachNic(server, nic):
            order = f"{_order(server)} with {nic.device.address}"
            identity = Identity("guest", server.id, order)
            return _of_one(action, "device attach", identity, nic.device, endless=action.returns)
        case DetachDevice(server, address):
            return Task(
                action=action,
                identity=Identity("guest", server.id, f"{_order(server)} without {address}"),
                subject=server.id,
                touches=frozenset({server.id, str(address)}),
                event="device detach",
                endless=True,  # the guest may let go any time, and has the device until then
                device=str(address),
            )
        case ApplyVfSettings(server, nic):
            identity = Identity("vf settings", nic.device.device_id, _order(server))
            return _of_one(action, "vf settings apply", identity, nic.device, endless=True)


def _of_one(
    action: AttachNic | ApplyVfSettings,
    event: str,
    identity: Identity,
    device: DeviceWanted,
    *,
    endless: bool = False,
) -> Task:
    """What is done with one card of a server."""
    return Task(
        action=action,
        identity=identity,
        subject=action.server.id,
        touches=frozenset({action.server.id, *_places(device)}),
        event=event,
        endless=endless,
        device=device.address,
    )


def _of_tap(action: AttachTap | LinkTap | DetachTap) -> Task:
    """What is done with one card of a virtual switch; it touches nothing but its guest."""
    event, how = _TAP_WORDS[type(action)]
    port_id = action.port_id if isinstance(action, DetachTap) else action.tap.port_id
    server = action.server
    return Task(
        action=action,
        identity=Identity("guest", server.id, f"{_order(server)} {how} {port_id}"),
        subject=server.id,
        touches=frozenset({server.id}),
        event=event,
        endless=isinstance(action, DetachTap),  # the guest may let go any time
    )


_TAP_WORDS: dict[type, tuple[str, str]] = {
    AttachTap: ("port attach", "with"),
    LinkTap: ("port link", "with the link of"),
    DetachTap: ("port detach", "without"),
}


def _places(device: DeviceWanted) -> tuple[str, ...]:
    """Its address, and that of those that are handled one after the other with it."""
    return (device.address,) if device.unit is None else (device.address, f"unit {device.unit}")


def cleanings(desired: Desired) -> Iterator[Identity]:
    """Name the cleanings that are asked for: done or given up, they are told while they stand."""
    return map(_cleaning, desired.cleaning)


def _cleaning(wanted: CleaningWanted) -> Identity:
    return Identity("cleaning", wanted.device.device_id, f"round {wanted.round}")


def _order(server: ServerWanted) -> str:
    return f"generation {server.generation}"
