"""Amounts taken from inventories that devices do not own (VCPU, MEMORY_MB, DISK_GB, a client's).

Whoever takes holds consumer, providers and inventories in this order (``hold.py``), so that claims
wait for each other and never in a circle.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from lanekeeper.domain.errors import Conflict
from lanekeeper.domain.placement.allocation import Allocation
from lanekeeper.domain.placement.inventory import Inventory
from lanekeeper.store.batch import batches
from lanekeeper.store.placement.allocation_view import allocations_query
from lanekeeper.store.placement.hold import generations_bump
from lanekeeper.store.placement.inventory import STOCK
from lanekeeper.store.tables import allocation, consumer, inventory, resource_provider

FULL = "lanekeeper.inventory.full"


@dataclass(frozen=True, slots=True)
class ProviderInventory:
    """A provider as a claim sees it: whose it is, and what it has."""

    name: str
    owner: str
    generation: int
    stocks: dict[str, Inventory]


# Statements that every claim runs are made once: making one takes longer than running it.
_CHANGE = sa.bindparam("change", type_=sa.BigInteger)
USE_CHANGE = (
    inventory.update()
    .where(
        inventory.c.provider_id == sa.bindparam("provider"),
        inventory.c.resource_class == sa.bindparam("class"),
        sa.or_(_CHANGE <= 0, inventory.c.used + _CHANGE <= inventory.c.capacity),
    )
    .values(used=inventory.c.used + _CHANGE)
)
_ALLOCATION_INSERT = allocation.insert()
_PROVIDER_INVENTORIES = sa.select(
    resource_provider.c.id,
    resource_provider.c.name,
    resource_provider.c.owner,
    resource_provider.c.generation,
    inventory.c.resource_class,
    *(inventory.c[name] for name in STOCK),
).outerjoin(inventory, inventory.c.provider_id == resource_provider.c.id)
PROVIDER_INVENTORY = _PROVIDER_INVENTORIES.where(resource_provider.c.id == sa.bindparam("id"))

# Taking and giving back ---------------------------------------------------------------------------


def allocation_take(
    connection: sa.Connection, consumer_id: str, provider_id: str, amounts: Mapping[str, int]
) -> None:
    """Take *amounts* (class to units) of one provider for *consumer_id*, or nothing.

    Raises:
        Conflict: an inventory would rise above its capacity, or is not there. The transaction
            must be left.
    """
    amounts_take(
        connection, consumer_id, {(provider_id, name): amount for name, amount in amounts.items()}
    )


def amounts_take(
    connection: sa.Connection, consumer_id: str, amounts: Mapping[tuple[str, str], int]
) -> None:
    """Take *amounts*, (provider id, class) to units, for who holds nothing of these; or nothing.

    Raises:
        Conflict: as ``allocation_take``.
    """
    wanted = {place: amount for place, amount in amounts.items() if amount}
    generations_bump(connection, {provider_id for provider_id, _ in amounts})
    if not use_change(connection, wanted):
        raise _not_left(wanted)
    allocations_insert(
        connection,
        [Allocation(consumer_id, provider, name, n) for (provider, name), n in wanted.items()],
    )


def amounts_change(
    connection: sa.Connection,
    consumer_id: str,
    changes: Mapping[tuple[str, str], int],
    *,
    even_if_full: bool = False,
) -> None:
    """Have a consumer hold more or less, (provider id, class) to units; or nothing is changed.

    With *even_if_full* what it is known to hold is written down, whatever there is.

    Raises:
        Conflict: as ``allocation_take``.
    """
    wanted = {place: change for place, change in changes.items() if change}
    generations_bump(connection, {provider_id for provider_id, _ in wanted})
    if even_if_full:
        _use_set(connection, wanted)
    elif not use_change(connection, wanted):
        raise _not_left(wanted)
    for (provider_id, name), change in sorted(wanted.items()):
        mine = (
            allocation.c.consumer_id == consumer_id,
            allocation.c.provider_id == provider_id,
            allocation.c.resource_class == name,
        )
        more = allocation.update().where(*mine).values(used=allocation.c.used + change)
        if connection.execute(more).rowcount == 0:
            line = Allocation(consumer_id, provider_id, name, change)
            allocations_insert(connection, [line])
        connection.execute(allocation.delete().where(*mine, allocation.c.used <= 0))


def _use_set(connection: sa.Connection, changes: Mapping[tuple[str, str], int]) -> None:
    for (provider_id, name), change in sorted(changes.items()):
        connection.execute(
            inventory.update()
            .where(inventory.c.provider_id == provider_id, inventory.c.resource_class == name)
            .values(used=inventory.c.used + change)
        )


def _not_left(wanted: Mapping[tuple[str, str], int]) -> Conflict:
    asked = "; ".join(f"{n} {name} of {provider}" for (provider, name), n in sorted(wanted.items()))
    return Conflict(f"not all of this is left: {asked}", code=FULL)


def allocation_drop(connection: sa.Connection, consumer_id: str) -> None:
    """Give back all that *consumer_id* took. A second call does nothing."""
    given = allocations_delete(connection, [consumer_id])
    use_change(
        connection, {(line.provider_id, line.resource_class): -line.amount for line in given}
    )


def use_change(connection: sa.Connection, changes: Mapping[tuple[str, str], int]) -> bool:
    """Change the use of inventories, (provider id, class) to units more or less.

    What rises must stay within its capacity. What falls need not: capacity can have been lowered
    below use, and then use can only fall.

    Returns:
        Whether all of it was done; where not, the transaction must be left.
    """
    rows = [
        {"provider": provider_id, "class": name, "change": change}
        for (provider_id, name), change in sorted(changes.items())
        if change
    ]
    if not rows:
        return True
    return connection.execute(USE_CHANGE, rows).rowcount == len(rows)


def allocations_insert(connection: sa.Connection, lines: Sequence[Allocation]) -> None:
    if lines:
        connection.execute(
            _ALLOCATION_INSERT,
            [
                {
                    "consumer_id": line.consumer_id,
                    "provider_id": line.provider_id,
                    "resource_class": line.resource_class,
                    "used": line.amount,
                }
                for line in lines
            ],
        )


def provider_ids_held_of(connection: sa.Connection, consumer_ids: Collection[str]) -> set[str]:
    """Return the providers of whose stored inventories these hold something."""
    found: set[str] = set()
    for batch in batches(consumer_ids):
        mine = sa.select(allocation.c.provider_id).where(allocation.c.consumer_id.in_(batch))
        found.update(connection.scalars(mine.distinct()))
    return found


def allocations_delete(
    connection: sa.Connection, consumer_ids: Collection[str]
) -> list[Allocation]:
    """Remove what these hold of stored inventories, and return it; use is not changed."""
    gone: list[Allocation] = []
    for batch in batches(consumer_ids):
        rows = connection.execute(
            allocation.delete()
            .where(allocation.c.consumer_id.in_(batch))
            .returning(
                allocation.c.consumer_id,
                allocation.c.provider_id,
                allocation.c.resource_class,
                allocation.c.used,
            )
        )
        gone += [Allocation(*row) for row in rows]
    return gone


def provider_inventories_load(
    connection: sa.Connection, provider_ids: Collection[str]
) -> dict[str, ProviderInventory]:
    """Return these providers with their stored inventories; what is not there is left out."""
    rows: list[Any] = []
    for batch in batches(provider_ids):
        one = len(batch) == 1
        found = (
            connection.execute(PROVIDER_INVENTORY, {"id": batch[0]})
            if one
            else _many(connection, batch)
        )
        rows += found.all()
    return provider_inventories_of(rows)


def provider_inventories_of(rows: Iterable[Any]) -> dict[str, ProviderInventory]:
    """Read what ``PROVIDER_INVENTORY`` returns, of one provider or of several."""
    providers: dict[str, ProviderInventory] = {}
    for id_, name, owner, generation, class_, *numbers in rows:
        provider = providers.get(id_)
        if provider is None:
            providers[id_] = provider = ProviderInventory(name, owner, generation, {})
        if class_ is not None:
            provider.stocks[class_] = Inventory(**dict(zip(STOCK, numbers, strict=True)))
    return providers


def _many(connection: sa.Connection, provider_ids: list[str]) -> sa.CursorResult[Any]:
    return connection.execute(_PROVIDER_INVENTORIES.where(resource_provider.c.id.in_(provider_ids)))


# Usage --------------------------------------------------------------------------------------------


def usage_of_project(
    connection: sa.Connection, project_id: str, user_id: str | None
) -> list[tuple[str, str | None, str, int]]:
    """Return what consumers of a project, or of one user in it, hold.

    Each is (consumer id, its type, class, units), of a provider each.
    """
    mine = [consumer.c.project_id == project_id]
    if user_id is not None:
        mine.append(consumer.c.user_id == user_id)
    lines = allocations_query().subquery("lines")
    query = (
        sa.select(lines.c.consumer_id, consumer.c.type, lines.c.resource_class, lines.c.used)
        .join(consumer, consumer.c.id == lines.c.consumer_id)
        .where(*mine)
    )
    return [(id_, kind, name, used) for id_, kind, name, used in connection.execute(query).all()]
