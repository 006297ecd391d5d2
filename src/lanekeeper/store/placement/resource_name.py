"""Names of resource classes and traits: clients' own rows, and those that things in use bring.

What is standard stands in no table; that is for the callers to know.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

import sqlalchemy as sa

from lanekeeper.store.batch import batches
from lanekeeper.store.placement.hold import providers_hold
from lanekeeper.store.row import row_insert_new
from lanekeeper.store.tables import (
    allocation,
    device,
    inventory,
    provider_trait,
    resource_class,
    trait,
)


def _found(
    connection: sa.Connection, columns: Iterable[sa.Column[str]], names: Collection[str]
) -> set[str]:
    """Return those of *names* that stand in one of *columns*; the later ones are asked last."""
    found: set[str] = set()
    for column in columns:
        for batch in batches(set(names) - found):
            found.update(connection.scalars(sa.select(column).distinct().where(column.in_(batch))))
    return found


def classes_found(connection: sa.Connection, names: Collection[str]) -> set[str]:
    """Return those of *names* that clients made, or that devices are counted under."""
    return _found(connection, (resource_class.c.name, device.c.resource_class), names)


def traits_found(connection: sa.Connection, names: Collection[str]) -> set[str]:
    """Return those of *names* that clients made, or that a provider has."""
    return _found(connection, (trait.c.name, provider_trait.c.trait), names)


def class_names(connection: sa.Connection) -> set[str]:
    """Return every class that clients made or devices are counted under."""
    derived = sa.select(device.c.resource_class).where(device.c.resource_class.is_not(None))
    return {
        *connection.scalars(sa.select(resource_class.c.name)),
        *connection.scalars(derived.distinct()),
    }


def trait_names(connection: sa.Connection) -> tuple[set[str], set[str]]:
    """Return the traits that clients made, and those that providers have."""
    return (
        set(connection.scalars(sa.select(trait.c.name))),
        set(connection.scalars(sa.select(provider_trait.c.trait).distinct())),
    )


def class_insert(connection: sa.Connection, name: str) -> bool:
    """Make a class; whether it was not there."""
    return row_insert_new(connection, resource_class, {"name": name})


def trait_insert(connection: sa.Connection, name: str) -> bool:
    """Make a trait; whether it was not there."""
    return row_insert_new(connection, trait, {"name": name})


def class_in_use(connection: sa.Connection, name: str) -> bool:
    """Whether a provider has some of this class."""
    return any(
        connection.scalar(sa.select(column).where(column == name).limit(1)) is not None
        for column in (inventory.c.resource_class, device.c.resource_class)
    )


def trait_in_use(connection: sa.Connection, name: str) -> bool:
    query = sa.select(provider_trait.c.trait).where(provider_trait.c.trait == name)
    return connection.scalar(query.limit(1)) is not None


def class_is_devices(connection: sa.Connection, name: str) -> bool:
    """Whether devices are counted under this class."""
    query = sa.select(device.c.resource_class).where(device.c.resource_class == name)
    return connection.scalar(query.limit(1)) is not None


def class_delete(connection: sa.Connection, name: str) -> bool:
    """Remove a class; whether it was there. The classes are held alone."""
    gone = connection.execute(resource_class.delete().where(resource_class.c.name == name))
    return gone.rowcount == 1


def trait_delete(connection: sa.Connection, name: str) -> bool:
    """Remove a trait; whether it was there."""
    return connection.execute(trait.delete().where(trait.c.name == name)).rowcount == 1


def class_rename(connection: sa.Connection, name: str, to: str) -> None:
    """Give a class another name, everywhere. The classes are held alone."""
    connection.execute(_renamed(resource_class.c.name, name, to))
    have = sa.select(inventory.c.provider_id).where(inventory.c.resource_class == name)
    providers_hold(connection, connection.scalars(have).all())
    connection.execute(_renamed(inventory.c.resource_class, name, to))
    connection.execute(_renamed(allocation.c.resource_class, name, to))


def _renamed(column: sa.Column[str], name: str, to: str) -> sa.Update:
    table = column.table
    assert isinstance(table, sa.Table)
    return table.update().where(column == name).values({column.name: to})
