"""What a project has, counted from who holds what; nobody keeps a count of it."""

from __future__ import annotations

import sqlalchemy as sa

from lanekeeper.domain.compute.quota import SERVERS, of_alias, of_class
from lanekeeper.store.tables import allocation, claim, consumer, device, server

_KEY = 0x4C4B_5154  # arbitrary, Lanekeeper's; beside it in the lock is the project
_PROJECT = sa.bindparam("project", type_=sa.Text)
_SERVERS = sa.select(sa.func.count()).where(server.c.project_id == _PROJECT)
_AMOUNTS = (
    sa.select(allocation.c.resource_class, sa.func.sum(allocation.c.used))
    .join(consumer, consumer.c.id == allocation.c.consumer_id)
    .where(consumer.c.project_id == _PROJECT)
    .group_by(allocation.c.resource_class)
)
_DEVICES = (
    sa.select(device.c.resource_class, claim.c.alias, sa.func.count())
    .select_from(claim)
    .join(consumer, consumer.c.id == claim.c.consumer_id)
    .join(device, device.c.id == claim.c.device_id)
    .where(consumer.c.project_id == _PROJECT)
    .group_by(device.c.resource_class, claim.c.alias)
)


def quota_hold(connection: sa.Connection, project_id: str) -> None:
    """Have all others who call this for the project wait until the commit.

    Who has called it sees in ``project_use`` all that they have taken. SQLite has one writer at a
    time.
    """
    if connection.dialect.name == "postgresql":
        whose = sa.func.hashtext(project_id)
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_KEY, whose)))


def project_use(connection: sa.Connection, project_id: str) -> dict[str, int]:
    """Resource to units that a project has: its servers, and what they and its consumers hold."""
    mine = {"project": project_id}
    used = {SERVERS: connection.scalar(_SERVERS, mine) or 0}
    for name, amount in connection.execute(_AMOUNTS, mine):
        used[of_class(name)] = int(amount)
    for class_, alias, count in connection.execute(_DEVICES, mine):
        for resource in (of_class(class_) if class_ else None, of_alias(alias) if alias else None):
            if resource is not None:
                used[resource] = used.get(resource, 0) + count
    return used
