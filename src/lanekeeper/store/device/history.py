"""What has become of devices, written in the transaction that does it; kept for a time."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

import sqlalchemy as sa

from lanekeeper.store.aging import Aging
from lanekeeper.store.tables import (
    claim,
    consumer,
    device,
    device_event,
    host,
    server,
    server_event,
)


class What(StrEnum):
    """What happens to a device."""

    CLAIMED = "claimed"
    SPENT = "spent"
    RELEASED = "released"
    CLEANING = "cleaning asked for"
    CLEANED = "cleaned"
    QUARANTINED = "quarantined"
    RESERVED = "reserved"
    RETIRED = "retired"
    RETURNED = "returned"


@dataclass(frozen=True, slots=True)
class Actor:
    """Who asked for it, in which project, and in which request."""

    user_id: str
    project_id: str | None
    request_id: str


def history_write(
    connection: sa.Connection,
    rows: Iterable[sa.Row[Any]],
    what: What,
    now: datetime,
    *,
    consumer_id: str | None = None,
    detail: dict[str, Any] | None = None,
    by: Actor | None = None,
) -> None:
    """Note it of each device; *rows* have its ``id``, ``host_id`` and ``address``."""
    who = {} if by is None else {"by": asdict(by)}
    noted = [
        {
            "device_id": row.id,
            "host_id": row.host_id,
            "address": row.address,
            "what": what,
            "consumer_id": consumer_id,
            "detail": (detail or {}) | who,
            "at": now,
        }
        for row in rows
    ]
    if noted:
        connection.execute(device_event.insert(), noted)


def holdings_of(connection: sa.Connection, consumer_id: str) -> dict[str, dict[str, Any]]:
    """Device id to what is to be known of a claim when it has ended: since when, whose, as what.

    The holder's name, too: it goes with the server.
    """
    query = (
        sa.select(
            claim.c.device_id,
            claim.c.created_at,
            claim.c.alias,
            device.c.resource_class,
            consumer.c.project_id,
            server.c.name,
        )
        .join(device, device.c.id == claim.c.device_id)
        .outerjoin(consumer, consumer.c.id == claim.c.consumer_id)
        .outerjoin(server, server.c.id == claim.c.consumer_id)
        .where(claim.c.consumer_id == consumer_id)
    )
    return {
        row.device_id: {
            "since": row.created_at.isoformat(),
            "project_id": row.project_id,
            "resource_class": row.resource_class,
            "alias": row.alias,
            "holder_name": row.name,
        }
        for row in connection.execute(query)
    }


def last_actor(connection: sa.Connection, server_id: str) -> Actor | None:
    """Who asked for the last thing that was asked of a server; None where nobody did."""
    columns = (server_event.c.user_id, server_event.c.project_id, server_event.c.request_id)
    row = connection.execute(
        sa.select(*columns)
        .where(server_event.c.server_id == server_id, server_event.c.user_id != "")
        .order_by(server_event.c.id.desc())
        .limit(1)
    ).first()
    return None if row is None else Actor(*row)


def device_place(connection: sa.Connection, device_id: str) -> sa.Row[Any]:
    """What ``history_write`` has to know of a device."""
    columns = (device.c[name] for name in ("id", "host_id", "address"))
    return connection.execute(sa.select(*columns).where(device.c.id == device_id)).one()


def history_list(
    connection: sa.Connection,
    *,
    device_id: str | None = None,
    address: str | None = None,
    host_name: str | None = None,
    limit: int,
) -> list[sa.RowMapping]:
    """Of one device, or of all that have been at an address, the latest first.

    With the host's name (None of a host that was removed), the holder's name and its project.
    """
    ended = device_event.alias("ended")
    last_name = (
        sa.select(sa.func.max(ended.c.detail["holder_name"].as_string()))
        .where(
            ended.c.device_id == device_event.c.device_id,
            ended.c.consumer_id == device_event.c.consumer_id,
            ended.c.what == What.RELEASED,
        )
        .scalar_subquery()
    )
    project = (
        sa.select(sa.func.max(server_event.c.project_id))
        .where(server_event.c.server_id == device_event.c.consumer_id)
        .scalar_subquery()
    )
    query = (
        sa.select(
            device_event,
            host.c.name.label("host_name"),
            sa.func.coalesce(server.c.name, last_name).label("holder_name"),
            project.label("project_id"),
        )
        .outerjoin(host, host.c.id == device_event.c.host_id)
        .outerjoin(server, server.c.id == device_event.c.consumer_id)
        .order_by(device_event.c.at.desc(), device_event.c.id.desc())
        .limit(limit)
    )
    for column, value in (
        (device_event.c.device_id, device_id),
        (device_event.c.address, address),
        (host.c.name, host_name),
    ):
        if value is not None:
            query = query.where(column == value)
    return list(connection.execute(query).mappings())


HISTORY = Aging(device_event, sa.true())
