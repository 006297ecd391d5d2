"""Servers and claims of devices as spans of time: those that go on, and those that have ended."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

import sqlalchemy as sa

from lanekeeper.domain.compute.usage import DeviceSpan, ServerSpan
from lanekeeper.store.aging import Aging
from lanekeeper.store.compute.server import ServerRecord
from lanekeeper.store.device.history import What
from lanekeeper.store.tables import claim, consumer, device, device_event, ended_server, server

USAGE = Aging(ended_server, sa.true())
"""What servers used that are gone."""


def ended_server_insert(connection: sa.Connection, record: ServerRecord, now: datetime) -> None:
    """Keep what a server used that ends now; one whose guest never was has used nothing."""
    if record.launched_at is None:
        return
    flavor = record.flavor
    connection.execute(
        ended_server.insert().values(
            server_id=record.id,
            name=record.name,
            project_id=record.project_id,
            flavor_name=flavor["name"],
            vcpus=flavor["vcpus"],
            ram_mib=flavor["ram_mib"],
            disk_gib=flavor["disk_gib"],
            launched_at=record.launched_at,
            at=now,
        )
    )


def server_spans(
    connection: sa.Connection, start: datetime, end: datetime, project_id: str | None = None
) -> list[ServerSpan]:
    """Servers that were there between *start* and *end*, of one project or of all.

    By project, then as they were launched.
    """
    found = [*_living(connection, end, project_id), *_ended(connection, start, end, project_id)]
    return sorted(found, key=lambda one: (one.project_id, one.launched_at, one.server_id))


def _living(
    connection: sa.Connection, end: datetime, project_id: str | None
) -> Iterator[ServerSpan]:
    columns = ("id", "name", "project_id", "flavor", "launched_at", "vm_state")
    query = sa.select(*(server.c[name] for name in columns)).where(server.c.launched_at < end)
    if project_id is not None:
        query = query.where(server.c.project_id == project_id)
    for row in connection.execute(query):
        yield ServerSpan(
            server_id=row.id,
            name=row.name,
            project_id=row.project_id,
            flavor_name=row.flavor["name"],
            vcpus=row.flavor["vcpus"],
            ram_mib=row.flavor["ram_mib"],
            disk_gib=row.flavor["disk_gib"],
            launched_at=row.launched_at,
            state=row.vm_state,
        )


def _ended(
    connection: sa.Connection, start: datetime, end: datetime, project_id: str | None
) -> Iterator[ServerSpan]:
    there = sa.and_(ended_server.c.at > start, ended_server.c.launched_at < end)
    query = sa.select(ended_server).where(there)
    if project_id is not None:
        query = query.where(ended_server.c.project_id == project_id)
    for row in connection.execute(query).mappings():
        span = {key: value for key, value in row.items() if key not in ("id", "at")}
        yield ServerSpan(**span, ended_at=row["at"])


def device_spans(
    connection: sa.Connection, start: datetime, end: datetime, project_id: str | None = None
) -> list[DeviceSpan]:
    """Claims of devices that held between *start* and *end*, of one project or of all.

    Those that have ended are read from the devices' history, as far back as it is kept.
    """
    query = (
        sa.select(consumer.c.project_id, device.c.resource_class, claim.c.alias, claim.c.created_at)
        .select_from(claim)
        .join(consumer, consumer.c.id == claim.c.consumer_id)
        .join(device, device.c.id == claim.c.device_id)
        .where(claim.c.created_at < end)
    )
    found = [
        DeviceSpan(project_id=whose, resource_class=class_, alias=alias, since=since)
        for whose, class_, alias, since in connection.execute(query)
    ]
    gone = sa.select(device_event.c.detail, device_event.c.at).where(
        device_event.c.what == What.RELEASED, device_event.c.at > start
    )
    found += [
        DeviceSpan(
            project_id=detail["project_id"],
            resource_class=detail["resource_class"],
            alias=detail["alias"],
            since=datetime.fromisoformat(detail["since"]),
            until=at,
        )
        for detail, at in connection.execute(gone)
        if detail.get("project_id")
    ]
    return [one for one in found if one.since < end and project_id in (None, one.project_id)]
