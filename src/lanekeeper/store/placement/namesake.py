"""Clients' resource providers that are called what a host's or a device's would be.

Names of providers are unique, and those of an imported Placement were there first. A host is not
shut out for that: its provider is called ``NAME#<first 8 characters of its id>`` until NAME is
free.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import sqlalchemy as sa

from lanekeeper.store.batch import batches
from lanekeeper.store.tables import resource_provider

_MARKED = "%#" + "_" * 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Apart:
    """A provider of *host_id*, called *name* since client's provider *namesake_id* was first."""

    host_id: str
    name: str
    namesake_id: str


def named_apart(name: str, provider_id: str) -> str:
    return f"{name}#{provider_id[:8]}"


def client_provider_named(connection: sa.Connection, name: str) -> str | None:
    """Id of the client's provider with this name."""
    return _of_clients(connection, [name]).get(name)


def provider_names(connection: sa.Connection, wanted: Mapping[str, str]) -> dict[str, str]:
    """What providers of a host are to be called (id to name), where clients leave the name free."""
    taken = _of_clients(connection, wanted.values())
    return {id_: named_apart(name, id_) if name in taken else name for id_, name in wanted.items()}


def providers_apart(connection: sa.Connection) -> list[Apart]:
    """Every provider of a host or device that gives way to a client's, by name."""
    marked = connection.execute(
        sa.select(resource_provider.c.id, resource_provider.c.host_id, resource_provider.c.name)
        .where(resource_provider.c.host_id.is_not(None), resource_provider.c.name.like(_MARKED))
        .order_by(resource_provider.c.name)
    ).all()
    plain = {row.id: row.name.removesuffix(named_apart("", row.id)) for row in marked}
    taken = _of_clients(connection, plain.values())
    return [
        Apart(host_id=row.host_id, name=row.name, namesake_id=taken[plain[row.id]])
        for row in marked
        if plain[row.id] in taken
    ]


def _of_clients(connection: sa.Connection, names: Collection[str]) -> dict[str, str]:
    """Name to id of the providers with these names that clients made."""
    columns = sa.select(resource_provider.c.name, resource_provider.c.id)
    theirs = columns.where(resource_provider.c.host_id.is_(None))
    return {
        row.name: row.id
        for batch in batches(names)
        for row in connection.execute(theirs.where(resource_provider.c.name.in_(batch)))
    }
