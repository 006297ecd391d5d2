"""Names of resource classes and traits: the standard ones, those in use, and clients' own."""

from __future__ import annotations

import re
from collections.abc import Callable

import os_resource_classes
import os_traits
import sqlalchemy as sa

from lanekeeper.control.site import Site
from lanekeeper.domain.errors import Conflict, Invalid, NotFound
from lanekeeper.store.tables import device, inventory, provider_trait, resource_class, trait

_CUSTOM = re.compile(r"CUSTOM_[A-Z0-9_]{1,248}", re.ASCII)
STANDARD_CLASSES = tuple(os_resource_classes.STANDARDS)
STANDARD_TRAITS = frozenset(os_traits.get_traits())


def check_class(connection: sa.Connection, name: str) -> None:
    """Refuse a resource class that does not exist.

    Raises:
        Invalid: it does not.
    """
    if not class_exists(connection, name):
        raise Invalid(f"Unknown resource class in inventory for resource class {name}")


def class_exists(connection: sa.Connection, name: str) -> bool:
    if name in STANDARD_CLASSES:
        return True
    return name in _derived_classes(connection) or _stored_name(connection, resource_class, name)


def trait_exists(connection: sa.Connection, name: str) -> bool:
    if name in STANDARD_TRAITS:
        return True
    used = sa.select(provider_trait.c.trait).where(provider_trait.c.trait == name).limit(1)
    return connection.scalar(used) is not None or _stored_name(connection, trait, name)


def _stored_name(connection: sa.Connection, table: sa.Table, name: str) -> bool:
    return connection.scalar(sa.select(table.c.name).where(table.c.name == name)) is not None


def _derived_classes(connection: sa.Connection) -> set[str]:
    """Classes that are there because devices are counted under them."""
    query = sa.select(device.c.resource_class).where(device.c.resource_class.is_not(None))
    return set(connection.scalars(query.distinct()))


def list_classes(site: Site) -> tuple[str, ...]:
    """Standard classes in their order, then custom ones by name."""
    with site.database.read() as connection:
        custom = set(connection.scalars(sa.select(resource_class.c.name)))
        custom |= _derived_classes(connection) - set(STANDARD_CLASSES)
    return (*STANDARD_CLASSES, *sorted(custom))


def list_traits(site: Site, keep: Callable[[str], bool], *, associated: bool | None) -> list[str]:
    """Names of traits, of those only that providers have (or have not), if asked."""
    with site.database.read() as connection:
        used = set(connection.scalars(sa.select(provider_trait.c.trait).distinct()))
        known = STANDARD_TRAITS | used | set(connection.scalars(sa.select(trait.c.name)))
    if associated is not None:
        known = known & used if associated else known - used
    return sorted(name for name in known if keep(name))


def ensure_class(site: Site, name: str) -> bool:
    """Make a custom resource class; whether it is new. Raises as ``_ensure``."""
    return _ensure(site, resource_class, name)


def ensure_trait(site: Site, name: str) -> bool:
    """Make a custom trait; whether it is new. Raises as ``_ensure``."""
    return _ensure(site, trait, name)


def _ensure(site: Site, table: sa.Table, name: str) -> bool:
    """Make a custom class or trait; whether it is new.

    Raises:
        Invalid: the name does not begin with CUSTOM_ or has other characters.
    """
    if not _CUSTOM.fullmatch(name):
        raise Invalid(
            f"{name[:60]!r} is not a custom name: CUSTOM_ and then A-Z, 0-9 and _ is right"
        )
    exists = class_exists if table is resource_class else trait_exists

    def work(connection: sa.Connection) -> bool:
        if exists(connection, name):
            return False
        connection.execute(table.insert().values(name=name))
        return True

    return site.database.write(work)


def delete_class(site: Site, name: str) -> None:
    """Forget a custom resource class. Raises as ``_delete``."""
    _delete(site, resource_class, name)


def delete_trait(site: Site, name: str) -> None:
    """Forget a custom trait. Raises as ``_delete``."""
    _delete(site, trait, name)


def _delete(site: Site, table: sa.Table, name: str) -> None:
    """Forget a custom class or trait.

    Raises:
        Invalid: a standard one.
        NotFound: it is not there.
        Conflict: a provider has it.
    """
    standard = STANDARD_CLASSES if table is resource_class else STANDARD_TRAITS
    if name in standard:
        raise Invalid(f"Cannot delete standard {table.name.replace('_', ' ')} {name}")

    def work(connection: sa.Connection) -> None:
        if table is resource_class:
            users = sa.select(inventory.c.provider_id).where(inventory.c.resource_class == name)
            in_use = name in _derived_classes(connection)
        else:
            users = sa.select(provider_trait.c.provider_id).where(provider_trait.c.trait == name)
            in_use = False
        if in_use or connection.scalar(users.limit(1)) is not None:
            raise Conflict(f"{name} is in use by a resource provider")
        if connection.execute(table.delete().where(table.c.name == name)).rowcount == 0:
            raise NotFound(f"No such {table.name.replace('_', ' ')} {name}")

    site.database.write(work)
