"""Names of resource classes and traits: clients' own rows, and those that things in use bring.

What is standard stands in no table; that is for the callers to know.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator

import sqlalchemy as sa

from lanekeeper.store.row import row_insert_new
from lanekeeper.store.tables import (
    allocation,
    device,
    inventory,
    provider_trait,
    resource_class,
    trait,
)

_BATCH = 1000  # names in one statement; some databases take no more than 32766


def _batches(names: Collection[str]) -> Iterator[list[str]]:
    ordered = sorted(names)
    for start in range(0, len(ordered), _BATCH):
        yield ordered[start : start + _BATCH]


def _found(
    connection: sa.Connection, columns: Iterable[sa.Column[str]], names: Collection[str]
) -> set[str]:
    """Return those of *names* that stand in one of *columns*; the later ones are asked last."""
    found: set[str] = set()
    for column in columns:
        for batch in _batches(set(names) - found):
            found.update(connection.scalars(sa.select(column).distinct().where(column.in_(batch))))
    return found


def classes_found(connection: sa.Connection, names: Collection[str]) -> set[str]:
    """Return those of *names* that clients made, or that devices are counted under."""
    return _found(connection, (resource_class.c.name, device.c.resource_class), names)


def classes_hold(connection: sa.Connection, names: Collection[str]) -> None:
    """Let nobody rename or delete these classes until the commit; for who is to write their names.

    Those that are standard or not there are passed over.
    """
    for batch in _batches(names):
        held = sa.select(resource_class.c.name).where(resource_class.c.name.in_(batch))
        connection.execute(
            held.order_by(resource_class.c.name).with_for_update(key_share=True, read=True)
        )


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
    """Remove a class; whether it was there."""
    gone = connection.execute(resource_class.delete().where(resource_class.c.name == name))
    return gone.rowcount == 1


def trait_delete(connection: sa.Connection, name: str) -> bool:
    """Remove a trait; whether it was there."""
    return connection.execute(trait.delete().where(trait.c.name == name)).rowcount == 1


def class_rename(connection: sa.Connection, name: str, to: str) -> None:
    """Give a class another name, everywhere."""
    for column in (
        resource_class.c.name,
        inventory.c.resource_class,
        allocation.c.resource_class,
    ):
        table = column.table
        assert isinstance(table, sa.Table)
        connection.execute(table.update().where(column == name).values({column.name: to}))
