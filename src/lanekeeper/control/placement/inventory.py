"""What resource providers have: read for all of them, written for those of clients."""

from __future__ import annotations

from collections.abc import Mapping

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from lanekeeper.control.host.device_reserve import reserve_inventories
from lanekeeper.control.placement.resource_name import (
    STANDARD_CLASSES,
    check_classes,
    unknown_classes,
)
from lanekeeper.control.placement.resource_provider import (
    CONCURRENT,
    RACE,
    bump,
    existing,
    owned,
)
from lanekeeper.control.site import Site
from lanekeeper.domain.errors import Conflict, Invalid, NotFound
from lanekeeper.domain.placement.inventory import Inventory
from lanekeeper.domain.placement.listing import ProviderRow
from lanekeeper.store.device.history import Actor
from lanekeeper.store.placement.hold import classes_hold
from lanekeeper.store.placement.inventory import (
    InventoryRecord,
    inventories_delete,
    inventories_of,
    inventory_write,
)

_LISTED = "device_spec decides which devices are listed; of what is there reserved alone may be set"
IN_USE = "placement.inventory.inuse"


def list_inventories(
    site: Site, provider_id: str
) -> tuple[ProviderRow, Mapping[str, InventoryRecord]]:
    """A provider and what it has, by class.

    Raises:
        NotFound: no such provider.
    """
    with site.database.read() as connection:
        return existing(connection, provider_id), inventories_of(connection, provider_id)


def put_inventories(
    site: Site,
    provider_id: str,
    generation: int,
    wanted: Mapping[str, Inventory],
    *,
    by: Actor | None = None,
) -> int:
    """Replace every inventory of a client's provider; returns its new generation.

    Of a device's provider *reserved* alone may differ (``control.host.device_reserve``).

    Raises:
        Conflict: stale generation, a class in use would go, or Lanekeeper owns the provider.
        NotFound: no such provider.
        Invalid: an unknown class.
    """

    def work(connection: sa.Connection) -> int:
        if existing(connection, provider_id).owner == "device":
            return reserve_inventories(
                connection, provider_id, generation, wanted, site.clock(), whole=True, by=by
            )
        provider = inventory_owner(connection, provider_id)
        classes_hold(connection)
        check_classes(
            connection,
            wanted,
            f"Unknown resource class in inventory for resource provider {provider_id}",
        )
        moved = bump(connection, provider, generation)
        drop_all_but(connection, provider_id, wanted)
        for name, record in sorted(wanted.items()):
            inventory_write(connection, provider_id, name, record, site.clock())
        return moved

    return site.database.write(work)


def add_inventory(site: Site, provider_id: str, name: str, record: Inventory) -> int:
    """Add one class that the provider has not yet; returns the provider's new generation.

    Raises:
        Conflict: it has it, or Lanekeeper owns the provider.
        NotFound: no such provider.
        Invalid: an unknown class.
    """

    def work(connection: sa.Connection) -> int:
        provider = inventory_owner(connection, provider_id)
        classes_hold(connection)
        check_classes(
            connection, [name], f"Unable to create inventory for resource provider {provider_id}"
        )
        moved = bump(connection, provider, None)
        if name in inventories_of(connection, provider_id):
            raise Conflict(
                f"Update conflict: inventory for {name} is already there on {provider_id}",
                code=CONCURRENT,
            )
        inventory_write(connection, provider_id, name, record, site.clock())
        return moved

    try:
        return site.database.write(work)
    except IntegrityError as error:
        raise Conflict(f"Update conflict: {RACE}", code=CONCURRENT) from error


def change_inventory(
    site: Site,
    provider_id: str,
    generation: int,
    name: str,
    record: Inventory,
    *,
    by: Actor | None = None,
) -> int:
    """Replace one class that the provider has; returns the provider's new generation.

    Of a device's provider *reserved* alone may differ (``control.host.device_reserve``).

    Raises:
        Conflict: stale generation, or Lanekeeper owns the provider.
        NotFound: no such provider, or no such class at all.
        Invalid: the provider has none of it.
    """

    def work(connection: sa.Connection) -> int:
        if existing(connection, provider_id).owner == "device":
            return reserve_inventories(
                connection, provider_id, generation, {name: record}, site.clock(), by=by
            )
        provider = inventory_owner(connection, provider_id)
        classes_hold(connection)
        moved = bump(connection, provider, generation)
        if unknown_classes(connection, [name]):
            raise NotFound(f"No such resource class {name[:255]}.")
        if name not in inventories_of(connection, provider_id):
            raise Invalid(
                "No inventory record with resource class for resource provider "
                f"{provider_id}: No inventory of class {name} found."
            )
        inventory_write(connection, provider_id, name, record, site.clock())
        return moved

    return site.database.write(work)


def delete_inventories(site: Site, provider_id: str) -> None:
    """Remove every inventory of a client's provider.

    Raises:
        Conflict: in use, or Lanekeeper owns the provider.
        NotFound: no such provider.
    """

    def work(connection: sa.Connection) -> None:
        bump(connection, inventory_owner(connection, provider_id), None)
        drop_all_but(connection, provider_id, {})

    site.database.write(work)


def delete_inventory(site: Site, provider_id: str, name: str) -> None:
    """Remove one inventory of a client's provider.

    Raises:
        Conflict: in use, or Lanekeeper owns the provider.
        NotFound: no such provider or class.
    """

    def work(connection: sa.Connection) -> None:
        bump(connection, inventory_owner(connection, provider_id), None)
        if name not in inventories_of(connection, provider_id):
            raise NotFound(
                f"No inventory of class {name[:255]} found for delete: No inventory of class "
                f"{name[:255]} found for delete"
            )
        if inventories_delete(connection, provider_id, [name]):
            raise Conflict(
                f"Unable to delete inventory of class {name}: {_in_use(provider_id, [name])}",
                code=CONCURRENT,  # sic: the code of Placement's own answer
            )

    site.database.write(work)


def drop_all_but(
    connection: sa.Connection, provider_id: str, wanted: Mapping[str, Inventory]
) -> None:
    """Remove the provider's inventories of other classes than *wanted*.

    Raises:
        Conflict: some of them are in use.
    """
    have = inventories_of(connection, provider_id)
    if kept := inventories_delete(connection, provider_id, set(have) - set(wanted)):
        raise Conflict(f"update conflict: {_in_use(provider_id, kept)}", code=IN_USE)


def _in_use(provider_id: str, names: list[str]) -> str:
    """Nova looks for this sentence."""
    place = {name: number for number, name in enumerate(STANDARD_CLASSES)}
    ordered = ", ".join(sorted(names, key=lambda name: (place.get(name, len(place)), name)))
    return f"Inventory for '{ordered}' on resource provider '{provider_id}' in use."


def inventory_owner(connection: sa.Connection, provider_id: str) -> ProviderRow:
    """Find a provider whose inventory is a client's to change.

    Raises:
        NotFound: it is not there.
        Conflict: its inventory is what a host reports, or is counted from devices.
    """
    provider = existing(connection, provider_id)
    if provider.owner == "host":
        raise Conflict(
            f"the inventory of {provider.name} is what its host reports",
            hint="cpu_allocation_ratio, ram_allocation_ratio, disk_allocation_ratio and "
            "reserved_host_memory_mb in the configuration change what may be used of it",
        )
    if provider.owner == "device":
        raise Conflict(
            f"the inventory of {provider.name} is counted from its devices",
            hint=_LISTED,
        )
    if provider.owner == "bandwidth":
        raise Conflict(
            f"the inventory of {provider.name} is what its host's agent is configured with",
            hint="[sriov_nic] resource_provider_bandwidths and resource_provider_inventory_defaults"
            " of that host change it",
        )
    return owned(connection, provider_id, "changed")
