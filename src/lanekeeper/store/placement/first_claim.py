"""What a consumer that holds nothing takes, in one round trip to the database."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from lanekeeper.domain.placement.allocation import Allocation
from lanekeeper.store.pipeline import Outcomes, Statement, Values, run
from lanekeeper.store.placement.allocation import (
    PROVIDER_INVENTORY,
    USE_CHANGE,
    ProviderInventory,
    provider_inventories_of,
)
from lanekeeper.store.placement.consumer import CONSUMER_SEEK, ConsumerRow
from lanekeeper.store.placement.hold import BUMP
from lanekeeper.store.tables import allocation, consumer

_SEEK = Statement(CONSUMER_SEEK)
_CONSUMER = Statement(consumer.insert(), consumer.c.keys())
_HOLD = Statement(BUMP)
_READ = Statement(PROVIDER_INVENTORY)
_USE = Statement(USE_CHANGE)
_LINE = Statement(allocation.insert(), allocation.c.keys())


@dataclass(frozen=True, slots=True)
class FirstClaim:
    """What was found and done; it is for the caller to judge, and to leave the transaction.

    Attributes:
        server: name of the server that the consumer is, if it is one.
        generation: the consumer's, from before, if it held something after all.
        providers: the providers, held now, with what they had to give.
        changed: how many inventories had all that was wanted of them.
    """

    server: str | None
    generation: int | None
    providers: Mapping[str, ProviderInventory]
    changed: int
    outcomes: Outcomes


def first_claim(
    connection: sa.Connection, row: ConsumerRow, lines: Sequence[Allocation]
) -> FirstClaim:
    """Make the consumer, hold the providers of *lines*, and take them."""
    lines = sorted(lines, key=lambda line: (line.provider_id, line.resource_class))
    providers = sorted({line.provider_id for line in lines})
    taken = [
        {"provider": one.provider_id, "class": one.resource_class, "change": one.amount}
        for one in lines
    ]
    steps: list[tuple[Statement, Values]] = [
        (_SEEK, {"id": row.id}),
        (_CONSUMER, row.columns()),
        *((_HOLD, {"provider": provider}) for provider in providers),
        *((_READ, {"id": provider}) for provider in providers),
        *((_USE, change) for change in taken),
        *((_LINE, _columns(line)) for line in lines),
    ]
    outcomes = run(connection, steps)
    done = outcomes.done
    name, *columns = done[0].rows[0] if done else (None,)
    read = 2 + len(providers)
    used = read + len(providers)
    return FirstClaim(
        server=name,
        generation=columns[4] if columns and columns[0] is not None else None,
        providers=provider_inventories_of(found for one in done[read:used] for found in one.rows),
        changed=sum(one.count for one in done[used : used + len(lines)]),
        outcomes=outcomes,
    )


def _columns(line: Allocation) -> Values:
    return {
        "consumer_id": line.consumer_id,
        "provider_id": line.provider_id,
        "resource_class": line.resource_class,
        "used": line.amount,
    }
