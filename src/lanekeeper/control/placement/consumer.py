"""Consumers as clients claim for them: who they are, and whether they still are as was thought."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from lanekeeper.control.placement.resource_provider import CONCURRENT, RACE
from lanekeeper.domain.errors import Conflict
from lanekeeper.domain.placement.allocation import Allocation
from lanekeeper.domain.placement.inventory import INT_MAX
from lanekeeper.store.placement.consumer import (
    ConsumerRow,
    consumer_change,
    consumer_drop,
    consumer_put,
    consumer_seek,
    consumers_find,
    servers_among,
)

CHANGED = f"Inventory and/or allocations changed while attempting to allocate: {RACE}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsumerClaim:
    """What one consumer is to hold from now on, in place of all that it held.

    Attributes:
        amounts: provider id to class to units; empty gives everything back.
        generation: ``(None,)`` for a new consumer, ``(n,)`` for one at n, None does not check.
        kind: consumer type; None leaves it as it is.
    """

    consumer_id: str
    amounts: Mapping[str, Mapping[str, int]]
    project_id: str
    user_id: str
    generation: tuple[int | None] | None = None
    kind: str | None = None

    @property
    def is_first(self) -> bool:
        """Whether it is of a consumer that must hold nothing yet, as nearly all claims are.

        Amounts beyond what an inventory may have are none of them: no database takes such numbers.
        """
        amounts = [amount for part in self.amounts.values() for amount in part.values()]
        return self.generation == (None,) and 0 < max(amounts, default=0) <= INT_MAX

    def lines(self) -> list[Allocation]:
        return [
            Allocation(self.consumer_id, provider_id, name, amount)
            for provider_id, amounts in self.amounts.items()
            for name, amount in amounts.items()
        ]


def consumers_known(connection: sa.Connection, ids: Sequence[str]) -> dict[str, ConsumerRow]:
    """Find those that hold something.

    Raises:
        Conflict: one is a server of Lanekeeper's, whether it holds something or not.
    """
    if len(ids) > 1:
        check_foreign(servers_among(connection, ids))
        return consumers_find(connection, ids)
    found: dict[str, ConsumerRow] = {}
    for consumer_id in ids:
        name, row = consumer_seek(connection, consumer_id)
        check_foreign({} if name is None else {consumer_id: name})
        if row is not None:
            found[consumer_id] = row
    return found


def check_foreign(servers: Mapping[str, str]) -> None:
    for consumer_id, name in servers.items():
        raise Conflict(
            f"consumer {consumer_id} is server {name}; what it holds follows the server",
            hint="delete the server through Compute, and it lets go of all",
        )


def consumer_hold(
    connection: sa.Connection, row: ConsumerRow | None, claim: ConsumerClaim, now: datetime
) -> None:
    """Bring the consumer's row to what the claim says of it; one that holds nothing has none."""
    _check_generation(row, claim)
    if row is None:
        if claim.amounts:
            consumer_put(
                connection,
                claim.consumer_id,
                project_id=claim.project_id,
                user_id=claim.user_id,
                kind=claim.kind,
                now=now,
            )
        return
    held = consumer_change(
        connection,
        row,
        project_id=claim.project_id,
        user_id=claim.user_id,
        kind=claim.kind or row.kind,
        now=now,
    )
    if not held:
        raise Conflict(CHANGED, code=CONCURRENT)
    if not claim.amounts:
        consumer_drop(connection, claim.consumer_id)


def _check_generation(row: ConsumerRow | None, claim: ConsumerClaim) -> None:
    if claim.generation is None:
        return
    (expected,) = claim.generation
    actual = None if row is None else row.generation
    if expected != actual:
        raise generation_conflict(actual, expected)


def generation_conflict(actual: int | None, expected: int | None) -> Conflict:
    shown = ["null" if number is None else number for number in (actual, expected)]
    return Conflict(
        f"consumer generation conflict - expected {shown[0]} but got {shown[1]}", code=CONCURRENT
    )
