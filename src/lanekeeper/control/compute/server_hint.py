"""Scheduler hints: where a server is to be, told by others that are there."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from lanekeeper.control.caller import Caller
from lanekeeper.control.compute.server_group import group_seen
from lanekeeper.domain.compute.server_group import FILTER_OF
from lanekeeper.domain.errors import Invalid, NotFound, NotOffered
from lanekeeper.domain.scheduling.host import GroupRequest
from lanekeeper.store.compute.server import servers_get

_NOT_OFFERED: Mapping[str, str] = {
    "query": "JsonFilter is not offered; flavors and aggregates say which hosts may be taken",
    "build_near_host_ip": "hosts have no addresses here; use an availability zone or an aggregate",
    "cidr": "hosts have no addresses here; use an availability zone or an aggregate",
    "target_cell": "there are no cells",
    "different_cell": "there are no cells",
}
_SERVERS = {"same_host": "SameHostFilter", "different_host": "DifferentHostFilter"}
_SERVERS_MAX = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Hints:
    """What a server asks of its host by hints."""

    same_host: frozenset[str] = frozenset()
    different_host: frozenset[str] = frozenset()
    group: GroupRequest | None = None


def check_hints(
    connection: sa.Connection, caller: Caller, hints: Mapping[str, Any], filters: Collection[str]
) -> Hints:
    """Look up what hints name; *filters* are Nova's names of those that are asked.

    Raises:
        Invalid: a value of the wrong form, or a group or servers that are not there.
        NotOffered: a hint that nothing would honour; never silently left out.
    """
    for name, why in _NOT_OFFERED.items():
        if name in hints:
            raise NotOffered(
                f"the scheduler hint {name} is not offered and would not be honoured: {why}",
                hint=f"leave {name} out",
            )
    servers = {
        name: _servers(connection, caller, name, hints[name], filters)
        for name in _SERVERS
        if hints.get(name)
    }
    if "same_host" in servers and not servers["same_host"]:
        raise Invalid("hint same_host: none of the servers that it names is there")
    group = None
    if hints.get("group") is not None:
        group = _group(connection, caller, hints["group"], filters)
    return Hints(**servers, group=group)


def _servers(
    connection: sa.Connection, caller: Caller, name: str, value: Any, filters: Collection[str]
) -> frozenset[str]:
    """Those that are there and the caller's to see: of others nobody shall find out the place."""
    _need_filter(_SERVERS[name], f"the scheduler hint {name}", filters)
    ids = value if isinstance(value, list) else [value]
    if len(ids) > _SERVERS_MAX:
        raise Invalid(f"hint {name}: at most {_SERVERS_MAX} servers, not {len(ids)}")
    found = servers_get(connection, [_id(f"hint {name}", one) for one in ids])
    return frozenset(one.id for one in found if caller.sees(one.project_id))


def _group(
    connection: sa.Connection, caller: Caller, value: Any, filters: Collection[str]
) -> GroupRequest:
    try:
        found = group_seen(connection, caller, _id("hint group", value))
    except NotFound as error:
        raise Invalid(f"hint group: {error}", hint="openstack server group list") from error
    if needed := FILTER_OF.get(found.policy):
        _need_filter(needed, f"policy {found.policy} of server group {found.name}", filters)
    return GroupRequest(
        id=found.id, name=found.name, policy=found.policy, max_per_host=found.max_per_host or 1
    )


def _need_filter(needed: str, what: str, filters: Collection[str]) -> None:
    if needed not in filters:
        raise NotOffered(
            f"{what} would not be honoured: {needed} is not on",
            hint=f"add {needed} to [filter_scheduler] enabled_filters",
        )


def _id(what: str, value: Any) -> str:
    try:
        return str(uuid.UUID(str(value)))
    except ValueError as error:
        raise Invalid(f"{what}: {str(value)[:40]!r} is not a UUID") from error
