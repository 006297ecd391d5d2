"""Taking and giving back cells: CPUs, memory and pages of a host's NUMA nodes."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence

import sqlalchemy as sa

from lanekeeper.domain.errors import Conflict
from lanekeeper.domain.topology.cell import VCPUS
from lanekeeper.domain.topology.fit import Seat, Take
from lanekeeper.store.tables import cell_claim, cell_stock, pinned_cpu
from lanekeeper.store.topology.cell import cells_told

CELL_FULL = "lanekeeper.cell.full"


def cells_claim(
    connection: sa.Connection, consumer_id: str, host_id: str, seats: Sequence[Seat]
) -> None:
    """Give a consumer all of its seats, or nothing.

    Whoever calls has called ``host_lock`` before, for which the host's facts wait, too. What is
    taken of an amount stays within it; that a CPU is nobody else's is the key's business.

    Raises:
        Conflict: a cell has no longer enough, or a CPU is not for pinning any more. The
            transaction must be left.
        sqlalchemy.exc.IntegrityError: a CPU is somebody else's, as ``is_lost_race`` tells.
    """
    told = cells_told(connection, host_id) if seats else {}
    for seat in sorted(seats, key=lambda seat: seat.host_cell):
        there = frozenset(told.get(seat.host_cell, {}).get("dedicated", ()))
        if not there.issuperset(seat.cpus):
            raise _full(host_id, seat)
        for take in seat.takes:
            if not _take(connection, host_id, seat.host_cell, take):
                raise _full(host_id, seat)
        (memory,) = (take for take in seat.takes if take.what != VCPUS)
        connection.execute(
            cell_claim.insert().values(
                consumer_id=consumer_id,
                guest_cell=seat.guest_cell,
                host_id=host_id,
                host_cell=seat.host_cell,
                vcpus=list(seat.shared),
                memory_mib=seat.memory_mib,
                page_kib=seat.page_kib,
                what=memory.what,
                amount=memory.amount,
                shares=memory.shared,
            )
        )
        rows = [
            {"host_id": host_id, "cpu": cpu, "consumer_id": consumer_id,
             "guest_cell": seat.guest_cell, "vcpu": vcpu}
            for vcpu, cpu in (*seat.pins.items(), *((None, cpu) for cpu in seat.reserved))
        ]  # fmt: skip
        if rows:
            connection.execute(pinned_cpu.insert(), rows)


def cells_release(connection: sa.Connection, consumer_id: str) -> None:
    """Take every cell back from a consumer. A second call does nothing."""
    gone = connection.execute(
        cell_claim.delete()
        .where(cell_claim.c.consumer_id == consumer_id)
        .returning(
            cell_claim.c.host_id,
            cell_claim.c.host_cell,
            cell_claim.c.vcpus,
            cell_claim.c.what,
            cell_claim.c.amount,
        )
    )
    given: Counter[tuple[str, int, str]] = Counter()
    for host_id, cell, vcpus, what, amount in gone:
        given[host_id, cell, what] += amount
        given[host_id, cell, VCPUS] += len(vcpus)
    for (host_id, cell, what), amount in sorted(given.items()):
        connection.execute(
            cell_stock.update()
            .where(*_stock(host_id, cell, what))
            .values(used=cell_stock.c.used - amount)
        )
    connection.execute(pinned_cpu.delete().where(pinned_cpu.c.consumer_id == consumer_id))


def seats_of(
    connection: sa.Connection, consumer_ids: Collection[str]
) -> dict[str, tuple[Seat, ...]]:
    """What consumers hold of cells, by consumer, in the order of the guest's cells."""
    pins: dict[tuple[str, int], dict[int, int]] = defaultdict(dict)
    reserved: dict[tuple[str, int], list[int]] = defaultdict(list)
    cpus = sa.select(pinned_cpu).where(pinned_cpu.c.consumer_id.in_(consumer_ids))
    for row in connection.execute(cpus.order_by(pinned_cpu.c.cpu)).mappings():
        key = row["consumer_id"], row["guest_cell"]
        if row["vcpu"] is None:
            reserved[key].append(row["cpu"])
        else:
            pins[key][row["vcpu"]] = row["cpu"]
    claims = (
        sa.select(cell_claim)
        .where(cell_claim.c.consumer_id.in_(consumer_ids))
        .order_by(cell_claim.c.consumer_id, cell_claim.c.guest_cell)
    )
    found: dict[str, list[Seat]] = defaultdict(list)
    for row in connection.execute(claims).mappings():
        key = row["consumer_id"], row["guest_cell"]
        found[row["consumer_id"]].append(_seat(row, pins[key], reserved[key]))
    return {consumer_id: tuple(seats) for consumer_id, seats in found.items()}


def _seat(row: sa.RowMapping, pins: Mapping[int, int], reserved: Sequence[int]) -> Seat:
    floating = (Take(VCPUS, len(row["vcpus"]), shared=True),) if row["vcpus"] else ()
    return Seat(
        guest_cell=row["guest_cell"],
        host_cell=row["host_cell"],
        shared=tuple(row["vcpus"]),
        pins=dict(sorted(pins.items())),
        reserved=tuple(reserved),
        memory_mib=row["memory_mib"],
        page_kib=row["page_kib"],
        takes=(Take(row["what"], row["amount"], shared=row["shares"]), *floating),
    )


def _take(connection: sa.Connection, host_id: str, cell: int, take: Take) -> bool:
    limit = cell_stock.c.capacity if take.shared else cell_stock.c.total
    done = connection.execute(
        cell_stock.update()
        .where(
            *_stock(host_id, cell, take.what),
            cell_stock.c.used + take.amount <= limit,
            cell_stock.c.total >= take.amount,
        )
        .values(used=cell_stock.c.used + take.amount)
    )
    return done.rowcount == 1


def _stock(host_id: str, cell: int, what: str) -> tuple[sa.ColumnElement[bool], ...]:
    return (
        cell_stock.c.host_id == host_id,
        cell_stock.c.cell == cell,
        cell_stock.c.what == what,
    )


def _full(host_id: str, seat: Seat) -> Conflict:
    return Conflict(
        f"cell {seat.host_cell} of host {host_id} has not all of that left", code=CELL_FULL
    )
