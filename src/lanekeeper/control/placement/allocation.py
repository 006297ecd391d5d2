"""Allocations that clients write: all or nothing, checked against what is really there."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from lanekeeper.control.placement.consumer import (
    CHANGED,
    ConsumerClaim,
    check_foreign,
    consumer_hold,
    consumers_known,
    generation_conflict,
)
from lanekeeper.control.placement.resource_name import check_classes
from lanekeeper.control.placement.resource_provider import CONCURRENT
from lanekeeper.control.site import Site
from lanekeeper.domain.errors import Conflict, Invalid, NotFound
from lanekeeper.domain.placement.allocation import Allocation
from lanekeeper.store.placement.allocation import (
    ProviderInventory,
    allocations_delete,
    allocations_insert,
    provider_ids_held_of,
    provider_inventories_load,
    use_change,
)
from lanekeeper.store.placement.consumer import (
    ConsumerRow,
    consumer_drop,
    servers_among,
)
from lanekeeper.store.placement.first_claim import first_claim
from lanekeeper.store.placement.hold import generations_bump, providers_hold

_REFUSED = "Unable to allocate inventory: "


def put_allocations(site: Site, claims: Sequence[ConsumerClaim]) -> None:
    """Replace what each consumer holds, all of them in one transaction.

    Raises:
        Invalid: unknown provider or class.
        Conflict: a generation is stale, an amount does not fit, or the consumer or the provider's
            class is one that Lanekeeper keeps itself; or another request came in between.
    """

    def work(connection: sa.Connection) -> None:
        replace(connection, claims, site.clock())

    try:
        site.database.write(work)
    except IntegrityError as error:  # the other one has made the consumer or its lines meanwhile
        raise Conflict(CHANGED, code=CONCURRENT) from error


def delete_allocations(site: Site, consumer_id: str) -> None:
    """Give back all that a consumer holds.

    Raises:
        NotFound: it holds nothing.
        Conflict: it is a server of Lanekeeper's.
    """

    def work(connection: sa.Connection) -> None:
        check_foreign(servers_among(connection, [consumer_id]))
        if not consumer_drop(connection, consumer_id):
            raise NotFound(f"No allocations for consumer '{consumer_id[:255]}'")
        providers_hold(connection, provider_ids_held_of(connection, [consumer_id]))
        given = allocations_delete(connection, [consumer_id])
        use_change(
            connection, {(line.provider_id, line.resource_class): -line.amount for line in given}
        )

    site.database.write(work)


def replace(connection: sa.Connection, claims: Sequence[ConsumerClaim], now: datetime) -> None:
    """Replace what each consumer holds. Raises as ``put_allocations``."""
    if len(claims) == 1 and claims[0].is_first:
        _take_first(connection, claims[0], now)
        return
    take(connection, hold(connection, claims, now))


@dataclass(frozen=True, slots=True)
class HeldClaims:
    """Claims whose consumers and providers are held until the commit.

    Attributes:
        before: consumers that hold something now.
        emptied: those of them that are to hold nothing.
    """

    after: Sequence[Allocation]
    before: frozenset[str]
    emptied: frozenset[str]


def hold(
    connection: sa.Connection,
    claims: Sequence[ConsumerClaim],
    now: datetime,
    provider_ids: Collection[str] = (),
) -> HeldClaims:
    """Hold the consumers, then the providers of all that they hold and want, and *provider_ids*.

    What is read after that stays true until the commit. Raises as ``put_allocations``.
    """
    claims = sorted(claims, key=lambda claim: claim.consumer_id)
    known = consumers_known(connection, [claim.consumer_id for claim in claims])
    for claim in claims:
        consumer_hold(connection, known.get(claim.consumer_id), claim, now)
    after = [line for claim in claims for line in claim.lines()]
    others = provider_ids_held_of(connection, known) | set(provider_ids)
    if others:  # else the generations that are moved hold all that there is to hold
        providers_hold(connection, others | {line.provider_id for line in after})
    emptied = frozenset(claim.consumer_id for claim in claims if not claim.amounts)
    return HeldClaims(after, frozenset(known), emptied)


def take(connection: sa.Connection, held: HeldClaims) -> None:
    """Give back what they hold and take what they want. Raises as ``put_allocations``."""
    before = allocations_delete(connection, held.before)
    touched = {line.provider_id for line in held.after}
    touched |= {line.provider_id for line in before if line.consumer_id in held.emptied}
    generations_bump(connection, touched)
    providers = provider_inventories_load(connection, {line.provider_id for line in held.after})
    for line in held.after:
        _check_line(connection, providers, line)
    _take(connection, providers, before, held.after)
    allocations_insert(connection, held.after)


def _take_first(connection: sa.Connection, claim: ConsumerClaim, now: datetime) -> None:
    """Do the same for one claim of a new consumer, all at once, and judge it afterwards."""
    row = ConsumerRow(
        id=claim.consumer_id,
        project_id=claim.project_id,
        user_id=claim.user_id,
        kind=claim.kind,
        generation=1,
        updated_at=now,
    )
    lines = claim.lines()
    found = first_claim(connection, row, lines)
    check_foreign({} if found.server is None else {claim.consumer_id: found.server})
    if found.generation is not None:
        raise generation_conflict(found.generation, None)
    if len(found.outcomes.done) > 1:  # the consumer is made, so what was read of providers counts
        for line in lines:
            _check_line(connection, found.providers, line)
        _check_room(found.providers, lines)
    found.outcomes.check()
    if found.changed != len(lines):
        raise Conflict(CHANGED, code=CONCURRENT)


def _check_line(
    connection: sa.Connection, providers: Mapping[str, ProviderInventory], line: Allocation
) -> None:
    """Refuse what a provider cannot give at all; whether it is free is for the write to say."""
    provider, name = providers.get(line.provider_id), line.resource_class
    if provider is None:
        raise Invalid(f"Allocation for resource provider '{line.provider_id}' that does not exist.")
    if provider.owner == "device":
        raise Conflict(
            f"what is held of {provider.name} follows servers and ports",
            hint="ask for the device with a flavor's alias or with a port",
        )
    if provider.owner == "bandwidth":
        raise Conflict(
            f"what is held of {provider.name} follows ports",
            hint="give a port a QoS policy with a minimum_bandwidth rule",
        )
    stock = provider.stocks.get(name)
    if stock is None:
        check_classes(
            connection,
            [name],
            f"Unable to allocate inventory for consumer {line.consumer_id}",
        )
        raise Conflict(
            f"{_REFUSED}Inventory for '{name}' on resource provider '{line.provider_id}' invalid."
        )
    if refusal := stock.misfit(line.amount):
        raise Conflict(
            f"{_REFUSED}Unable to create allocation for '{name}' on resource provider "
            f"'{line.provider_id}'. The requested amount would violate inventory constraints: "
            f"{refusal}."
        )


def _take(
    connection: sa.Connection,
    providers: Mapping[str, ProviderInventory],
    before: Sequence[Allocation],
    after: Sequence[Allocation],
) -> None:
    changes: dict[tuple[str, str], int] = defaultdict(int)
    for line in before:
        changes[line.provider_id, line.resource_class] -= line.amount
    for line in after:
        changes[line.provider_id, line.resource_class] += line.amount
    _check_room(
        providers,
        [Allocation("", *place, change) for place, change in changes.items() if change > 0],
    )
    if not use_change(connection, changes):
        raise Conflict(CHANGED, code=CONCURRENT)


def _check_room(providers: Mapping[str, ProviderInventory], more: Sequence[Allocation]) -> None:
    """Say what is short, and how much is left of it, for the write says only that something is."""
    for line in sorted(more, key=lambda line: (line.provider_id, line.resource_class)):
        stock = providers[line.provider_id].stocks[line.resource_class]
        if stock.used + line.amount > stock.capacity:
            free = max(stock.capacity - stock.used, 0)
            raise _full(
                line.resource_class,
                line.provider_id,
                f"{line.amount} asked, {free} of {stock.capacity} free",
            )


def _full(name: str, provider_id: str, why: str) -> Conflict:
    return Conflict(
        f"{_REFUSED}Unable to create allocation for '{name}' on resource provider "
        f"'{provider_id}'. The requested amount would exceed the capacity: {why}."
    )
