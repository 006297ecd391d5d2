"""Names of resource classes and traits: the standard ones, those in use, and clients' own."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection

import os_resource_classes
import os_traits
import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from lanekeeper.control.site import Site
from lanekeeper.domain.errors import Conflict, Invalid, NotFound
from lanekeeper.store.placement.hold import classes_hold_alone
from lanekeeper.store.placement.resource_name import (
    class_delete,
    class_in_use,
    class_insert,
    class_is_devices,
    class_names,
    class_rename,
    classes_found,
    trait_delete,
    trait_in_use,
    trait_insert,
    trait_names,
    traits_found,
)

_CUSTOM = re.compile(r"CUSTOM_[A-Z0-9_]{1,248}", re.ASCII)
STANDARD_CLASSES = tuple(os_resource_classes.STANDARDS)
STANDARD_TRAITS = frozenset(os_traits.get_traits())
_NAMED_MAX = 20  # of unknown names, in a message


def unknown_classes(connection: sa.Connection, names: Collection[str]) -> list[str]:
    """Return those of *names* that are no resource class."""
    custom = set(names) - set(STANDARD_CLASSES)
    return sorted(custom - classes_found(connection, custom)) if custom else []


def check_classes(connection: sa.Connection, names: Collection[str], what: str) -> None:
    """Refuse names that are no resource class.

    Raises:
        Invalid: one is none; *what* begins the message.
    """
    for name in unknown_classes(connection, names):
        raise Invalid(f"{what}: No such resource class {name[:255]}.")


def check_traits(connection: sa.Connection, names: Collection[str], what: str = "") -> None:
    """Refuse names that are no trait.

    Raises:
        Invalid: some are none; *what* begins the message.
    """
    custom = set(names) - STANDARD_TRAITS
    unknown = sorted(custom - traits_found(connection, custom)) if custom else []
    if unknown:
        told = ", ".join(name[:255] for name in unknown[:_NAMED_MAX])
        raise Invalid(f"{what}No such trait(s): {told}.")


# Resource classes ---------------------------------------------------------------------------------


def list_classes(site: Site) -> tuple[str, ...]:
    """Standard classes in their order, then custom ones by name."""
    with site.database.read() as connection:
        custom = class_names(connection) - set(STANDARD_CLASSES)
    return (*STANDARD_CLASSES, *sorted(custom))


def show_class(site: Site, name: str) -> None:
    """Let a name pass that is a resource class.

    Raises:
        NotFound: it is none.
    """
    with site.database.read() as connection:
        _there(connection, name)


def _there(connection: sa.Connection, name: str) -> None:
    if unknown_classes(connection, [name]):
        raise NotFound(f"No such resource class {name[:255]}.")


def ensure_class(site: Site, name: str) -> bool:
    """Make a custom resource class; whether it is new.

    Raises:
        Invalid: the name does not begin with CUSTOM_ or has other characters.
    """
    _check_custom(
        name, f"JSON does not validate: {name[:60]!r} does not match '^CUSTOM_[A-Z0-9_]+$'"
    )
    return site.database.write(lambda c: bool(unknown_classes(c, [name])) and class_insert(c, name))


def rename_class(site: Site, name: str, to: str) -> None:
    """Give a custom resource class another name.

    Raises:
        NotFound: it is not there.
        Invalid: a standard one, or *to* is no custom name.
        Conflict: the other name is taken, or devices are counted under this one.
    """
    _check_custom(to, f"JSON does not validate: {to[:60]!r} does not match '^CUSTOM_[A-Z0-9_]+$'")

    def work(connection: sa.Connection) -> None:
        classes_hold_alone(connection)
        _there(connection, name)
        if name in STANDARD_CLASSES:
            raise Invalid(f"Cannot update standard resource class {name}")
        if not unknown_classes(connection, [to]):
            raise _exists(to)
        _not_devices(connection, name, "renamed")
        class_rename(connection, name, to)

    try:
        site.database.write(work)
    except IntegrityError as error:  # another request took the name meanwhile
        raise _exists(to) from error


def _exists(name: str) -> Conflict:
    return Conflict(f"Resource class already exists: {name}")


def _not_devices(connection: sa.Connection, name: str, done: str) -> None:
    if class_is_devices(connection, name):
        raise Conflict(
            f"devices are counted under {name}, which cannot be {done}",
            hint="resource_class in device_spec says under which class devices are counted",
        )


def delete_class(site: Site, name: str) -> None:
    """Forget a custom resource class.

    Raises:
        Invalid: a standard one.
        NotFound: it is not there.
        Conflict: a provider has some of it.
    """

    def work(connection: sa.Connection) -> None:
        classes_hold_alone(connection)
        _there(connection, name)
        if name in STANDARD_CLASSES:
            raise Invalid(
                f"Error in delete resource class: Cannot delete standard resource class {name}."
            )
        if class_in_use(connection, name):
            raise Conflict(
                f"Error in delete resource class: Cannot delete resource class {name}. Class is "
                "in use in inventory."
            )
        class_delete(connection, name)

    site.database.write(work)


# Traits -------------------------------------------------------------------------------------------


def list_traits(site: Site, keep: Callable[[str], bool], *, associated: bool | None) -> list[str]:
    """Names of traits, of those only that providers have (or have not), if asked."""
    with site.database.read() as connection:
        made, used = trait_names(connection)
    known = STANDARD_TRAITS | used | made
    if associated is not None:
        known = known & used if associated else known - used
    return sorted(name for name in known if keep(name))


def show_trait(site: Site, name: str) -> None:
    """Let a name pass that is a trait.

    Raises:
        NotFound: it is none.
    """
    with site.database.read() as connection:
        _trait_there(connection, name)


def _trait_there(connection: sa.Connection, name: str) -> None:
    if name not in STANDARD_TRAITS and not traits_found(connection, [name]):
        raise NotFound(f"No such trait(s): {name[:255]}.")


def ensure_trait(site: Site, name: str) -> bool:
    """Make a custom trait; whether it is new.

    Raises:
        Invalid: the name does not begin with CUSTOM_ or has other characters.
    """
    _check_custom(
        name,
        "The trait is invalid. A valid trait must be no longer than 255 characters, start with "
        'the prefix "CUSTOM_" and use following characters: "A"-"Z", "0"-"9" and "_"',
    )
    return site.database.write(lambda c: not traits_found(c, [name]) and trait_insert(c, name))


def delete_trait(site: Site, name: str) -> None:
    """Forget a custom trait.

    Raises:
        Invalid: a standard one.
        NotFound: it is not there.
        Conflict: a provider has it.
    """

    def work(connection: sa.Connection) -> None:
        _trait_there(connection, name)
        if name in STANDARD_TRAITS:
            raise Invalid(f"Cannot delete standard trait {name}.")
        if trait_in_use(connection, name):
            raise Conflict(f"The trait {name} is in use by a resource provider.")
        trait_delete(connection, name)

    site.database.write(work)


def _check_custom(name: str, message: str) -> None:
    if not _CUSTOM.fullmatch(name):
        raise Invalid(message)
