"""Rows of resource providers: found by what they are, made, moved, marked, removed."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from lanekeeper.domain.placement.inventory import INT_MAX
from lanekeeper.domain.placement.listing import ProviderFilter, ProviderRow
from lanekeeper.domain.placement.query import AnyOf
from lanekeeper.store.batch import batches
from lanekeeper.store.placement.inventory import counted_with_free
from lanekeeper.store.tables import (
    allocation,
    inventory,
    provider_aggregate,
    provider_trait,
    resource_provider,
)

_COLUMNS = (
    resource_provider.c.id,
    resource_provider.c.name,
    resource_provider.c.parent_id,
    resource_provider.c.root_id,
    resource_provider.c.generation,
    resource_provider.c.owner,
    resource_provider.c.updated_at,
)


def provider_find(connection: sa.Connection, provider_id: str) -> ProviderRow | None:
    query = sa.select(*_COLUMNS).where(resource_provider.c.id == provider_id)
    row = connection.execute(query).mappings().one_or_none()
    return None if row is None else ProviderRow(**row)


def provider_named(connection: sa.Connection, name: str) -> str | None:
    """Return the id of the provider with this name."""
    query = sa.select(resource_provider.c.id).where(resource_provider.c.name == name)
    return connection.scalar(query)


def provider_list(connection: sa.Connection, wanted: ProviderFilter) -> list[ProviderRow]:
    """Return the providers that pass the filter, by name."""
    query = sa.select(*_COLUMNS).order_by(resource_provider.c.name)
    if wanted.name:
        query = query.where(resource_provider.c.name == wanted.name)
    if wanted.id:
        query = query.where(resource_provider.c.id == wanted.id)
    if wanted.in_tree:
        member = resource_provider.alias("member")
        root = sa.select(member.c.root_id).where(member.c.id == wanted.in_tree)
        query = query.where(resource_provider.c.root_id == root.scalar_subquery())
    for column, asked in (
        (provider_trait.c.trait, wanted.traits),
        (provider_aggregate.c.aggregate_id, wanted.aggregates),
    ):
        query = query.where(*_marked(column, asked))
    for name, amount in wanted.resources:
        query = query.where(_with_free(name, amount))
    return [ProviderRow(**row) for row in connection.execute(query).mappings()]


def _marked(column: sa.Column[str], asked: AnyOf) -> list[sa.ColumnElement[bool]]:
    """Conditions that a provider has one mark of each clause, and none of the forbidden."""
    table = column.table

    def has(names: frozenset[str]) -> sa.Exists:
        mine = table.c.provider_id == resource_provider.c.id
        return sa.exists().where(mine, column.in_(sorted(names)))

    conditions: list[sa.ColumnElement[bool]] = [has(clause) for clause in asked.required]
    if asked.forbidden:
        conditions.append(~has(asked.forbidden))
    return conditions


def _with_free(name: str, amount: int) -> sa.ColumnElement[bool]:
    """Condition that a provider has *amount* of a class to give, stored or counted from devices."""
    if amount > INT_MAX:  # above every max_unit, and above what some databases take as a number
        return sa.false()
    stored = sa.exists().where(
        inventory.c.provider_id == resource_provider.c.id,
        inventory.c.resource_class == name,
        inventory.c.used + amount <= inventory.c.capacity,
        inventory.c.min_unit <= amount,
        inventory.c.max_unit >= amount,
        sa.literal(amount) % inventory.c.step_size == 0,
    )
    return sa.or_(stored, resource_provider.c.id.in_(counted_with_free(name, amount)))


def subtree_ids(connection: sa.Connection, provider: ProviderRow) -> set[str]:
    """Return the ids of *provider* and of all below it."""
    query = sa.select(resource_provider.c.id, resource_provider.c.parent_id)
    tree = connection.execute(query.where(resource_provider.c.root_id == provider.root_id)).all()
    below: dict[str | None, list[str]] = {}
    for id_, parent_id in tree:
        below.setdefault(parent_id, []).append(id_)
    found, ahead = {provider.id}, [provider.id]
    while ahead:
        children = [child for child in below.get(ahead.pop(), ()) if child not in found]
        found.update(children)
        ahead += children
    return found


def provider_insert(
    connection: sa.Connection,
    provider_id: str,
    *,
    name: str,
    parent_id: str | None,
    root_id: str,
    now: datetime,
) -> None:
    """Make a provider that is a client's own."""
    connection.execute(
        resource_provider.insert().values(
            id=provider_id,
            name=name,
            parent_id=parent_id,
            root_id=root_id,
            owner="api",
            updated_at=now,
        )
    )


def provider_update(
    connection: sa.Connection, provider_id: str, values: Mapping[str, object]
) -> None:
    mine = resource_provider.c.id == provider_id
    connection.execute(resource_provider.update().where(mine).values(**values))


def root_set(connection: sa.Connection, provider_ids: Collection[str], root_id: str) -> None:
    """Make *root_id* the root of all of these."""
    for batch in batches(provider_ids):
        those = resource_provider.c.id.in_(batch)
        connection.execute(resource_provider.update().where(those).values(root_id=root_id))


def provider_delete(connection: sa.Connection, provider_id: str) -> None:
    connection.execute(resource_provider.delete().where(resource_provider.c.id == provider_id))


def has_allocations(connection: sa.Connection, provider_id: str) -> bool:
    query = sa.select(allocation.c.consumer_id).where(allocation.c.provider_id == provider_id)
    return connection.scalar(query.limit(1)) is not None


def has_children(connection: sa.Connection, provider_id: str) -> bool:
    query = sa.select(resource_provider.c.id).where(resource_provider.c.parent_id == provider_id)
    return connection.scalar(query.limit(1)) is not None


# Generations --------------------------------------------------------------------------------------


def generation_bump(connection: sa.Connection, provider_id: str, expected: int) -> bool:
    """Move a provider's generation on from *expected*; whether it still was that.

    Whoever has done this holds the provider until the commit: claims and other changes wait.
    """
    bumped = connection.execute(
        resource_provider.update()
        .where(resource_provider.c.id == provider_id, resource_provider.c.generation == expected)
        .values(generation=expected + 1)
    )
    return bumped.rowcount == 1


def generations_of(connection: sa.Connection, provider_ids: Collection[str]) -> dict[str, int]:
    """Return the generations of these providers, of which one consumer's allocation is made."""
    columns = (resource_provider.c.id, resource_provider.c.generation)
    found: dict[str, int] = {}
    for batch in batches(provider_ids):
        those = sa.select(*columns).where(resource_provider.c.id.in_(batch))
        found |= {row.id: row.generation for row in connection.execute(those)}
    return found


# Marks --------------------------------------------------------------------------------------------


def traits_of(connection: sa.Connection, provider_id: str) -> list[str]:
    return _marks(connection, provider_trait.c.trait, provider_id)


def aggregates_of(connection: sa.Connection, provider_id: str) -> list[str]:
    return _marks(connection, provider_aggregate.c.aggregate_id, provider_id)


def traits_replace(connection: sa.Connection, provider_id: str, names: set[str]) -> bool:
    """Make *names* the provider's traits; whether that changed anything."""
    return _replace(connection, provider_trait.c.trait, provider_id, names)


def aggregates_replace(connection: sa.Connection, provider_id: str, names: set[str]) -> bool:
    """Make *names* the provider's aggregates; whether that changed anything."""
    return _replace(connection, provider_aggregate.c.aggregate_id, provider_id, names)


def _marks(connection: sa.Connection, column: sa.Column[str], provider_id: str) -> list[str]:
    query = sa.select(column).where(column.table.c.provider_id == provider_id)
    return list(connection.scalars(query.order_by(column)))


def _replace(
    connection: sa.Connection, column: sa.Column[str], provider_id: str, names: set[str]
) -> bool:
    table = column.table
    assert isinstance(table, sa.Table)
    mine = table.c.provider_id == provider_id
    have = set(_marks(connection, column, provider_id))
    if have == names:
        return False
    if gone := have - names:
        that = table.delete().where(mine, column == sa.bindparam("mark"))
        connection.execute(that, [{"mark": name} for name in sorted(gone)])
    rows: Sequence[dict[str, Any]] = [
        {"provider_id": provider_id, column.name: name} for name in sorted(names - have)
    ]
    if rows:
        connection.execute(table.insert(), rows)
    return True
