"""Rows of host aggregates."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from lanekeeper.domain.compute.aggregate import Aggregate
from lanekeeper.domain.scheduling.host import Aggregates, HostAggregate
from lanekeeper.store.tables import host_aggregate


def _record(row: sa.RowMapping) -> Aggregate:
    return Aggregate(**{name: row[name] for name in Aggregate.__slots__})


def aggregate_list(connection: sa.Connection) -> list[Aggregate]:
    """Every aggregate, by id."""
    rows = connection.execute(sa.select(host_aggregate).order_by(host_aggregate.c.id))
    return [_record(row) for row in rows.mappings()]


def aggregates_hold(connection: sa.Connection) -> list[Aggregate]:
    """Every aggregate, by id, each locked until the transaction ends.

    A host is in one zone only as long as nobody changes any of them meanwhile. They are read after
    all are locked, so that one which came while this waited is met, too.
    """
    ids = sa.select(host_aggregate.c.id).order_by(host_aggregate.c.id)
    connection.execute(ids.with_for_update()).all()
    return aggregate_list(connection)


def aggregate_insert(
    connection: sa.Connection,
    uuid: str,
    name: str,
    metadata: Mapping[str, str],
    now: datetime,
) -> Aggregate:
    row = connection.execute(
        host_aggregate.insert()
        .values(uuid=uuid, name=name, metadata=dict(metadata), hosts=[], created_at=now)
        .returning(host_aggregate)
    )
    return _record(row.mappings().one())


def aggregate_update(connection: sa.Connection, aggregate_id: int, **values: Any) -> None:
    connection.execute(
        host_aggregate.update().where(host_aggregate.c.id == aggregate_id).values(**values)
    )


def aggregate_delete(connection: sa.Connection, aggregate_id: int) -> None:
    connection.execute(host_aggregate.delete().where(host_aggregate.c.id == aggregate_id))


def zone_by_host(aggregates: Sequence[Aggregate]) -> dict[str, str]:
    """The availability zone of each host that an aggregate puts into one, by host name."""
    return {
        name: aggregate.zone
        for aggregate in aggregates
        if aggregate.zone is not None
        for name in aggregate.hosts
    }


def aggregates_by_host(aggregates: Sequence[Aggregate]) -> dict[str, Aggregates]:
    """The aggregates of each host that is in any, by host name."""
    found: dict[str, list[HostAggregate]] = defaultdict(list)
    for aggregate in aggregates:
        seen = HostAggregate.of(aggregate.name, aggregate.metadata)
        for name in aggregate.hosts:
            found[name].append(seen)
    return {name: tuple(mine) for name, mine in found.items()}
