"""A host's bandwidth in Placement: what its agent is configured with, on cards that are there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

import sqlalchemy as sa

from lanekeeper.domain.network.bandwidth import (
    BandwidthProvider,
    bandwidth_providers,
    interface_provider_id,
)
from lanekeeper.domain.network.mapping import Bandwidth, InventoryDefaults
from lanekeeper.domain.placement.inventory import Inventory
from lanekeeper.protocol import BandwidthFact, HostFacts
from lanekeeper.store.host.host import HostRecord
from lanekeeper.store.network.bandwidth import bandwidth_follow
from lanekeeper.store.placement.bandwidth_provider import (
    NO_BANDWIDTH,
    bandwidth_moved,
    bandwidth_providers_retire,
    bandwidth_providers_tie,
    bandwidth_providers_tied,
)
from lanekeeper.store.placement.host_provider import (
    HostInventory,
    HostProvider,
    inventory_ensure,
    providers_ensure,
    providers_traits_set,
)


def bandwidth_offers(
    connection: sa.Connection, record: HostRecord, facts: HostFacts
) -> list[BandwidthProvider]:
    """The providers that a host should have; of interfaces alone that are those of its cards.

    A card that a guest holds whole has lost its interface, and is what it was.
    """
    named = {fact.netdev for fact in facts.devices if fact.parent is None}
    tied = bandwidth_providers_tied(connection, record.id)
    told = {
        fact.interface: fact
        for fact in facts.bandwidths
        if fact.interface in named
        or tied.get(interface_provider_id(record.name, fact.interface), "") is None
    }
    if not told:
        return []
    return [
        provider
        for fact in told.values()
        for provider in bandwidth_providers(
            {record.name: record.id},
            {fact.interface: record.name},
            facts.mappings,
            {fact.interface: Bandwidth(fact.egress_kbps, fact.ingress_kbps)},
            _defaults(fact),
        )
    ]


def provide_bandwidth(
    connection: sa.Connection,
    record: HostRecord,
    offers: Sequence[BandwidthProvider],
    names: Mapping[str, str],
    now: datetime,
) -> None:
    """Give a host the providers of *offers*, and have what ports hold follow their cards."""
    below = {  # interfaces have the agent's provider in common
        one.id: HostProvider(
            id=one.id, name=names[one.id], parent_id=one.parent_id, owner="bandwidth"
        )
        for one in offers
    }
    providers_ensure(connection, record.id, [*below.values()], now)
    providers_traits_set(connection, {one.id: one.traits for one in offers})
    for one in offers:
        stocks = {name: _stock(told) for name, told in one.inventories.items()}
        inventory_ensure(connection, one.id, {**NO_BANDWIDTH, **stocks}, now)
    by_interface = {one.interface: one.id for one in offers if one.interface is not None}
    bandwidth_providers_tie(connection, record.id, by_interface)
    bandwidth_follow(connection, bandwidth_moved(connection, record.id), now)
    bandwidth_providers_retire(connection, record.id, {one.id for one in offers}, now)


def _defaults(fact: BandwidthFact) -> InventoryDefaults:
    return InventoryDefaults(
        allocation_ratio=fact.allocation_ratio,
        min_unit=fact.min_unit,
        step_size=fact.step_size,
        reserved=fact.reserved,
        max_unit=fact.max_unit,
    )


def _stock(told: Inventory) -> HostInventory:
    return HostInventory(
        told.total,
        told.reserved,
        told.allocation_ratio,
        told.min_unit,
        told.max_unit,
        told.step_size,
    )
