"""Resource providers: those of hosts and devices are read here, those of clients are theirs."""

from __future__ import annotations

import uuid

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from lanekeeper.control.placement.resource_name import check_classes, check_traits
from lanekeeper.control.site import Site
from lanekeeper.domain.errors import Conflict, Invalid, NotFound
from lanekeeper.domain.placement.listing import ProviderFilter, ProviderRow
from lanekeeper.store.placement.hold import providers_hold, trees_hold
from lanekeeper.store.placement.resource_provider import (
    generation_bump,
    has_allocations,
    has_children,
    provider_delete,
    provider_find,
    provider_insert,
    provider_list,
    provider_named,
    provider_update,
    root_set,
    subtree_ids,
)

CONCURRENT = "placement.concurrent_update"
DUPLICATE = "placement.duplicate_name"
PROVIDER_IN_USE = "placement.resource_provider.inuse"
PARENT = "placement.resource_provider.cannot_delete_parent"
RACE = "Another thread concurrently updated the resource provider data. Please retry your update"
"""Nova and Neutron look for "concurrently updated" in the message."""
STALE = (
    "Resource provider's generation already changed. Please update the generation and try again."
)


def list_providers(site: Site, wanted: ProviderFilter) -> list[ProviderRow]:
    """Providers that pass a filter, by name.

    Raises:
        Invalid: an unknown class or trait.
    """
    with site.database.read() as connection:
        classes = [name for name, _ in wanted.resources]
        check_classes(connection, classes, "Invalid resource class in resources parameter")
        check_traits(connection, wanted.traits.names, 'Invalid trait(s) in "required" parameter: ')
        return provider_list(connection, wanted)


def show_provider(site: Site, provider_id: str) -> ProviderRow:
    """One provider.

    Raises:
        NotFound: there is none with this id.
    """
    with site.database.read() as connection:
        return existing(connection, provider_id)


def existing(connection: sa.Connection, provider_id: str) -> ProviderRow:
    """Find a provider. Raises NotFound as ``show_provider``."""
    found = provider_find(connection, provider_id)
    if found is None:
        raise NotFound(f"No resource provider with uuid {provider_id[:255]} found")
    return found


def create_provider(
    site: Site, name: str, provider_id: str | None, parent_id: str | None
) -> ProviderRow:
    """Make a provider that is the client's own.

    Raises:
        Conflict: the name or the id is taken.
        Invalid: the parent does not exist, or is the provider itself.
    """
    chosen = provider_id or str(uuid.uuid4())
    now = site.clock()
    failed = f'Unable to create resource provider "{name}", {chosen}: Object action create failed'

    def work(connection: sa.Connection) -> ProviderRow:
        root_id = chosen
        if parent_id is not None:
            trees_hold(connection)
            if parent_id == chosen:
                raise Invalid(
                    f"{failed} because: parent provider UUID cannot be same as UUID. Please set "
                    "parent provider UUID to None if there is no parent."
                )
            parent = provider_find(connection, parent_id)
            if parent is None:
                raise Invalid(f"{failed} because: parent provider UUID does not exist.")
            root_id = parent.root_id
        taken = []
        if provider_find(connection, chosen) is not None:
            taken.append(f"uuid: {chosen}")
        if provider_named(connection, name) is not None:
            taken.append(f"name: {name}")
        if taken:
            raise _duplicate(", ".join(taken))
        provider_insert(
            connection, chosen, name=name, parent_id=parent_id, root_id=root_id, now=now
        )
        return existing(connection, chosen)

    try:
        return site.database.write(work)
    except IntegrityError as error:  # another request took the name or the parent meanwhile
        raise _duplicate(f"uuid: {chosen} or name: {name}") from error


def _duplicate(what: str) -> Conflict:
    return Conflict(f"Conflicting resource provider {what} already exists.", code=DUPLICATE)


def update_provider(
    site: Site, provider_id: str, name: str, parent: tuple[str | None] | None, *, may_move: bool
) -> ProviderRow:
    """Rename, and move where *parent* is given (a one-tuple, so that None can be said).

    Raises:
        NotFound, Conflict, Invalid: as for creation; also a loop, or a move before 1.37.
    """

    def work(connection: sa.Connection) -> ProviderRow:
        trees_hold(connection)  # a new name, too, bars whoever refers to the provider
        provider = owned(connection, provider_id, "renamed or moved")
        namesake = provider_named(connection, name)
        values: dict[str, object] = {"name": name, "updated_at": site.clock()}
        if parent is not None and parent[0] != provider.parent_id:
            _move(connection, provider, parent[0], may_move=may_move)
            values |= {"parent_id": parent[0]}
        if namesake not in (None, provider_id):
            raise _duplicate(name)
        provider_update(connection, provider_id, values)
        return existing(connection, provider_id)

    try:
        return site.database.write(work)
    except IntegrityError as error:  # another request took the name or the parent meanwhile
        raise _duplicate(name) from error


def _move(
    connection: sa.Connection, provider: ProviderRow, parent_id: str | None, *, may_move: bool
) -> None:
    failed = f"Unable to save resource provider {provider.id}: Object action update failed because"
    parent = None if parent_id is None else provider_find(connection, parent_id)
    if parent is None and parent_id is not None:
        raise Invalid(f"{failed}: parent provider UUID does not exist.")
    if provider.parent_id is not None and not may_move:
        what = "un-parenting" if parent is None else "re-parenting"
        raise Invalid(f"{failed}: {what} a provider is not currently allowed.")
    below = subtree_ids(connection, provider)
    if parent_id in below:
        raise Invalid(f"{failed}: creating loop in the provider tree is not allowed.")
    providers_hold(connection, below)
    root_set(connection, below, provider.id if parent is None else parent.root_id)


def delete_provider(site: Site, provider_id: str) -> None:
    """Forget a client's provider with all that belongs to it.

    Raises:
        NotFound: it is not there.
        Conflict: something is allocated from it, or it has children, or Lanekeeper owns it.
    """

    def work(connection: sa.Connection) -> None:
        trees_hold(connection)
        if provider_find(connection, provider_id) is None:
            raise NotFound(f"No resource provider with uuid {provider_id[:255]} found for delete")
        provider = owned(connection, provider_id, "deleted")
        if has_children(connection, provider_id):
            raise _is_parent(provider_id)
        bump(connection, provider, None)  # claims wait from here on, and then find nothing
        if has_allocations(connection, provider_id):
            raise Conflict(
                f"Unable to delete resource provider {provider_id}: Resource provider has "
                "allocations.",
                code=PROVIDER_IN_USE,
            )
        provider_delete(connection, provider_id)

    try:
        site.database.write(work)
    except IntegrityError as error:  # a child came meanwhile
        raise _is_parent(provider_id) from error


def _is_parent(provider_id: str) -> Conflict:
    return Conflict(
        f"Unable to delete parent resource provider {provider_id}: It has child resource "
        "providers.",
        code=PARENT,
    )


def owned(connection: sa.Connection, provider_id: str, done: str) -> ProviderRow:
    """Find a provider that is a client's to change.

    Raises:
        NotFound: it is not there.
        Conflict: it follows a host or a device.
    """
    found = existing(connection, provider_id)
    if found.owner != "api":
        raise Conflict(
            f"resource provider {found.name} follows its {found.owner} and cannot be {done} here",
            hint="change device_spec or the host; providers that you create are yours, whole",
        )
    return found


def bump(connection: sa.Connection, provider: ProviderRow, expected: int | None) -> int:
    """Move the generation on, if it still is *expected*; None is what was just read.

    Returns:
        The new one. The provider is held until the commit.

    Raises:
        Conflict: it is another by now.
    """
    if expected is not None:
        check_generation(provider, expected)
    if not generation_bump(connection, provider.id, provider.generation):
        raise Conflict(f"update conflict: {RACE}", code=CONCURRENT)
    return provider.generation + 1


def check_generation(provider: ProviderRow, expected: int) -> None:
    """Refuse a change to another state of the provider than its author has seen.

    Raises:
        Conflict: the generation is another.
    """
    if expected != provider.generation:
        raise Conflict("resource provider generation conflict", code=CONCURRENT)
