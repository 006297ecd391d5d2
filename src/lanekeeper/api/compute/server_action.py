"""Actions on servers: one path, and the body's only key says which."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from http import HTTPStatus
from types import MappingProxyType
from typing import Any

from lanekeeper.api.compute.value import at_least, integer
from lanekeeper.api.row import MEMBER, Call, Policy, Reply, Row
from lanekeeper.control.caller import Caller
from lanekeeper.control.compute import server as control
from lanekeeper.control.compute.server_console import read_console
from lanekeeper.control.compute.server_list import show_server
from lanekeeper.control.site import Site
from lanekeeper.domain.errors import Forbidden, Invalid, NotOffered

_ACTION = Policy("os_compute_api:servers:action", MEMBER)
_ACCEPTED = Reply(status=HTTPStatus.ACCEPTED)
_REASON_MAX = 255

Act = Callable[[Call[Any], Any], object]


def _plain(act: Callable[[Site, Caller, str], None]) -> Act:
    """An action of which nothing more is said than that it is wanted."""

    def done(call: Call[Any], _: Any) -> Reply:
        act(call.site, call.caller, call.path["server_id"])
        return _ACCEPTED

    return done


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
    log = read_console(call.site, call.caller, call.path["server_id"])
    return Reply(body={"output": log.tail(lines)})


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


ACTIONS: Mapping[str, Act] = MappingProxyType(
    {
        "os-start": _plain(control.start_server),
        "os-stop": _plain(control.stop_server),
        "pause": _plain(control.pause_server),
        "unpause": _plain(control.unpause_server),
        "reboot": reboot,
        "os-getConsoleOutput": console_output,
        "os-resetState": reset_state,
        "lock": lock,
        "unlock": unlock,
        "forceDelete": _plain(control.delete_server),
    }
)

NOT_OFFERED: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "resize": (
            "resizing a server",
            "create another server with that flavor, then delete this one",
        ),
        "confirmResize": ("resizing a server", "no resize waits to be confirmed"),
        "revertResize": ("resizing a server", "no resize waits to be reverted"),
        "migrate": ("migrating a server", "create another server elsewhere, then delete this one"),
        "os-migrateLive": (
            "live migration",
            "create another server elsewhere, then delete this one",
        ),
        "evacuate": (
            "evacuating a server",
            "it is there again when its host is; until then another server can do its work",
        ),
        "rebuild": (
            "rebuilding a server",
            "delete it and create another one with the same ports, made by: openstack port create",
        ),
        "createImage": (
            "making an image of a server",
            "copy the disk from inside of the guest, and: openstack image create --file",
        ),
        "createBackup": ("making backups of a server", "back up from inside of the guest"),
        "shelve": (
            "shelving a server",
            "openstack server stop ends the guest and keeps its devices",
        ),
        "shelveOffload": (
            "shelving a server",
            "openstack server stop ends the guest and keeps its devices",
        ),
        "unshelve": ("shelving a server", "openstack server start starts a stopped one"),
        "suspend": (
            "suspending a server",
            "no device can be saved to disk; openstack server pause keeps all in memory",
        ),
        "resume": ("suspending a server", "openstack server start starts a stopped one"),
        "rescue": ("rescuing a server", "openstack console log show tells what its guest says"),
        "unrescue": ("rescuing a server", "openstack server reboot --hard starts its guest anew"),
        "restore": ("restoring a deleted server", "what is deleted is gone: create another one"),
        "changePassword": (
            "changing a guest's password",
            "change it inside of the guest, or log in by a key: openstack keypair",
        ),
        "trigger_crash_dump": (
            "triggering a crash dump",
            "trigger it inside of the guest, where kdump is set up",
        ),
        "addSecurityGroup": (
            "changing a server's security groups",
            "ports have them: openstack port set --security-group",
        ),
        "removeSecurityGroup": (
            "changing a server's security groups",
            "ports have them: openstack port unset --security-group",
        ),
        "addFixedIp": (
            "adding an address to a server",
            "ports have them: openstack port set --fixed-ip",
        ),
        "removeFixedIp": (
            "removing an address from a server",
            "ports have them: openstack port unset --fixed-ip",
        ),
        "addFloatingIp": (
            "a floating address",
            "a VF is on its network itself: use the port's fixed address",
        ),
        "removeFloatingIp": (
            "a floating address",
            "a VF is on its network itself: use the port's fixed address",
        ),
        "os-getVNCConsole": (
            "a graphical console",
            "openstack console log show has the serial one's output",
        ),
        "os-getSPICEConsole": (
            "a graphical console",
            "openstack console log show has the serial one's output",
        ),
        "os-getRDPConsole": (
            "a graphical console",
            "openstack console log show has the serial one's output",
        ),
        "os-getSerialConsole": (
            "an interactive serial console",
            "openstack console log show has its output",
        ),
        "os-resetNetwork": (
            "resetting a guest's network",
            "openstack server reboot --hard sets up its VFs anew",
        ),
        "resetNetwork": (
            "resetting a guest's network",
            "openstack server reboot --hard sets up its VFs anew",
        ),
        "injectNetworkInfo": (
            "injecting network information",
            "a guest reads it from its config drive",
        ),
    }
)
"""Actions of OpenStack's API that are not there: what each would be, and what to do instead."""


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
        what, instead = NOT_OFFERED[name]
        raise NotOffered(f"{name}: {what} is not offered", hint=instead)
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
