"""Who holds what, as clients ask for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from lanekeeper.control.placement.resource_provider import existing
from lanekeeper.control.site import Site
from lanekeeper.domain.placement.allocation import Allocation
from lanekeeper.domain.placement.listing import ProviderRow
from lanekeeper.store.placement.allocation_view import allocations_load
from lanekeeper.store.placement.consumer import ConsumerRow, consumers_find
from lanekeeper.store.placement.resource_provider import generations_of


@dataclass(frozen=True, slots=True)
class ConsumerView:
    """What a consumer holds; *row* is None for one that holds nothing."""

    row: ConsumerRow | None
    taken: tuple[Allocation, ...]
    provider_generations: Mapping[str, int]


def show_consumer(site: Site, consumer_id: str) -> ConsumerView:
    with site.database.read() as connection:
        taken = tuple(allocations_load(connection, consumer_id=consumer_id))
        generations = generations_of(connection, {line.provider_id for line in taken})
        row = consumers_find(connection, [consumer_id]).get(consumer_id)
    return ConsumerView(row, taken, generations)


@dataclass(frozen=True, slots=True)
class ProviderView:
    """Who holds what of one provider."""

    provider: ProviderRow
    taken: tuple[Allocation, ...]
    consumers: Mapping[str, ConsumerRow]


def list_provider_allocations(site: Site, provider_id: str) -> ProviderView:
    """Who holds what of a provider.

    Raises:
        NotFound: no such provider.
    """
    with site.database.read() as connection:
        provider = existing(connection, provider_id)
        taken = tuple(allocations_load(connection, provider_id=provider_id))
        consumers = consumers_find(connection, {line.consumer_id for line in taken})
    return ProviderView(provider, taken, consumers)
