"""Moving inventories between providers together with what is held of them, at one stroke."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from lanekeeper.control.placement.allocation import hold, take
from lanekeeper.control.placement.consumer import ConsumerClaim
from lanekeeper.control.placement.inventory import drop_all_but, inventory_owner
from lanekeeper.control.placement.resource_name import check_classes
from lanekeeper.control.placement.resource_provider import CONCURRENT, RACE, bump
from lanekeeper.control.site import Site
from lanekeeper.domain.errors import Conflict, Invalid, NotFound
from lanekeeper.domain.placement.inventory import Inventory
from lanekeeper.domain.placement.listing import ProviderRow
from lanekeeper.store.placement.hold import classes_hold, generations_bump
from lanekeeper.store.placement.inventory import inventory_write

NO_PROVIDER = "placement.resource_provider.not_found"


@dataclass(frozen=True, slots=True)
class NewInventory:
    """What a provider is to have from now on; *generation* is where its writer saw it."""

    provider_id: str
    generation: int
    wanted: Mapping[str, Inventory]


def reshape(site: Site, stocks: Sequence[NewInventory], claims: Sequence[ConsumerClaim]) -> None:
    """Replace inventories and allocations in one transaction.

    In between every provider has what it had and what it is to have, so that neither order of
    things stands in the way of the other.

    Raises:
        Invalid: an unknown provider or class.
        Conflict: a generation is stale, a class in use would go, or an amount does not fit.
    """
    stocks = sorted(stocks, key=lambda stock: stock.provider_id)

    def work(connection: sa.Connection) -> None:
        classes_hold(connection)
        providers = [_provider(connection, stock) for stock in stocks]
        held = hold(connection, claims, site.clock(), [one.id for one in providers])
        for stock, provider in zip(stocks, providers, strict=True):
            bump(connection, provider, None)
            for name, record in sorted(stock.wanted.items()):
                inventory_write(connection, provider.id, name, record, site.clock())
        take(connection, held)
        generations_bump(connection, [stock.provider_id for stock in stocks if stock.wanted])
        for stock in stocks:
            drop_all_but(connection, stock.provider_id, stock.wanted)

    try:
        site.database.write(work)
    except IntegrityError as error:  # a consumer came into being meanwhile
        raise Conflict(f"update conflict: {RACE}", code=CONCURRENT) from error


def _provider(connection: sa.Connection, stock: NewInventory) -> ProviderRow:
    try:
        provider = inventory_owner(connection, stock.provider_id)
    except NotFound as error:
        raise Invalid(
            f"Resource provider {stock.provider_id} in inventories not found: {error}",
            code=NO_PROVIDER,
        ) from error
    if provider.generation != stock.generation:
        raise Conflict(
            f"resource provider generation conflict for provider {provider.id}: actual: "
            f"{provider.generation}, given: {stock.generation}",
            code=CONCURRENT,
        )
    check_classes(connection, stock.wanted, "malformed reshaper data")
    return provider
