"""Amounts taken from inventories that devices do not own (VCPU, MEMORY_MB, DISK_GB, a client's)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

import sqlalchemy as sa

from lanekeeper.domain.errors import Conflict
from lanekeeper.store.tables import allocation, consumer, inventory, resource_provider

FULL = "lanekeeper.inventory.full"


def allocation_take(
    connection: sa.Connection, consumer_id: str, provider_id: str, amounts: Mapping[str, int]
) -> None:
    """Take *amounts* (class to units) of one provider for *consumer_id*, or nothing.

    Raises:
        Conflict: an inventory would rise above its capacity, or is not there. The transaction
            must be left.
    """
    for name in sorted(amounts):
        amount = amounts[name]
        if amount == 0:
            continue
        taken = connection.execute(
            inventory.update()
            .where(
                inventory.c.provider_id == provider_id,
                inventory.c.resource_class == name,
                inventory.c.used + amount <= inventory.c.capacity,
            )
            .values(used=inventory.c.used + amount)
        )
        if taken.rowcount != 1:
            raise Conflict(f"{name} on provider {provider_id} has not {amount} left", code=FULL)
        connection.execute(
            allocation.insert().values(
                consumer_id=consumer_id,
                provider_id=provider_id,
                resource_class=name,
                used=amount,
            )
        )
    connection.execute(
        resource_provider.update()
        .where(resource_provider.c.id == provider_id)
        .values(generation=resource_provider.c.generation + 1)
    )


def allocation_drop(connection: sa.Connection, consumer_id: str) -> None:
    """Give back all that *consumer_id* took. A second call does nothing."""
    rows = connection.execute(
        allocation.delete()
        .where(allocation.c.consumer_id == consumer_id)
        .returning(allocation.c.provider_id, allocation.c.resource_class, allocation.c.used)
    ).all()
    for provider_id, name, used in sorted(rows):
        connection.execute(
            inventory.update()
            .where(inventory.c.provider_id == provider_id, inventory.c.resource_class == name)
            .values(used=inventory.c.used - used)
        )


def consumer_put(
    connection: sa.Connection,
    consumer_id: str,
    *,
    project_id: str,
    user_id: str,
    kind: str,
    now: datetime,
) -> None:
    """Make the consumer row of something that holds devices or amounts; generation 1."""
    connection.execute(
        consumer.insert().values(
            id=consumer_id,
            project_id=project_id,
            user_id=user_id,
            type=kind,
            generation=1,
            updated_at=now,
        )
    )


def consumer_drop(connection: sa.Connection, consumer_id: str) -> None:
    """Forget the consumer; nothing may be allocated to it any more."""
    connection.execute(consumer.delete().where(consumer.c.id == consumer_id))
