"""Parts of a server over HTTP: addresses, cards, groups, what was asked of it."""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus
from typing import Any

from msgspec import UNSET, UnsetType, field

from lanekeeper.api.compute.server_body import tags_value
from lanekeeper.api.compute.server_view import addresses, host_id
from lanekeeper.api.compute.value import (
    access_address,
    at_least,
    bare_stamp,
    limit_of,
    moment,
    next_link,
    only,
)
from lanekeeper.api.row import ADMIN, MEMBER, READER, Call, Policy, Row, Strict
from lanekeeper.control.compute.server_attach import attach_card, detach_card
from lanekeeper.control.compute.server_list import ServerDetail, list_events, show_server
from lanekeeper.control.compute.server_nic import NicAsked
from lanekeeper.domain.compute.event import ServerEvent
from lanekeeper.domain.errors import Invalid, NotFound, NotOffered
from lanekeeper.domain.network.port import PortRecord

_SHOW = Policy("os_compute_api:servers:show", READER)
_IPS = Policy("os_compute_api:ips:index", READER)
_CARDS = Policy("os_compute_api:os-attach-interfaces:list", READER)
_CARD = Policy("os_compute_api:os-attach-interfaces:show", READER)
_ATTACH = Policy("os_compute_api:os-attach-interfaces:create", MEMBER)
_DETACH = Policy("os_compute_api:os-attach-interfaces:delete", MEMBER)
_GROUPS = Policy("os_compute_api:os-security-groups:list", READER)
_EVENTS = Policy("os_compute_api:os-instance-actions:list", READER)
_EVENT = Policy("os_compute_api:os-instance-actions:show", READER)
_VOLUMES = Policy("os_compute_api:os-volumes-attachments:index", READER)
_VOLUME = Policy("os_compute_api:os-volumes-attachments:create", MEMBER)
_DIAGNOSTICS = Policy("os_compute_api:os-server-diagnostics", ADMIN)
_TOPOLOGY = Policy("compute:server:topology:index", READER)
_CONSOLE = Policy("os_compute_api:os-remote-consoles", MEMBER)
_MIGRATIONS = Policy("os_compute_api:servers:migrations:index", ADMIN)


def _server(call: Call[Any]) -> ServerDetail:
    return show_server(call.site, call.caller, call.path["server_id"])


def ips(call: Call[None]) -> dict[str, object]:
    """List a server's addresses."""
    return {"addresses": addresses(call, _server(call))}


def ips_of(call: Call[None]) -> dict[str, object]:
    """List a server's addresses on one network."""
    name = call.path["network"]
    found = addresses(call, _server(call))
    if name not in found:
        raise NotFound(f"Instance is not a member of network {name[:80]!r}")
    return {name: found[name]}


def _card_view(call: Call[Any], port: PortRecord) -> dict[str, object]:
    body: dict[str, object] = {
        "port_id": port.id,
        "net_id": port.network_id,
        "mac_addr": port.mac,
        "port_state": port.status,
        "fixed_ips": [
            {"subnet_id": fixed.subnet_id, "ip_address": fixed.ip} for fixed in port.fixed_ips
        ],
    }
    if at_least(call, "2.70"):
        body["tag"] = port.tags[0] if port.created_by_server and port.tags else None
    return body


def cards(call: Call[None]) -> dict[str, object]:
    """List a server's network cards."""
    return {"interfaceAttachments": [_card_view(call, port) for port in _server(call).ports]}


def card(call: Call[None]) -> dict[str, object]:
    """Show one of a server's network cards."""
    for port in _server(call).ports:
        if port.id == call.path["port_id"]:
            return {"interfaceAttachment": _card_view(call, port)}
    raise NotFound(f"Port {call.path['port_id'][:80]} is not attached to this server")


class FixedIpAsked(Strict, frozen=True):
    ip_address: str


class CardAsked(Strict, frozen=True):
    """A port that is there, or a network on which one is made."""

    port_id: str | None = None
    net_id: str | None = None
    fixed_ips: list[FixedIpAsked] | UnsetType = UNSET
    tag: str | UnsetType = UNSET


class Attach(Strict, frozen=True):
    card: CardAsked = field(name="interfaceAttachment")


def attach(call: Call[Attach]) -> dict[str, object]:
    """Give a server one more network card."""
    asked = call.body.card
    ips = [] if asked.fixed_ips is UNSET else asked.fixed_ips
    if asked.tag is not UNSET and not at_least(call, "2.49"):
        raise Invalid("interfaceAttachment: tag came with microversion 2.49")
    if asked.port_id and asked.net_id:
        raise Invalid("interfaceAttachment: port_id and net_id exclude each other")
    if asked.port_id and ips:
        raise Invalid("interfaceAttachment: fixed_ips goes with net_id; a port has its addresses")
    if not asked.port_id and not asked.net_id:
        raise Invalid("interfaceAttachment needs a port_id or a net_id")
    if len(ips) > 1:
        raise Invalid("interfaceAttachment: fixed_ips has one entry at the most")
    if ips:
        version = 6 if ":" in ips[0].ip_address else 4
        access_address(ips[0].ip_address, "interfaceAttachment: fixed_ips", version)
    wanted = NicAsked(
        port_id=asked.port_id,
        network_id=asked.net_id,
        fixed_ip=ips[0].ip_address if ips else None,
        tag="" if asked.tag is UNSET else tags_value([asked.tag])[0],
    )
    port = attach_card(call.site, call.caller, call.path["server_id"], wanted)
    return {"interfaceAttachment": _card_view(call, port)}


def detach(call: Call[None]) -> None:
    """Take a network card from a server, as soon as its guest lets go of it."""
    detach_card(call.site, call.caller, call.path["server_id"], call.path["port_id"])


def groups(call: Call[None]) -> dict[str, object]:
    """List a server's security groups; ports have them, and nobody filters a VF by them."""
    _server(call)
    return {"security_groups": []}


def _action(call: Call[Any], event: ServerEvent) -> dict[str, object]:
    body: dict[str, object] = {
        "action": event.action,
        "instance_uuid": event.server_id,
        "request_id": event.request_id,
        "user_id": event.user_id or None,
        "project_id": event.project_id or None,
        "start_time": bare_stamp(event.at),
        "message": "Error" if event.message else None,
    }
    return body | ({"updated_at": bare_stamp(event.at)} if at_least(call, "2.58") else {})


def events(call: Call[None]) -> dict[str, object]:
    """List what was asked of a server, the latest first."""
    only(call, {"limit", "marker", "changes-since", "changes-before"}, since="2.58")
    found = list_events(call.site, call.caller, call.path["server_id"])
    if not at_least(call, "2.58"):
        return {"instanceActions": [_action(call, event) for event in found]}
    if since := call.asked("changes-since"):
        found = [event for event in found if event.at >= moment(since, "changes-since")]
    before = call.asked("changes-before") if at_least(call, "2.66") else None
    if before:
        found = [event for event in found if event.at <= moment(before, "changes-before")]
    start, marker = 0, call.asked("marker")
    if marker is not None:
        ids = [event.request_id for event in found]
        if marker not in ids:
            raise Invalid(f"marker [{marker[:80]}] not found")
        start = ids.index(marker) + 1
    page = found[start : start + limit_of(call)]
    body: dict[str, object] = {"instanceActions": [_action(call, event) for event in page]}
    if page and start + len(page) < len(found):
        path = f"servers/{call.path['server_id']}/os-instance-actions"
        body["links"] = next_link(call, path, page[-1].request_id)
    return body


def event(call: Call[None]) -> dict[str, object]:
    """Show one thing that was asked of a server, and what came of it."""
    request_id = call.path["request_id"]
    for one in list_events(call.site, call.caller, call.path["server_id"]):
        if one.request_id == request_id:
            shown = _action(call, one)
            if call.caller.is_admin or at_least(call, "2.51"):
                shown["events"] = [_happening(call, one)]
            return {"instanceAction": shown}
    raise NotFound(f"Action {request_id[:80]} not found")


def _happening(call: Call[Any], one: ServerEvent) -> dict[str, object]:
    """What was done for the request; hosts, and details that name them, are for admins.

    Source: nova ``policies/instance_actions.py``, events:details.
    """
    admin = call.caller.is_admin
    body: dict[str, object] = {
        "event": f"conductor_{one.action}",
        "start_time": bare_stamp(one.at),
        "finish_time": bare_stamp(one.at),
        "result": "Error" if one.message else "Success",
    }
    if admin:
        body["traceback"] = None
    if at_least(call, "2.62"):
        host = str(one.detail.get("host", ""))
        body["hostId"] = host_id(one.project_id, host) if host else ""
        if admin:
            body["host"] = host
    if admin and at_least(call, "2.84"):
        body["details"] = one.message or one.detail.get("said")
    return body


def volumes(call: Call[None]) -> dict[str, object]:
    """List a server's volumes: Lanekeeper has none."""
    _server(call)
    return {"volumeAttachments": []}


def volume(call: Call[None]) -> None:
    """Show one of a server's volumes."""
    _server(call)
    raise NotFound(f"volume_id not found: {call.path['volume_id'][:80]}")


def migrations(call: Call[None]) -> dict[str, object]:
    """List a server's migrations: servers do not move yet."""
    _server(call)
    return {"migrations": []}


def topology(call: Call[None]) -> dict[str, object]:
    """Show a server's NUMA topology: guests have none yet."""
    _server(call)
    return {"nodes": [], "pagesize_kb": None}


def _not_offered(what: str, instead: str) -> Callable[[Call[Any]], None]:
    def refuse(call: Call[Any]) -> None:
        _server(call)
        raise NotOffered(f"{what} is not offered", hint=instead)

    refuse.__doc__ = f"{what.capitalize()}."
    return refuse


_ONE = "/v2.1/servers/{server_id}"
_CARDS_PATH, _VOLUMES_PATH = _ONE + "/os-interface", _ONE + "/os-volume_attachments"

ROWS: tuple[Row[Any], ...] = (
    Row(method="GET", path=_ONE + "/ips", handler=ips, policy=_IPS),
    Row(method="GET", path=_ONE + "/ips/{network}", handler=ips_of, policy=_IPS),
    Row(method="GET", path=_CARDS_PATH, handler=cards, policy=_CARDS),
    Row(method="GET", path=_CARDS_PATH + "/{port_id}", handler=card, policy=_CARD),
    Row(method="POST", path=_CARDS_PATH, handler=attach, accepts=Attach, policy=_ATTACH),
    Row(
        method="DELETE",
        path=_CARDS_PATH + "/{port_id}",
        handler=detach,
        policy=_DETACH,
        status=HTTPStatus.ACCEPTED,
    ),
    Row(method="GET", path=_ONE + "/os-security-groups", handler=groups, policy=_GROUPS),
    Row(method="GET", path=_ONE + "/os-instance-actions", handler=events, policy=_EVENTS),
    Row(
        method="GET",
        path=_ONE + "/os-instance-actions/{request_id}",
        handler=event,
        policy=_EVENT,
    ),
    Row(method="GET", path=_VOLUMES_PATH, handler=volumes, policy=_VOLUMES),
    Row(method="GET", path=_VOLUMES_PATH + "/{volume_id}", handler=volume, policy=_VOLUMES),
    Row(
        method="POST",
        path=_VOLUMES_PATH,
        handler=_not_offered(
            "attaching a volume", "volumes are Cinder's, which Lanekeeper does not have"
        ),
        policy=_VOLUME,
    ),
    Row(
        method="GET",
        path=_ONE + "/migrations",
        handler=migrations,
        policy=_MIGRATIONS,
        since="2.23",
    ),
    Row(
        method="GET",
        path=_ONE + "/diagnostics",
        handler=_not_offered("measuring a guest", "see its host: virsh domstats, or inside of it"),
        policy=_DIAGNOSTICS,
    ),
    Row(method="GET", path=_ONE + "/topology", handler=topology, policy=_TOPOLOGY, since="2.78"),
    Row(
        method="POST",
        path=_ONE + "/remote-consoles",
        handler=_not_offered(
            "a graphical or interactive console", "openstack console log show has the output"
        ),
        policy=_CONSOLE,
        since="2.6",
    ),
)
