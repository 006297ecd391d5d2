"""What the fit says of a host's cells and what the claim does agree, and the sums are right."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import cache

import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st

from campaign import size
from domain.topology.guests import guests
from lanekeeper.domain.topology.cell import MEMORY, VCPUS, Amount, HostCell, pages_of
from lanekeeper.domain.topology.fit import Seat, seatings
from lanekeeper.domain.topology.guest import GuestTopology
from lanekeeper.store.host.host import host_facts_set, host_insert
from lanekeeper.store.tables import metadata
from lanekeeper.store.topology.cell import cell_stocks_ensure, host_cells
from lanekeeper.store.topology.claim import cells_claim, cells_release, seats_of

HOST = "11111111-1111-1111-1111-111111111111"
NOW = datetime(2026, 1, 1, tzinfo=UTC)
CELLS = [
    {
        "id": node,
        "socket": 0,
        "cpus": list(range(8 * node, 8 * node + 8)),
        "siblings": [[8 * node + core, 8 * node + core + 4] for core in range(4)],
        "dedicated": [8 * node + cpu for cpu in (1, 2, 3, 5, 6, 7)],
        "shared": [8 * node, 8 * node + 4],
    }
    for node in range(2)
]
STOCKS = {
    (node, what): amount
    for node in range(2)
    for what, amount in {
        VCPUS: Amount(2, 6),
        MEMORY: Amount(2048, 3072),
        pages_of(2048): Amount(1024, 1024),
        pages_of(1048576): Amount(2, 2),
    }.items()
}


@cache
def engine() -> sa.Engine:
    made = sa.create_engine("sqlite://", poolclass=sa.pool.StaticPool)
    with made.begin() as connection:
        metadata.create_all(connection)
    return made


@contextmanager
def one_host() -> Iterator[sa.Connection]:
    """A database with one host in it, of which nothing is kept."""
    with engine().connect() as connection:
        host_insert(connection, HOST, "h1", "secret", NOW)
        host_facts_set(connection, HOST, {"cells": CELLS}, NOW)
        cell_stocks_ensure(connection, HOST, STOCKS)
        yield connection
        connection.rollback()


def now(connection: sa.Connection) -> tuple[HostCell, ...]:
    return host_cells(connection, [HOST])[HOST]


_steps = st.lists(st.one_of(guests(), st.integers(0, 9)), max_size=16)


@settings(max_examples=size(25, 200))
@given(_steps)
def test_what_fits_can_be_claimed_and_what_is_given_back_is_free(
    steps: list[GuestTopology | int],
) -> None:
    held: dict[str, tuple[Seat, ...]] = {}
    with one_host() as connection:
        empty = now(connection)
        for number, step in enumerate(steps):
            if isinstance(step, int):
                for consumer in sorted(held)[step : step + 1]:
                    cells_release(connection, consumer)
                    del held[consumer]
            elif seats := next(
                seatings(step, now(connection), devices={}, wants_devices=False), None
            ):
                cells_claim(connection, f"server {number}", HOST, seats)
                held[f"server {number}"] = seats
            assert seats_of(connection, list(held)) == held
            _check(now(connection), held)
        for consumer in held:
            cells_release(connection, consumer)
        assert now(connection) == empty


def _check(cells: tuple[HostCell, ...], held: dict[str, tuple[Seat, ...]]) -> None:
    seats = [seat for mine in held.values() for seat in mine]
    cpus = [cpu for seat in seats for cpu in seat.cpus]
    assert len(cpus) == len(set(cpus))
    taken: Counter[tuple[int, str]] = Counter()
    for seat in seats:
        for take in seat.takes:
            taken[seat.host_cell, take.what] += take.amount
    for cell in cells:
        assert cell.pinned == {cpu for cpu in cpus if cpu // 8 == cell.id}
        for what, amount in cell.amounts.items():
            assert amount.used == taken[cell.id, what] <= amount.capacity
