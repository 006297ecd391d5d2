"""A host's devices in Placement: one provider a card, or one for each kind of its devices.

A provider's traits hold for all that it counts, or a query for some of it would be answered with
others. So where the traits of one card's devices differ, one-time-use among them, each kind has a
provider of its own below the card's, which then counts nothing itself. Classes are no reason: they
are several inventories of one provider.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from lanekeeper.control.host.bandwidth_provider import bandwidth_offers, provide_bandwidth
from lanekeeper.domain.pci.resource_class import networks_of, traits_of
from lanekeeper.protocol import DeviceFact, HostFacts
from lanekeeper.store.device.device import devices_provide
from lanekeeper.store.host.host import HostRecord
from lanekeeper.store.placement.host_provider import (
    HostProvider,
    device_provider_id,
    device_providers_retire,
    host_providers_hold,
    providers_ensure,
    providers_traits_set,
)
from lanekeeper.store.placement.namesake import provider_names


def provide(
    connection: sa.Connection,
    record: HostRecord,
    facts: HostFacts,
    ids: Mapping[str, str],
    now: datetime,
) -> None:
    """Give the host, each card that lists something, and each interface whose bandwidth is counted
    its providers and traits.
    """
    devices = facts.devices
    offers = list(_offers(record, devices, ids))
    carried = bandwidth_offers(connection, record, facts)
    wanted = {record.id: record.name} | {one.id: one.name for one in offers}
    wanted |= {one.id: one.name for one in carried}
    names = provider_names(connection, wanted)
    host_providers_hold(connection, record.id, names)
    root = HostProvider(id=record.id, name=names[record.id], parent_id=None, owner="host")
    providers_ensure(connection, record.id, [root], now)
    owners = {address: one.id for one in offers for address in one.addresses}
    # Before what they leave is looked at.
    devices_provide(connection, {ids[one.address]: owners.get(one.address) for one in devices})
    device_providers_retire(connection, record.id, names, now)
    below = [
        HostProvider(id=one.id, name=names[one.id], parent_id=one.parent_id, owner="device")
        for one in offers
    ]
    providers_ensure(connection, record.id, below, now)
    providers_traits_set(connection, {one.id: one.traits for one in offers})
    provide_bandwidth(connection, record, carried, names, now)


@dataclass(frozen=True, slots=True)
class _Offer:
    """A provider and the devices that it counts; parents come before what is below them."""

    id: str
    name: str
    parent_id: str
    traits: frozenset[str]
    addresses: tuple[str, ...]


def _offers(
    record: HostRecord, devices: list[DeviceFact], ids: Mapping[str, str]
) -> Iterator[_Offer]:
    """One provider a card, and below it one for each set of traits where its devices differ.

    Which network a card reaches is the card's, whoever of it serves that.
    """
    cards: dict[str, dict[frozenset[str], list[DeviceFact]]] = defaultdict(
        lambda: defaultdict(list)
    )
    for fact in devices:
        if fact.listed:
            traits = traits_of(fact.tags)
            cards[fact.parent or fact.address][traits - networks_of(traits)].append(fact)
    for address, kinds in sorted(cards.items()):
        card_id = device_provider_id(record.id, ids[address])
        name = f"{record.name}_{address.upper()}"
        every = [fact for facts in kinds.values() for fact in facts]
        networks = frozenset().union(*(networks_of(traits_of(fact.tags)) for fact in every))
        common = frozenset.intersection(*kinds) | networks
        if len(kinds) == 1:
            yield _Offer(card_id, name, record.id, common, _addresses(every))
            continue
        yield _Offer(card_id, name, record.id, common, ())
        for traits, facts in sorted(kinds.items(), key=lambda kind: sorted(kind[0])):
            id_ = device_provider_id(record.id, ids[address], traits)
            yield _Offer(id_, f"{name}_{id_[:8]}", card_id, traits | networks, _addresses(facts))


def _addresses(facts: Iterable[DeviceFact]) -> tuple[str, ...]:
    return tuple(fact.address for fact in facts)
