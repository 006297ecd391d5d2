"""Allocations that clients write: all or nothing, checked against what is really there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from lanekeeper.control.placement.resource_name import class_exists
from lanekeeper.control.placement.resource_provider import CONCURRENT
from lanekeeper.control.site import Site
from lanekeeper.domain.errors import Conflict, Invalid, NotFound
from lanekeeper.domain.placement.allocation import Taken
from lanekeeper.store.placement.allocation import allocation_drop, allocation_take
from lanekeeper.store.placement.forest import (
    consumer_row,
    consumer_rows,
    inventories_load,
    provider_row,
    taken_load,
)
from lanekeeper.store.tables import consumer, server

UNKNOWN_TYPE = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsumerClaim:
    """What one consumer is to hold from now on, in place of all that it held.

    Attributes:
        amounts: provider id to class to units; empty gives everything back.
        generation: ``(None,)`` for a new consumer, ``(n,)`` for one at n, None does not check.
        kind: consumer type; None leaves it unset.
    """

    consumer_id: str
    amounts: Mapping[str, Mapping[str, int]]
    project_id: str
    user_id: str
    generation: tuple[int | None] | None = None
    kind: str | None = None


@dataclass(frozen=True, slots=True)
class ConsumerView:
    """What a consumer holds; *row* is None for one that holds nothing."""

    row: sa.RowMapping | None
    taken: tuple[Taken, ...]
    provider_generations: Mapping[str, int]


def show_consumer(site: Site, consumer_id: str) -> ConsumerView:
    with site.database.read() as connection:
        taken = tuple(taken_load(connection, consumer_id=consumer_id))
        generations = {t.provider_id: _generation(connection, t.provider_id) for t in taken}
        return ConsumerView(consumer_row(connection, consumer_id), taken, generations)


def _generation(connection: sa.Connection, provider_id: str) -> int:
    row = provider_row(connection, provider_id)
    return 0 if row is None else int(row["generation"])


def put_allocations(site: Site, claims: Sequence[ConsumerClaim]) -> None:
    """Replace what each consumer holds, all of them in one transaction.

    Raises:
        Invalid: unknown provider or class.
        Conflict: a generation is stale, an amount does not fit, or the consumer or the provider's
            class is one that Lanekeeper keeps itself; or another request came in between.
    """

    def work(connection: sa.Connection) -> None:
        for claim in sorted(claims, key=lambda claim: claim.consumer_id):
            _replace(connection, claim, site)

    try:
        site.database.write(work)
    except IntegrityError as error:  # the other one has made the consumer or its lines meanwhile
        raise Conflict(
            "another request changed what these consumers hold at this moment", code=CONCURRENT
        ) from error


def delete_allocations(site: Site, consumer_id: str) -> None:
    """Give back all that a consumer holds.

    Raises:
        NotFound: it holds nothing.
        Conflict: it is a server of Lanekeeper's.
    """

    def work(connection: sa.Connection) -> None:
        _foreign(connection, consumer_id)
        if not taken_load(connection, consumer_id=consumer_id):
            raise NotFound(f"No allocations for consumer '{consumer_id}'")
        allocation_drop(connection, consumer_id)
        connection.execute(consumer.delete().where(consumer.c.id == consumer_id))

    site.database.write(work)


def _replace(connection: sa.Connection, claim: ConsumerClaim, site: Site) -> None:
    _foreign(connection, claim.consumer_id)
    row = consumer_row(connection, claim.consumer_id)
    _check_generation(row, claim)
    allocation_drop(connection, claim.consumer_id)
    if not claim.amounts:
        connection.execute(consumer.delete().where(consumer.c.id == claim.consumer_id))
        return
    for provider_id, amounts in sorted(claim.amounts.items()):
        _check(connection, provider_id, amounts)
        allocation_take(connection, claim.consumer_id, provider_id, amounts)
    _note_consumer(connection, row, claim, site)


def _foreign(connection: sa.Connection, consumer_id: str) -> None:
    mine = sa.select(server.c.name).where(server.c.id == consumer_id)
    name = connection.scalar(mine)
    if name is not None:
        raise Conflict(
            f"consumer {consumer_id} is server {name}; what it holds follows the server",
            hint="delete or resize the server through Compute",
        )


def _check_generation(row: sa.RowMapping | None, claim: ConsumerClaim) -> None:
    if claim.generation is None:
        return
    (expected,) = claim.generation
    actual = None if row is None else row["generation"]
    if expected != actual:
        raise Conflict(
            f"consumer generation conflict - expected {actual} but got {expected}",
            code=CONCURRENT,
        )


def _check(connection: sa.Connection, provider_id: str, amounts: Mapping[str, int]) -> None:
    row = provider_row(connection, provider_id)
    if row is None:
        raise Invalid(f"Allocation for resource provider '{provider_id}' that does not exist.")
    if row["owner"] == "device":
        raise Conflict(
            f"what is held of {row['name']} follows servers and ports",
            hint="ask for the device with a flavor's alias or with a port",
        )
    have = inventories_load(connection, provider_id).get(provider_id, {})
    for name, amount in amounts.items():
        if not class_exists(connection, name):
            raise Invalid(f"No such resource class {name}")
        if name not in have:
            raise Conflict(
                f"Unable to allocate inventory: {name} is not in the inventory of {provider_id}"
            )
        if refusal := have[name].refuses(amount):
            raise Conflict(f"Unable to allocate inventory: {name} on {provider_id}: {refusal}")


def _note_consumer(
    connection: sa.Connection, row: sa.RowMapping | None, claim: ConsumerClaim, site: Site
) -> None:
    values = {
        "project_id": claim.project_id,
        "user_id": claim.user_id,
        "updated_at": site.clock(),
    }
    if claim.kind is not None:
        values["type"] = claim.kind
    if row is None:
        connection.execute(consumer.insert().values(id=claim.consumer_id, generation=1, **values))
        return
    moved = connection.execute(
        consumer.update()
        .where(consumer.c.id == claim.consumer_id, consumer.c.generation == row["generation"])
        .values(generation=row["generation"] + 1, **values)
    )
    if moved.rowcount != 1:
        raise Conflict("consumer generation conflict", code=CONCURRENT)


@dataclass(frozen=True, slots=True)
class ProviderView:
    """Who holds what of one provider."""

    provider_generation: int
    taken: tuple[Taken, ...]
    consumer_generations: Mapping[str, int]


def list_provider_allocations(site: Site, provider_id: str) -> ProviderView:
    """Who holds what of a provider.

    Raises:
        NotFound: no such provider.
    """
    with site.database.read() as connection:
        row = provider_row(connection, provider_id)
        if row is None:
            raise NotFound(f"No resource provider with uuid {provider_id} found")
        taken = tuple(taken_load(connection, provider_id=provider_id))
        holders = {line.consumer_id: consumer_row(connection, line.consumer_id) for line in taken}
    generations = {id_: holder["generation"] for id_, holder in holders.items() if holder}
    return ProviderView(row["generation"], taken, generations)


@dataclass(frozen=True, slots=True)
class Usage:
    """What consumers of a project hold: (consumer id, its type, class, units) each."""

    lines: tuple[tuple[str, str, str, int], ...]

    def kinds(self) -> list[str]:
        return sorted({kind for _, kind, _, _ in self.lines})

    def total(self, of_kind: str | None = None) -> dict[str, int]:
        amounts: dict[str, int] = {}
        for _, kind, name, amount in self.lines:
            if of_kind in (None, kind):
                amounts[name] = amounts.get(name, 0) + amount
        return amounts

    def count(self, of_kind: str | None = None) -> int:
        return len({line[0] for line in self.lines if of_kind in (None, line[1])})


def project_usage(site: Site, project_id: str, user_id: str | None) -> Usage:
    """What all consumers of a project, or of one user in it, hold now."""
    with site.database.read() as connection:
        rows = {
            row["id"]: row
            for row in consumer_rows(connection, project_id)
            if user_id in (None, row["user_id"])
        }
        lines = [line for line in taken_load(connection) if line.consumer_id in rows]
    return Usage(
        tuple(
            (
                line.consumer_id,
                rows[line.consumer_id]["type"] or UNKNOWN_TYPE,
                line.resource_class,
                line.amount,
            )
            for line in lines
        )
    )
