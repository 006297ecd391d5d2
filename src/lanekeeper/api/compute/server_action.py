"""Actions on servers: one path, and the body's only key says which."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from http import HTTPStatus
from types import MappingProxyType
from typing import Any

from lanekeeper.api.compute.value import at_least, integer
from lanekeeper.api.row import MEMBER, Call, Policy, Reply, Row
from lanekeeper.control.compute import server as control
from lanekeeper.control.compute.server_console import console_tail, read_console
from lanekeeper.control.compute.server_list import show_server
from lanekeeper.domain.errors import Forbidden, Invalid, NotOffered

_ACTION = Policy("os_compute_api:servers:action", MEMBER)
_ACCEPTED = Reply(status=HTTPStatus.ACCEPTED)
_REASON_MAX = 255

Act = Callable[[Call[Any], Any], object]


def start(call: Call[Any], _: Any) -> Reply:
    control.start_server(call.site, call.caller, call.path["server_id"])
    return _ACCEPTED


def stop(call: Call[Any], _: Any) -> Reply:
    control.stop_server(call.site, call.caller, call.path["server_id"])
    return _ACCEPTED


def reboot(call: Call[Any], said: Any) -> Reply:
    kind = str(_object("reboot", said, {"type"}).get("type", "")).upper()
    if kind not in ("SOFT", "HARD"):
        raise Invalid("reboot: type must be SOFT or HARD")
    server_id = call.path["server_id"]
    control.reboot_server(call.site, call.caller, server_id, hard=kind == "HARD")
    return _ACCEPTED


def console_output(call: Call[Any], said: Any) -> Reply:
    length = _object("os-getConsoleOutput", said or {}, {"length"}).get("length")
    lines = None if length is None else integer(length, "length", -1)
    text = read_console(call.site, call.caller, call.path["server_id"])
    return Reply(body={"output": console_tail(text, lines)})


def reset_state(call: Call[Any], said: Any) -> Reply:
    if not call.caller.is_admin:
        raise Forbidden("Policy does not allow os_compute_api:os-admin-actions:reset_state")
    state = _object("os-resetState", said, {"state"}).get("state")
    if state not in ("active", "error"):
        raise Invalid("os-resetState: state must be active or error")
    control.reset_state(call.site, call.caller, call.path["server_id"], active=state == "active")
    return _ACCEPTED


def lock(call: Call[Any], said: Any) -> Reply:
    reason = None
    if said is not None and at_least(call, "2.73"):
        reason = _object("lock", said, {"locked_reason"}).get("locked_reason")
        if not isinstance(reason, str) or not 1 <= len(reason) <= _REASON_MAX:
            raise Invalid(f"lock: locked_reason must have 1 to {_REASON_MAX} characters")
    server_id = call.path["server_id"]
    control.lock_server(call.site, call.caller, server_id, locked=True, reason=reason)
    return _ACCEPTED


def unlock(call: Call[Any], _: Any) -> Reply:
    control.lock_server(call.site, call.caller, call.path["server_id"], locked=False)
    return _ACCEPTED


def force_delete(call: Call[Any], _: Any) -> Reply:
    control.delete_server(call.site, call.caller, call.path["server_id"])
    return _ACCEPTED


ACTIONS: Mapping[str, Act] = MappingProxyType(
    {
        "os-start": start,
        "os-stop": stop,
        "reboot": reboot,
        "os-getConsoleOutput": console_output,
        "os-resetState": reset_state,
        "lock": lock,
        "unlock": unlock,
        "forceDelete": force_delete,
    }
)

NOT_OFFERED: Mapping[str, str] = MappingProxyType(
    {
        "resize": "resizing a server",
        "confirmResize": "resizing a server",
        "revertResize": "resizing a server",
        "migrate": "migrating a server",
        "os-migrateLive": "live migration",
        "evacuate": "evacuating a server",
        "rebuild": "rebuilding a server",
        "createImage": "making an image of a server",
        "createBackup": "making backups of a server",
        "shelve": "shelving a server",
        "shelveOffload": "shelving a server",
        "unshelve": "shelving a server",
        "pause": "pausing a server",
        "unpause": "pausing a server",
        "suspend": "suspending a server",
        "resume": "suspending a server",
        "rescue": "rescuing a server",
        "unrescue": "rescuing a server",
        "restore": "restoring a deleted server",
        "changePassword": "changing a guest's password",
        "trigger_crash_dump": "triggering a crash dump",
        "addSecurityGroup": "changing a server's security groups (ports have them)",
        "removeSecurityGroup": "changing a server's security groups (ports have them)",
        "addFixedIp": "adding addresses to a server (ports have them)",
        "removeFixedIp": "removing addresses from a server (ports have them)",
        "addFloatingIp": "floating addresses",
        "removeFloatingIp": "floating addresses",
        "os-getVNCConsole": "a graphical console",
        "os-getSPICEConsole": "a graphical console",
        "os-getRDPConsole": "a graphical console",
        "os-getSerialConsole": "an interactive serial console",
        "os-resetNetwork": "resetting a guest's network",
        "resetNetwork": "resetting a guest's network",
        "injectNetworkInfo": "injecting network information",
    }
)
"""Actions of OpenStack's API that are not there yet, and what each would be."""


def act(call: Call[dict[str, Any]]) -> object:
    """Do one thing with a server."""
    if len(call.body) != 1:
        raise Invalid("the body must have exactly one key, the action")
    ((name, said),) = call.body.items()
    found = ACTIONS.get(name)
    if found is not None:
        return found(call, said)
    show_server(call.site, call.caller, call.path["server_id"])  # 404 before 501
    if name in NOT_OFFERED:
        raise NotOffered(
            f"{name}: {NOT_OFFERED[name]} is not offered",
            hint="delete the server and create another one",
        )
    raise Invalid(
        f"There is no such action: {name[:60]}", hint=f"there are: {', '.join(sorted(ACTIONS))}"
    )


def _object(action: str, said: Any, keys: set[str]) -> dict[str, Any]:
    if not isinstance(said, dict):
        raise Invalid(f"{action} must be an object with {', '.join(sorted(keys))}")
    if unknown := sorted(set(said) - keys):
        raise Invalid(
            f"{action}: Additional properties are not allowed ({unknown[0][:60]!r} was unexpected)"
        )
    return said


ROWS: tuple[Row[Any], ...] = (
    Row(
        method="POST",
        path="/v2.1/servers/{server_id}/action",
        handler=act,
        policy=_ACTION,
        slow=True,  # reading a console waits for its host
        accepts=dict[str, Any],
    ),
)
