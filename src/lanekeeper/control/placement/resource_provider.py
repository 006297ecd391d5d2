"""Resource providers: those of hosts and devices are read here, those of clients are theirs."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from datetime import datetime

import sqlalchemy as sa

from lanekeeper.control.placement.resource_name import check_class, trait_exists
from lanekeeper.control.site import Site
from lanekeeper.domain.errors import Conflict, Invalid, NotFound
from lanekeeper.domain.placement.inventory import Inventory, check
from lanekeeper.domain.placement.provider import Forest, Provider
from lanekeeper.store.placement.forest import (
    forest_load,
    generation_bump,
    inventories_load,
    inventory_delete,
    inventory_write,
    provider_row,
)
from lanekeeper.store.tables import (
    allocation,
    provider_aggregate,
    provider_trait,
    resource_provider,
)

CONCURRENT = "placement.concurrent_update"
IN_USE = "placement.inventory.inuse"
DUPLICATE = "placement.duplicate_name"
PROVIDER_IN_USE = "placement.resource_provider.inuse"
PARENT = "placement.resource_provider.cannot_delete_parent"


def forest(site: Site) -> Forest:
    """Every provider at this moment."""
    with site.database.read() as connection:
        return forest_load(connection)


def show_provider(site: Site, provider_id: str) -> Provider:
    """One provider, whole.

    Raises:
        NotFound: there is none with this id.
    """
    return _of(forest(site), provider_id)


def _of(trees: Forest, provider_id: str) -> Provider:
    found = trees.by_id.get(provider_id)
    if found is None:
        raise NotFound(f"No resource provider with uuid {provider_id} found")
    return found


def create_provider(
    site: Site, name: str, provider_id: str | None, parent_id: str | None
) -> Provider:
    """Make a provider that is the client's own.

    Raises:
        Conflict: the name or the id is taken.
        Invalid: the parent does not exist.
    """
    chosen = provider_id or str(uuid.uuid4())
    now = site.clock()

    def work(connection: sa.Connection) -> None:
        _free_name(connection, name, chosen)
        if provider_row(connection, chosen) is not None:
            raise Conflict(
                f"Conflicting resource provider uuid: {chosen} already exists.", code=DUPLICATE
            )
        root_id = chosen if parent_id is None else _root(connection, parent_id)
        connection.execute(
            resource_provider.insert().values(
                id=chosen,
                name=name,
                parent_id=parent_id,
                root_id=root_id,
                owner="api",
                updated_at=now,
            )
        )

    site.database.write(work)
    return show_provider(site, chosen)


def _free_name(connection: sa.Connection, name: str, but: str) -> None:
    namesake = connection.scalar(
        sa.select(resource_provider.c.id).where(resource_provider.c.name == name)
    )
    if namesake is not None and namesake != but:
        raise Conflict(
            f"Conflicting resource provider name: {name} already exists.", code=DUPLICATE
        )


def _root(connection: sa.Connection, parent_id: str) -> str:
    parent = provider_row(connection, parent_id)
    if parent is None:
        raise Invalid(f"parent provider UUID does not exist: {parent_id}")
    return str(parent["root_id"])


def update_provider(
    site: Site, provider_id: str, name: str, parent: tuple[str | None] | None, *, may_move: bool
) -> Provider:
    """Rename, and move where *parent* is given (a one-tuple, so that None can be said).

    Raises:
        NotFound, Conflict, Invalid: as for creation; also a loop, or a move before 1.37.
    """

    def work(connection: sa.Connection) -> None:
        row = _owned(connection, provider_id, "renamed or moved")
        _free_name(connection, name, provider_id)
        values: dict[str, object] = {"name": name, "updated_at": site.clock()}
        if parent is not None and parent[0] != row["parent_id"]:
            if not may_move and (row["parent_id"] is not None or parent[0] is None):
                raise Invalid("re-parenting a provider is not currently allowed")
            values |= {"parent_id": parent[0]}
            _move(connection, provider_id, parent[0])
        connection.execute(
            resource_provider.update().where(resource_provider.c.id == provider_id).values(**values)
        )

    site.database.write(work)
    return show_provider(site, provider_id)


def _move(connection: sa.Connection, provider_id: str, parent_id: str | None) -> None:
    trees = forest_load(connection)
    if parent_id is not None and provider_id in trees.lineage(parent_id):
        raise Invalid("creating loop in the provider tree is not allowed.")
    root_id = provider_id if parent_id is None else _root(connection, parent_id)
    below = [p for p in trees.by_id if provider_id in trees.lineage(p)]
    connection.execute(
        resource_provider.update().where(resource_provider.c.id.in_(below)).values(root_id=root_id)
    )


def delete_provider(site: Site, provider_id: str) -> None:
    """Forget a client's provider with all that belongs to it.

    Raises:
        NotFound: it is not there.
        Conflict: something is allocated from it, or it has children, or Lanekeeper owns it.
    """

    def work(connection: sa.Connection) -> None:
        _owned(connection, provider_id, "deleted")
        used = sa.select(allocation.c.consumer_id).where(allocation.c.provider_id == provider_id)
        if connection.scalar(used.limit(1)) is not None:
            raise Conflict(
                f"Unable to delete resource provider {provider_id}: Resource provider has "
                "allocations.",
                code=PROVIDER_IN_USE,
            )
        children = sa.select(resource_provider.c.id).where(
            resource_provider.c.parent_id == provider_id
        )
        if connection.scalar(children.limit(1)) is not None:
            raise Conflict(
                f"Unable to delete parent resource provider {provider_id}: It has child resource "
                "providers.",
                code=PARENT,
            )
        connection.execute(resource_provider.delete().where(resource_provider.c.id == provider_id))

    site.database.write(work)


def _owned(connection: sa.Connection, provider_id: str, done: str) -> sa.RowMapping:
    """The provider's row, if it is a client's to change."""
    row = provider_row(connection, provider_id)
    if row is None:
        raise NotFound(f"No resource provider with uuid {provider_id} found")
    if row["owner"] != "api":
        raise Conflict(
            f"resource provider {row['name']} follows its {row['owner']} and cannot be {done} here",
            hint="change device_spec or the host; providers that you create are yours, whole",
        )
    return row


# Inventories --------------------------------------------------------------------------------------


def list_inventories(site: Site, provider_id: str) -> tuple[Provider, Mapping[str, Inventory]]:
    provider = show_provider(site, provider_id)
    return provider, provider.inventories


def put_inventories(
    site: Site,
    provider_id: str,
    generation: int | None,
    wanted: Mapping[str, Inventory],
    *,
    only: str | None = None,
    new: bool = False,
) -> Provider:
    """Replace every inventory (or *only* one class) of a client's provider.

    With *new* the class must not be there yet. *generation* None does not check it.

    Raises:
        Conflict: stale generation, a class in use would go, or Lanekeeper owns the provider.
        NotFound: no such provider, or *only* is not there.
        Invalid: an unknown class, or more reserved than there is.
    """

    def work(connection: sa.Connection) -> None:
        row = _inventory_owner(connection, provider_id)
        for name, record in wanted.items():
            check_class(connection, name)
            check(name, record)
        have = inventories_load(connection, provider_id).get(provider_id, {})
        if only is not None and (only in have) == new:
            _refuse_one(provider_id, only, new=new)
        _at(row, generation)
        if only is None:
            _drop(connection, provider_id, have, set(have) - set(wanted))
        for name, record in wanted.items():
            inventory_write(connection, provider_id, name, _stored(record, site.clock()))
        _bump(connection, provider_id, row["generation"])

    site.database.write(work)
    return show_provider(site, provider_id)


def _refuse_one(provider_id: str, name: str, *, new: bool) -> None:
    if new:
        raise Conflict(
            f"Update conflict: inventory for {name} is already there on {provider_id}",
            code=CONCURRENT,
        )
    raise Invalid(f"No inventory record with resource class {name} on {provider_id}")


def delete_inventories(site: Site, provider_id: str, only: str | None = None) -> None:
    """Remove every inventory (or *only* one class) of a client's provider.

    Raises:
        Conflict: in use, or Lanekeeper owns the provider.
        NotFound: no such provider or class.
    """

    def work(connection: sa.Connection) -> None:
        row = _inventory_owner(connection, provider_id)
        have = inventories_load(connection, provider_id).get(provider_id, {})
        if only is not None and only not in have:
            raise NotFound(f"No inventory of class {only} found for delete")
        _drop(connection, provider_id, have, set(have) if only is None else {only})
        _bump(connection, provider_id, row["generation"])

    site.database.write(work)


def _inventory_owner(connection: sa.Connection, provider_id: str) -> sa.RowMapping:
    row = provider_row(connection, provider_id)
    if row is not None and row["owner"] == "host":
        raise Conflict(
            f"the inventory of {row['name']} is what its host reports",
            hint="cpu_allocation_ratio, ram_allocation_ratio, disk_allocation_ratio and "
            "reserved_host_memory_mb in the configuration change what may be used of it",
        )
    if row is not None and row["owner"] == "device":
        raise Conflict(
            f"the inventory of {row['name']} is counted from its devices",
            hint="device_spec decides which devices are listed",
        )
    return _owned(connection, provider_id, "changed")


def _drop(
    connection: sa.Connection, provider_id: str, have: Mapping[str, Inventory], names: set[str]
) -> None:
    in_use = sorted(name for name in names if have[name].used)
    if in_use:
        raise Conflict(
            f"Inventory for {', '.join(in_use)} on resource provider {provider_id} in use.",
            code=IN_USE,
        )
    inventory_delete(connection, provider_id, names)


def _stored(record: Inventory, now: datetime) -> dict[str, object]:
    return {
        "total": record.total,
        "reserved": record.reserved,
        "min_unit": record.min_unit,
        "max_unit": record.max_unit,
        "step_size": record.step_size,
        "allocation_ratio": record.allocation_ratio,
        "capacity": record.capacity,
        "updated_at": now,
    }


def _at(row: sa.RowMapping, generation: int | None) -> None:
    if generation is not None and generation != row["generation"]:
        raise Conflict(
            f"resource provider generation conflict: yours is {generation}, it is at "
            f"{row['generation']}",
            code=CONCURRENT,
        )


def _bump(connection: sa.Connection, provider_id: str, generation: int) -> None:
    if not generation_bump(connection, provider_id, generation):
        raise Conflict("resource provider generation conflict", code=CONCURRENT)


# Traits and aggregates ----------------------------------------------------------------------------


def put_traits(site: Site, provider_id: str, generation: int | None, traits: set[str]) -> Provider:
    """Make *traits* the provider's own; a host's may be added to, a device's follow its entry.

    Raises:
        Conflict: stale generation, or the provider's traits follow a device.
        Invalid: a trait that does not exist.
        NotFound: no such provider.
    """

    def work(connection: sa.Connection) -> None:
        row = _row(connection, provider_id)
        if row["owner"] == "device":
            raise Conflict(
                f"the traits of {row['name']} follow its device_spec entry",
                hint="name them there: traits=CUSTOM_A,CUSTOM_B",
            )
        unknown = sorted(name for name in traits if not trait_exists(connection, name))
        if unknown:
            raise Invalid(f"No such trait {', '.join(unknown)}.")
        _at(row, generation)
        if _replace(connection, provider_trait.c.trait, provider_id, traits):
            _bump(connection, provider_id, row["generation"])

    site.database.write(work)
    return show_provider(site, provider_id)


def put_aggregates(
    site: Site, provider_id: str, generation: int | None, aggregates: set[str]
) -> Provider:
    """Make *aggregates* those that the provider belongs to; *generation* None does not check it.

    Raises:
        Conflict: stale generation.
        NotFound: no such provider.
    """

    def work(connection: sa.Connection) -> None:
        row = _row(connection, provider_id)
        _at(row, generation)
        changed = _replace(connection, provider_aggregate.c.aggregate_id, provider_id, aggregates)
        if changed and generation is not None:
            _bump(connection, provider_id, row["generation"])

    site.database.write(work)
    return show_provider(site, provider_id)


def _row(connection: sa.Connection, provider_id: str) -> sa.RowMapping:
    row = provider_row(connection, provider_id)
    if row is None:
        raise NotFound(f"No resource provider with uuid {provider_id} found")
    return row


def _replace(
    connection: sa.Connection, column: sa.Column[str], provider_id: str, names: set[str]
) -> bool:
    """Make *names* the provider's; whether that changed anything."""
    table = column.table
    assert isinstance(table, sa.Table)
    mine = table.c.provider_id == provider_id
    if set(connection.scalars(sa.select(column).where(mine))) == names:
        return False
    connection.execute(table.delete().where(mine))
    if names:
        rows = [{"provider_id": provider_id, column.name: name} for name in sorted(names)]
        connection.execute(table.insert(), rows)
    return True
