"""Rows of servers, and of what was asked of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from lanekeeper.domain.compute.event import UNASKED, ServerEvent
from lanekeeper.domain.compute.server import Life, VmState
from lanekeeper.store.aging import Aging
from lanekeeper.store.batch import batches
from lanekeeper.store.tables import console, host, server, server_event, server_group_member


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerRecord:
    """One server.

    Attributes:
        host_id, host_name: None before it has a host.
        availability_zone: where it is; pinned_zone: where it must stay, as its creator asked.
        flavor: the flavor as it was when the server was made.
        device_requests: what was asked: a need's id, its name, how many.
        public_key: what the guest trusts; a copy, so that a key's end changes no guest.
        port_ids: in the order of the guest's network cards.
        fault: code, message, told (to members), created; None when there is none.
    """

    id: str
    name: str
    project_id: str
    user_id: str
    flavor: Mapping[str, Any]
    vm_state: str
    wanted: str
    created_at: datetime
    updated_at: datetime
    description: str = ""
    hostname: str = ""
    host_id: str | None = None
    availability_zone: str = ""
    pinned_zone: str | None = None
    image_id: str | None = None
    image_properties: Mapping[str, Any] = field(default_factory=dict)
    key_name: str | None = None
    public_key: str | None = None
    user_data: str | None = None
    config_drive: bool = True
    metadata: Mapping[str, str] = field(default_factory=dict)
    tags: Sequence[str] = ()
    scheduler_hints: Mapping[str, Any] = field(default_factory=dict)
    device_requests: Sequence[Mapping[str, Any]] = ()
    port_ids: Sequence[str] = ()
    access_ip_v4: str = ""
    access_ip_v6: str = ""
    disk_config: str = "MANUAL"
    reservation_id: str = ""
    launch_index: int = 0
    locked: bool = False
    locked_reason: str | None = None
    task_state: str | None = None
    power_state: int = 0
    generation: int = 1
    reboots: int = 0
    fault: Mapping[str, Any] | None = None
    console_wanted_until: datetime | None = None
    launched_at: datetime | None = None
    terminated_at: datetime | None = None
    host_name: str | None = None

    @property
    def life(self) -> Life:
        return Life(
            vm_state=self.vm_state,
            task_state=self.task_state,
            power_state=self.power_state,
            wanted=self.wanted,
            generation=self.generation,
            reboots=self.reboots,
            problem=str(self.fault["message"]) if self.fault else "",
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerName:
    """What a server is called, where it is, and what is being done with it."""

    id: str
    name: str
    host_id: str | None
    task_state: str | None


_COLUMNS = tuple(name for name in ServerRecord.__slots__ if name != "host_name")
_SELECT = sa.select(server, host.c.name.label("host_name")).outerjoin(
    host, host.c.id == server.c.host_id
)
# JSON columns take lists and dicts only.
_PLAIN = {"tags": list, "device_requests": list, "port_ids": list}


def _record(row: sa.RowMapping) -> ServerRecord:
    return ServerRecord(**{name: row[name] for name in ServerRecord.__slots__})


def _values(new: ServerRecord) -> dict[str, Any]:
    return {name: _PLAIN.get(name, lambda value: value)(getattr(new, name)) for name in _COLUMNS}


def server_insert(connection: sa.Connection, new: ServerRecord) -> None:
    connection.execute(server.insert().values(**_values(new)))


def server_get(
    connection: sa.Connection, server_id: str, *, lock: bool = False
) -> ServerRecord | None:
    """One server; *lock* keeps its row as it is until the transaction ends."""
    query = _SELECT.where(server.c.id == server_id)
    if lock:
        query = query.with_for_update(of=server, key_share=True)
    row = connection.execute(query).mappings().one_or_none()
    return None if row is None else _record(row)


def servers_get(connection: sa.Connection, server_ids: Sequence[str]) -> list[ServerRecord]:
    """These servers, in this order; those that are not there are left out."""
    found = {
        row["id"]: _record(row)
        for batch in batches(server_ids)
        for row in connection.execute(_SELECT.where(server.c.id.in_(batch))).mappings()
    }
    return [found[server_id] for server_id in server_ids if server_id in found]


def servers_counted(connection: sa.Connection, host_name: str) -> int:
    """How many servers a host has."""
    mine = sa.select(sa.func.count()).join_from(server, host).where(host.c.name == host_name)
    return connection.scalar(mine) or 0


def building_by_host(connection: sa.Connection) -> dict[str, int]:
    """Host id to how many servers are being built there; a host without any is left out."""
    rows = connection.execute(
        sa.select(server.c.host_id, sa.func.count())
        .where(server.c.vm_state == VmState.BUILDING, server.c.host_id.is_not(None))
        .group_by(server.c.host_id)
    )
    return {row[0]: row[1] for row in rows}


def servers_named(connection: sa.Connection, host_id: str | None = None) -> list[ServerName]:
    """Servers, all or a host's, the youngest first, then by id."""
    query = sa.select(*(server.c[name] for name in ServerName.__slots__))
    if host_id is not None:
        query = query.where(server.c.host_id == host_id)
    rows = connection.execute(query.order_by(server.c.created_at.desc(), server.c.id.desc()))
    return [ServerName(**row) for row in rows.mappings()]


def servers_of_host(connection: sa.Connection, host_id: str) -> list[ServerRecord]:
    """What a host has or should have, by id."""
    query = _SELECT.where(server.c.host_id == host_id).order_by(server.c.id)
    return [_record(row) for row in connection.execute(query).mappings()]


def server_update(connection: sa.Connection, server_id: str, **values: Any) -> bool:
    """Change columns by name; whether the server is there."""
    done = connection.execute(server.update().where(server.c.id == server_id).values(**values))
    return done.rowcount == 1


def server_change(connection: sa.Connection, server_id: str, expected: int, **values: Any) -> bool:
    """Change columns of a server that is still at generation *expected*; whether it was."""
    done = connection.execute(
        server.update()
        .where(server.c.id == server_id, server.c.generation == expected)
        .values(**values)
    )
    return done.rowcount == 1


def server_delete(connection: sa.Connection, server_id: str) -> None:
    connection.execute(console.delete().where(console.c.server_id == server_id))
    member = server_group_member
    connection.execute(member.delete().where(member.c.server_id == server_id))
    connection.execute(server.delete().where(server.c.id == server_id))


def event_insert(connection: sa.Connection, event: ServerEvent) -> None:
    values = {name: getattr(event, name) for name in ServerEvent.__slots__ if name != "id"}
    connection.execute(server_event.insert().values(**values))


def event_list(connection: sa.Connection, server_id: str) -> list[ServerEvent]:
    """What was asked of a server, the latest first; also of one that has gone."""
    rows = connection.execute(
        sa.select(server_event)
        .where(server_event.c.server_id == server_id)
        .order_by(server_event.c.id.desc())
    ).mappings()
    return [ServerEvent(**{name: row[name] for name in ServerEvent.__slots__}) for row in rows]


def event_failed(connection: sa.Connection, server_id: str, message: str) -> None:
    """Write what went wrong into the last thing that was asked."""
    last = sa.select(sa.func.max(server_event.c.id)).where(
        server_event.c.server_id == server_id, server_event.c.action.not_in(UNASKED)
    )
    connection.execute(
        server_event.update()
        .where(server_event.c.id == last.scalar_subquery())
        .values(message=message)
    )


EVENTS_OF_GONE = Aging(server_event, ~sa.exists().where(server.c.id == server_event.c.server_id))
"""What was asked of servers that are not there any more."""


def refusal_list(connection: sa.Connection, limit: int) -> list[ServerEvent]:
    """Creations that found no host, the latest first."""
    rows = connection.execute(
        sa.select(server_event)
        .where(server_event.c.action == "create", server_event.c.message != "")
        .order_by(server_event.c.id.desc())
        .limit(limit)
    ).mappings()
    return [ServerEvent(**{name: row[name] for name in ServerEvent.__slots__}) for row in rows]
