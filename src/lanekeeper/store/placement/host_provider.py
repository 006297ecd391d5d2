"""Resource providers that hosts and devices own; what clients make themselves is theirs, whole."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from lanekeeper.store.placement.hold import providers_hold, trees_hold
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


def provider_ensure(
    connection: sa.Connection,
    provider_id: str,
    *,
    name: str,
    parent_id: str | None,
    owner: str,
    host_id: str,
    now: datetime,
) -> None:
    """Make the provider, or rename it where the name has changed."""
    row = connection.execute(
        sa.select(resource_provider.c.name).where(resource_provider.c.id == provider_id)
    ).one_or_none()
    if row is None:
        connection.execute(
            resource_provider.insert().values(
                id=provider_id,
                name=name,
                parent_id=parent_id,
                root_id=host_id,
                owner=owner,
                host_id=host_id,
                updated_at=now,
            )
        )
    elif row.name != name:
        connection.execute(
            resource_provider.update()
            .where(resource_provider.c.id == provider_id)
            .values(name=name, updated_at=now)
        )


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


def provider_traits_set(connection: sa.Connection, provider_id: str, traits: set[str]) -> None:
    """Make *traits* the provider's; the generation grows only where something changed."""
    have = set(
        connection.scalars(
            sa.select(provider_trait.c.trait).where(provider_trait.c.provider_id == provider_id)
        )
    )
    if have == traits:
        return
    connection.execute(provider_trait.delete().where(provider_trait.c.provider_id == provider_id))
    if traits:
        connection.execute(
            provider_trait.insert(),
            [{"provider_id": provider_id, "trait": trait} for trait in sorted(traits)],
        )
    provider_touch(connection, provider_id)


def provider_touch(connection: sa.Connection, provider_id: str) -> None:
    connection.execute(
        resource_provider.update()
        .where(resource_provider.c.id == provider_id)
        .values(generation=resource_provider.c.generation + 1)
    )


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
        if stock.total == 0 and row is not None:
            values |= {"total": row["total"], "reserved": row["total"], "max_unit": row["total"]}
        if stock.total == 0 and (row is None or not row["used"]):
            if row is None:
                continue
            connection.execute(
                inventory.delete().where(
                    inventory.c.provider_id == provider_id, inventory.c.resource_class == name
                )
            )
        elif row is None:
            connection.execute(
                inventory.insert().values(
                    provider_id=provider_id, resource_class=name, updated_at=now, **values
                )
            )
        elif any(row[key] != value for key, value in values.items()):
            connection.execute(
                inventory.update()
                .where(inventory.c.provider_id == provider_id, inventory.c.resource_class == name)
                .values(updated_at=now, **values)
            )
        else:
            continue
        changed = True
    if changed:
        provider_touch(connection, provider_id)
