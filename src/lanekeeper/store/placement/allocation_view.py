"""What consumers hold: stored allocations, and beside them what follows from claims of devices.

Allocations of classes that devices own are never stored: they are counted here.
"""

from __future__ import annotations

import sqlalchemy as sa

from lanekeeper.domain.placement.allocation import Allocation
from lanekeeper.store.tables import allocation, claim, device


def allocations_load(
    connection: sa.Connection, *, consumer_id: str | None = None, provider_id: str | None = None
) -> list[Allocation]:
    """Allocations of one consumer, of one provider, or all: stored ones and those of claims."""
    query = allocations_query(consumer_id=consumer_id, provider_id=provider_id)
    return sorted(
        (Allocation(*row) for row in connection.execute(query)),  # type: ignore[call-arg,arg-type]
        key=lambda line: (line.consumer_id, line.provider_id, line.resource_class),
    )


def allocations_query(
    *, consumer_id: str | None = None, provider_id: str | None = None
) -> sa.CompoundSelect[tuple[str, str, str, int]]:
    """Make the query of ``allocations_load``: (consumer_id, provider_id, resource_class, used)."""
    stored = sa.select(
        allocation.c.consumer_id,
        allocation.c.provider_id,
        allocation.c.resource_class,
        allocation.c.used,
    )
    claimed = (
        sa.select(
            claim.c.consumer_id, device.c.provider_id, device.c.resource_class, sa.func.count()
        )
        .join(device, device.c.id == claim.c.device_id)
        .where(device.c.provider_id.is_not(None))
        .group_by(claim.c.consumer_id, device.c.provider_id, device.c.resource_class)
    )
    if consumer_id is not None:
        stored = stored.where(allocation.c.consumer_id == consumer_id)
        claimed = claimed.where(claim.c.consumer_id == consumer_id)
    if provider_id is not None:
        stored = stored.where(allocation.c.provider_id == provider_id)
        claimed = claimed.where(device.c.provider_id == provider_id)
    return sa.union_all(stored, claimed)
