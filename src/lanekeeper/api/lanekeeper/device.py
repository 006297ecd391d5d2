"""Devices over HTTP: where each is, who holds it, cleaning one again, keeping one back."""

from __future__ import annotations

from typing import Any

from lanekeeper.api.row import ADMIN, Call, Policy, Row
from lanekeeper.control.host.device import PAGE, Device, clean_device, list_devices, show_device
from lanekeeper.control.host.device_history import DeviceEvent, actor_of, device_history
from lanekeeper.control.host.device_reserve import (
    release_device,
    retire_device,
    retired_note,
)
from lanekeeper.domain.errors import Invalid
from lanekeeper.domain.pci.device import DeviceState

_READ = Policy("lanekeeper:devices:list", ADMIN)
_CLEAN = Policy("lanekeeper:devices:clean", ADMIN)
_RESERVE = Policy("lanekeeper:devices:reserve", ADMIN)
_STATES = tuple(state.value for state in DeviceState)
_DIGITS = 10  # of a limit
_EVENT = DeviceEvent.__slots__
_FIELDS = tuple(name for name in Device.__slots__ if name not in ("state_at", "moved_at"))


def _view(device: Device) -> dict[str, object]:
    shown: dict[str, object] = {name: getattr(device, name) for name in _FIELDS}
    return shown | {
        "state_at": device.state_at.isoformat(),
        "moved_at": device.moved_at.isoformat() if device.moved_at else None,
    }


def index(call: Call[None]) -> dict[str, object]:
    """List devices, at most 1000; of one host with ``?host=NAME``, of one state with ``?state=``.

    ``?address=`` lists those at one PCI address.
    ``?needs_attention=true`` lists those alone that wait for somebody.
    ``?limit=N`` asks for less, ``?marker=ID`` for those after a device: the last of a list before.
    """
    found = list_devices(
        call.site,
        call.asked("host"),
        call.asked("state"),
        address=call.asked("address"),
        waiting=_flag(call, "needs_attention"),
        after=call.asked("marker"),
        limit=_limit(call),
    )
    return {"devices": [_view(one) for one in found]}


def show(call: Call[None]) -> dict[str, object]:
    """Show one device."""
    return {"device": _view(show_device(call.site, call.path["device_id"]))}


def clean(call: Call[None]) -> dict[str, object]:
    """Have a quarantined device cleaned once more."""
    return {"device": _view(clean_device(call.site, call.path["device_id"], actor_of(call.caller)))}


def release(call: Call[None]) -> dict[str, object]:
    """Have a device that is spent, reserved or retired serve again; 409 until it is clean."""
    return {
        "device": _view(release_device(call.site, call.path["device_id"], actor_of(call.caller)))
    }


def retire(call: Call[None]) -> dict[str, object]:
    """Take a device out until it is released; who holds it keeps it till then.

    ``note`` says what that does not do, where it keeps nothing back now.
    """
    device = retire_device(call.site, call.path["device_id"], actor_of(call.caller))
    return {"device": _view(device), "note": retired_note(call.site, device)}


def history(call: Call[None]) -> dict[str, object]:
    """What became of a device (an id, or a PCI address with ``?host=``), the latest first."""
    found = device_history(
        call.site, call.path["device_id"], call.asked("host"), limit=_limit(call)
    )
    return {
        "events": [
            {name: getattr(one, name) for name in _EVENT} | {"at": one.at.isoformat()}
            for one in found
        ]
    }


def _flag(call: Call[None], name: str) -> bool:
    value = call.asked(name)
    if value not in (None, "true", "false"):
        raise Invalid(f"{name} {value[:40]!r} is neither true nor false")
    return value == "true"


def _limit(call: Call[None]) -> int:
    limit = call.asked("limit")
    if limit is None:
        return PAGE
    if not (limit.isascii() and limit.isdigit() and len(limit) < _DIGITS):
        raise Invalid(f"limit {limit[:40]!r} is not between 1 and {PAGE}")
    return int(limit)


ROWS: tuple[Row[Any], ...] = (
    Row(method="GET", path="/devices", handler=index, policy=_READ),
    Row(method="GET", path="/devices/{device_id}", handler=show, policy=_READ),
    Row(method="GET", path="/devices/{device_id}/history", handler=history, policy=_READ),
    Row(method="POST", path="/devices/{device_id}/clean", handler=clean, policy=_CLEAN),
    Row(method="POST", path="/devices/{device_id}/release", handler=release, policy=_RESERVE),
    Row(method="POST", path="/devices/{device_id}/retire", handler=retire, policy=_RESERVE),
)
