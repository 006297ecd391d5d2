"""Servers over HTTP: create, list, show, change, delete."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from lanekeeper.api.compute.server_body import Create, Update, changes, new_server
from lanekeeper.api.compute.server_view import addresses, alone, brief, detail
from lanekeeper.api.compute.value import (
    asked_flag,
    at_least,
    flag,
    limit_of,
    links,
    moment,
    next_link,
    only,
)
from lanekeeper.api.microversion import Microversion
from lanekeeper.api.row import MEMBER, READER, Call, Policy, Reply, Row
from lanekeeper.control.compute.server import delete_server, update_server
from lanekeeper.control.compute.server_create import create_servers
from lanekeeper.control.compute.server_list import (
    FILTERS,
    SORT_KEYS,
    ServerDetail,
    ServerQuery,
    list_servers,
    show_server,
)
from lanekeeper.domain.errors import Forbidden, Invalid

_INDEX = Policy("os_compute_api:servers:index", READER)
_DETAIL = Policy("os_compute_api:servers:detail", READER)
_SHOW = Policy("os_compute_api:servers:show", READER)
_CREATE = Policy("os_compute_api:servers:create", MEMBER)
_UPDATE = Policy("os_compute_api:servers:update", MEMBER)
_DELETE = Policy("os_compute_api:servers:delete", MEMBER)

_SINCE = {
    "tags": "2.26",
    "tags-any": "2.26",
    "not-tags": "2.26",
    "not-tags-any": "2.26",
    "changes-before": "2.66",
    "locked": "2.73",
}
_PAGING = frozenset({"all_tenants", "changes-since", "sort_key", "sort_dir", "limit", "marker"})
_QUERY = frozenset({*FILTERS, *_PAGING, "changes-before"})
_UPDATED = frozenset(
    {
        "accessIPv4",
        "accessIPv6",
        "addresses",
        "created",
        "fault",
        "flavor",
        "hostId",
        "id",
        "image",
        "links",
        "metadata",
        "name",
        "progress",
        "status",
        "tenant_id",
        "updated",
        "user_id",
        "OS-DCF:diskConfig",
        "locked",
        "description",
        "tags",
        "trusted_image_certificates",
        "server_groups",
        "locked_reason",
    }
)
"""What a change answered with before 2.75. Source: nova ``schemas/servers.py``, update_response."""


def create(call: Call[Create]) -> Reply:
    """Create servers; the answer names the first."""
    made = create_servers(call.site, call.caller, new_server(call))
    asked = call.body.server
    if flag(asked.return_reservation_id, "return_reservation_id"):
        return Reply(body={"reservation_id": made[0].reservation_id})
    groups = [{"name": group.name} for group in asked.security_groups]
    server = {
        "id": made[0].id,
        "links": links(call, f"servers/{made[0].id}"),
        "OS-DCF:diskConfig": made[0].disk_config,
        "security_groups": groups or [{"name": "default"}],
    }
    return Reply(body={"server": server}, headers={"Location": server["links"][0]["href"]})  # type: ignore[index]


def list_brief(call: Call[None]) -> dict[str, object]:
    """List servers by name."""
    found, more = list_servers(call.site, call.caller, _query(call))
    return _page(call, "servers", [brief(call, one) for one in found], found, more=more)


def list_detail(call: Call[None]) -> dict[str, object]:
    """List servers in full."""
    found, more = list_servers(call.site, call.caller, _query(call))
    return _page(call, "servers/detail", [detail(call, one) for one in found], found, more=more)


def _page(
    call: Call[None],
    path: str,
    shown: list[dict[str, object]],
    found: list[ServerDetail],
    *,
    more: bool,
) -> dict[str, object]:
    body: dict[str, object] = {"servers": shown}
    if more and found:
        body["servers_links"] = next_link(call, path, found[-1].record.id)
    return body


def _query(call: Call[None]) -> ServerQuery:
    known = {
        name
        for name in _QUERY
        if name not in _SINCE or call.microversion >= Microversion.parse(_SINCE[name])
    }
    only(call, known)
    everybody = asked_flag(call, "all_tenants")
    if everybody and not call.caller.is_admin:
        raise Forbidden("Policy does not allow os_compute_api:servers:index:get_all_tenants")
    since, before = call.asked("changes-since"), call.asked("changes-before")
    return ServerQuery(
        filters={key: value for key, value in call.query if key in known and key not in _PAGING},
        all_projects=everybody,
        changed_since=moment(since, "changes-since") if since else None,
        changed_before=moment(before, "changes-before")
        if before and "changes-before" in known
        else None,
        sort=_sort(call),
        marker=call.asked("marker"),
        limit=limit_of(call),
    )


def _sort(call: Call[None]) -> list[tuple[str, bool]]:
    keys, directions = call.asked_all("sort_key"), call.asked_all("sort_dir")
    if len(directions) > len(keys):
        raise Invalid("sort_dir: there are more directions than keys")
    sort = []
    for place, key in enumerate(keys):
        direction = directions[place] if place < len(directions) else "desc"
        if direction not in ("asc", "desc"):
            raise Invalid(f"sort_dir {direction[:40]!r} is neither asc nor desc")
        if key not in SORT_KEYS:
            raise Invalid(f"sort_key {key[:40]!r} is none of {', '.join(sorted(SORT_KEYS))}")
        sort.append((key, direction == "desc"))
    return sort


def show(call: Call[None]) -> dict[str, object]:
    """Show one server."""
    found = show_server(call.site, call.caller, call.path["server_id"])
    return {"server": alone(call, found)}


def update(call: Call[Update]) -> dict[str, object]:
    """Rename or describe a server."""
    server_id = call.path["server_id"]
    update_server(call.site, call.caller, server_id, changes(call))
    found = show_server(call.site, call.caller, server_id)
    body = alone(call, found)
    if not at_least(call, "2.75"):
        body = {name: value for name, value in body.items() if name in _UPDATED}
        body["addresses"] = addresses(call, found)
    return {"server": body}


def delete(call: Call[None]) -> None:
    """Delete a server."""
    delete_server(call.site, call.caller, call.path["server_id"])


_ONE = "/v2.1/servers/{server_id}"

ROWS: tuple[Row[Any], ...] = (
    Row(method="GET", path="/v2.1/servers", handler=list_brief, policy=_INDEX),
    Row(
        method="POST",
        path="/v2.1/servers",
        handler=create,
        policy=_CREATE,
        accepts=Create,
        status=HTTPStatus.ACCEPTED,
    ),
    Row(method="GET", path="/v2.1/servers/detail", handler=list_detail, policy=_DETAIL),
    Row(method="GET", path=_ONE, handler=show, policy=_SHOW),
    Row(method="PUT", path=_ONE, handler=update, policy=_UPDATE, accepts=Update),
    Row(
        method="DELETE",
        path=_ONE,
        handler=delete,
        policy=_DELETE,
        status=HTTPStatus.NO_CONTENT,
    ),
)
