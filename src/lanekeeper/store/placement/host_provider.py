"""Resource providers that hosts and devices own; what clients make themselves is theirs, whole."""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from lanekeeper.store.batch import batches
from lanekeeper.store.placement.hold import generations_bump, providers_hold, trees_hold
from lanekeeper.store.placement.namesake import named_apart
from lanekeeper.store.tables import (
    allocation,
    claim,
    device,
    inventory,
    provider_trait,
    resource_provider,
)


@dataclass(frozen=True, slots=True)
class HostInventory:
    """One inventory of a host: ``capacity = int((total - reserved) * ratio)``.

    Attributes:
        max_unit: None for *total*.
    """

    total: int
    reserved: int = 0
    ratio: float = 1.0
    min_unit: int = 1
    max_unit: int | None = None
    step_size: int = 1

    @property
    def capacity(self) -> int:
        return int((self.total - self.reserved) * self.ratio)


def device_provider_id(host_id: str, device_id: str, traits: Collection[str] = ()) -> str:
    """Id of a PF's (or plain device's) provider: it follows the device, not its address.

    With *traits*, of the provider below it for those of its VFs that have these.
    """
    return str(uuid.uuid5(uuid.UUID(host_id), " ".join((device_id, *sorted(traits)))))


@dataclass(frozen=True, slots=True, kw_only=True)
class HostProvider:
    """A provider that a host, or one of its devices, is to have; *owner* says which of them."""

    id: str
    name: str
    parent_id: str | None
    owner: str


def providers_ensure(
    connection: sa.Connection, host_id: str, wanted: Sequence[HostProvider], now: datetime
) -> None:
    """Make a host's providers, parents before what is below them, or rename what is there."""
    names = _names(connection, [one.id for one in wanted])
    new = [
        {
            "id": one.id,
            "name": one.name,
            "parent_id": one.parent_id,
            "root_id": host_id,
            "owner": one.owner,
            "host_id": host_id,
            "updated_at": now,
        }
        for one in wanted
        if one.id not in names
    ]
    if new:
        connection.execute(resource_provider.insert(), new)
    for one in wanted:
        if names.get(one.id, one.name) != one.name:
            connection.execute(
                resource_provider.update()
                .where(resource_provider.c.id == one.id)
                .values(name=one.name, updated_at=now)
            )


def _names(connection: sa.Connection, provider_ids: Collection[str]) -> dict[str, str]:
    columns = sa.select(resource_provider.c.id, resource_provider.c.name)
    return {
        row.id: row.name
        for some in batches(provider_ids)
        for row in connection.execute(columns.where(resource_provider.c.id.in_(some)))
    }


def host_providers_hold(connection: sa.Connection, host_id: str, wanted: Mapping[str, str]) -> None:
    """Hold what a host has, to make it *wanted* (id to name); the trees where that changes them."""
    rows = connection.execute(
        sa.select(resource_provider.c.id, resource_provider.c.name).where(
            resource_provider.c.host_id == host_id
        )
    ).all()
    if any(wanted.get(row.id) != row.name for row in rows):
        trees_hold(connection)
    providers_hold(connection, [row.id for row in rows])


def host_tree_hold(connection: sa.Connection, host_id: str) -> None:
    """Hold a host's providers with all that clients have hung below them, to remove them."""
    trees_hold(connection)
    mine = sa.select(resource_provider.c.id).where(resource_provider.c.root_id == host_id)
    providers_hold(connection, connection.scalars(mine).all())


def device_providers_retire(
    connection: sa.Connection,
    host_id: str,
    wanted: Mapping[str, str],
    now: datetime,
) -> None:
    """Remove providers of devices of *host_id* that are not *wanted* (id to name).

    What nobody refers to goes. What a guest holds is kept, under its name, too: a device that no
    entry lists any more is where it was. Only a name that another one is to have is taken away:
    its provider is called ``NAME#<first 8 characters of its id>`` until it gets its own. Whoever
    calls this has called ``host_providers_hold``, so that nobody comes to refer to one meanwhile.
    """
    owners = {name: id_ for id_, name in wanted.items()}
    rows = connection.execute(
        sa.select(resource_provider.c.id, resource_provider.c.name)
        .where(resource_provider.c.host_id == host_id, resource_provider.c.owner == "device")
        # What is below a card's provider goes before that.
        .order_by(resource_provider.c.parent_id == host_id)
    ).all()
    for row in rows:
        mine = resource_provider.c.id == row.id
        if row.id not in wanted and not _is_referred_to(connection, row.id):
            connection.execute(
                device.update().where(device.c.provider_id == row.id).values(provider_id=None)
            )
            connection.execute(resource_provider.delete().where(mine))
        elif owners.get(row.name, row.id) != row.id:
            _rename(connection, row.id, row.name, now)


def _rename(connection: sa.Connection, provider_id: str, name: str, now: datetime) -> None:
    if not name.endswith(named_apart("", provider_id)):
        mine = resource_provider.update().where(resource_provider.c.id == provider_id)
        apart = named_apart(name, provider_id)
        connection.execute(mine.values(name=apart, updated_at=now))


def _is_referred_to(connection: sa.Connection, provider_id: str) -> bool:
    """Whether a server holds one of its devices, or a client has put something on it."""
    held = (
        sa.select(claim.c.device_id)
        .join(device, device.c.id == claim.c.device_id)
        .where(device.c.provider_id == provider_id)
    )
    below = sa.select(resource_provider.c.id).where(resource_provider.c.parent_id == provider_id)
    own = (
        sa.select(table.c.provider_id).where(table.c.provider_id == provider_id)
        for table in (allocation, inventory)
    )
    return any(connection.execute(one.limit(1)).first() for one in (held, below, *own))


def providers_traits_set(connection: sa.Connection, wanted: Mapping[str, Collection[str]]) -> None:
    """Make these the traits of each provider (by id); a generation grows only where it changes."""
    have: dict[str, set[str]] = defaultdict(set)
    for some in batches(wanted):
        found = sa.select(provider_trait).where(provider_trait.c.provider_id.in_(some))
        for row in connection.execute(found):
            have[row.provider_id].add(row.trait)
    changed = [id_ for id_, traits in wanted.items() if have[id_] != set(traits)]
    for some in batches(id_ for id_ in changed if have[id_]):
        connection.execute(provider_trait.delete().where(provider_trait.c.provider_id.in_(some)))
    rows = [
        {"provider_id": id_, "trait": trait} for id_ in changed for trait in sorted(wanted[id_])
    ]
    if rows:
        connection.execute(provider_trait.insert(), rows)
    generations_bump(connection, changed)


def inventory_ensure(
    connection: sa.Connection, provider_id: str, stocks: Mapping[str, HostInventory], now: datetime
) -> None:
    """Set total, reserved, ratio and capacity of a host's own classes; use is left alone.

    A class of which there is nothing has no inventory, or one that gives nothing more while some
    of it is used.
    """
    rows = connection.execute(
        sa.select(inventory).where(inventory.c.provider_id == provider_id)
    ).mappings()
    have = {row["resource_class"]: row for row in rows}
    new: list[dict[str, object]] = []
    changed = False
    for name, stock in sorted(stocks.items()):
        values = {
            "total": stock.total,
            "reserved": stock.reserved,
            "allocation_ratio": stock.ratio,
            "capacity": stock.capacity,
            "min_unit": stock.min_unit,
            "max_unit": stock.total if stock.max_unit is None else stock.max_unit,
            "step_size": stock.step_size,
        }
        row = have.get(name)
        mine = (inventory.c.provider_id == provider_id, inventory.c.resource_class == name)
        if stock.total == 0 and row is not None:
            values |= {"total": row["total"], "reserved": row["total"], "max_unit": row["total"]}
        if stock.total == 0 and (row is None or not row["used"]):
            if row is None:
                continue
            connection.execute(inventory.delete().where(*mine))
        elif row is None:
            new.append(
                {"provider_id": provider_id, "resource_class": name, "updated_at": now, **values}
            )
        elif any(row[key] != value for key, value in values.items()):
            connection.execute(inventory.update().where(*mine).values(updated_at=now, **values))
        else:
            continue
        changed = True
    if new:
        connection.execute(inventory.insert(), new)
    if changed:
        generations_bump(connection, [provider_id])
