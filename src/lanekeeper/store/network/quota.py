"""What projects may have of Network in place of the configured numbers, and what they have."""

from __future__ import annotations

from collections.abc import Mapping

import sqlalchemy as sa

from lanekeeper.domain.network.quota import Resource
from lanekeeper.store.tables import (
    network,
    network_quota,
    network_rbac,
    port,
    security_group,
    subnet,
)

_KEY = 0x4C4B_4E51  # arbitrary, Lanekeeper's; beside it in the lock is the project
_COUNTED = {
    Resource.NETWORK: network,
    Resource.SUBNET: subnet,
    Resource.PORT: port,
    Resource.SECURITY_GROUP: security_group,
    Resource.RBAC_POLICY: network_rbac,
}


def network_quotas(
    connection: sa.Connection, project_id: str | None = None
) -> dict[str, dict[Resource, int]]:
    """By project, the limits of its own; of one project alone if it is named."""
    query = sa.select(network_quota).order_by(network_quota.c.project_id)
    if project_id is not None:
        query = query.where(network_quota.c.project_id == project_id)
    found: dict[str, dict[Resource, int]] = {}
    for row in connection.execute(query):
        found.setdefault(row.project_id, {})[Resource(row.resource)] = row.amount
    return found


def network_quota_set(
    connection: sa.Connection, project_id: str, limits: Mapping[Resource, int]
) -> None:
    """Give a project limits of its own; those that are not named stay."""
    mine = network_quota.c.project_id == project_id
    connection.execute(
        network_quota.delete().where(mine, network_quota.c.resource.in_(list(limits)))
    )
    for resource, amount in limits.items():
        connection.execute(
            network_quota.insert().values(project_id=project_id, resource=resource, amount=amount)
        )


def network_quota_drop(connection: sa.Connection, project_id: str) -> bool:
    """Take all limits of its own from a project; whether it had any."""
    gone = network_quota.delete().where(network_quota.c.project_id == project_id)
    return connection.execute(gone).rowcount > 0


def network_quota_hold(connection: sa.Connection, project_id: str) -> None:
    """Have all others who call this for the project wait until the commit.

    SQLite has one writer at a time.
    """
    if connection.dialect.name == "postgresql":
        whose = sa.func.hashtext(project_id)
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_KEY, whose)))


def network_use(connection: sa.Connection, project_id: str, resource: Resource) -> int:
    """How many of a resource a project has; nobody keeps a count of it."""
    if resource is Resource.SECURITY_GROUP_RULE:
        mine = security_group.c.project_id == project_id
        return sum(map(len, connection.scalars(sa.select(security_group.c.rules).where(mine))))
    table = _COUNTED[resource]
    counted = sa.select(sa.func.count()).select_from(table)
    return connection.scalar(counted.where(table.c.project_id == project_id)) or 0
