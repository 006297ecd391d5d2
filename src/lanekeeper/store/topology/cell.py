"""What the NUMA cells of hosts have, as their agents told it, and what of it is taken."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from lanekeeper.domain.topology.cell import Amount, HostCell
from lanekeeper.store.tables import cell_stock, host, pinned_cpu

Stocks = Mapping[tuple[int, str], Amount]
"""By cell and what."""


def cell_stocks_ensure(connection: sa.Connection, host_id: str, told: Stocks) -> None:
    """Set what each cell of a host has; use is left alone, also of what is there no more."""
    mine = cell_stock.c.host_id == host_id
    rows = connection.execute(sa.select(cell_stock).where(mine)).mappings()
    have = {(row["cell"], row["what"]): row for row in rows}
    new: list[dict[str, object]] = []
    for (cell, what), amount in sorted(told.items()):
        values = {"total": amount.total, "capacity": amount.capacity}
        row = have.pop((cell, what), None)
        if row is None:
            new.append({"host_id": host_id, "cell": cell, "what": what, "used": 0, **values})
        elif any(row[key] != value for key, value in values.items()):
            connection.execute(
                cell_stock.update()
                .where(mine, cell_stock.c.cell == cell, cell_stock.c.what == what)
                .values(**values)
            )
    if new:
        connection.execute(cell_stock.insert(), new)
    for (cell, what), row in sorted(have.items()):
        gone = (mine, cell_stock.c.cell == cell, cell_stock.c.what == what)
        if row["used"]:
            connection.execute(cell_stock.update().where(*gone).values(total=0, capacity=0))
        else:
            connection.execute(cell_stock.delete().where(*gone))


def cells_told(connection: sa.Connection, host_id: str) -> dict[int, Mapping[str, Any]]:
    """A host's cells by number, as its agent told them last: ``protocol.NumaCell`` as data."""
    told = connection.scalar(sa.select(host.c.facts["cells"]).where(host.c.id == host_id))
    return {int(one["id"]): one for one in told or ()}


def host_cells(
    connection: sa.Connection, host_ids: Sequence[str] | None
) -> dict[str, tuple[HostCell, ...]]:
    """Cells of hosts, all or those of *host_ids*, by number; a host without any is left out."""
    query = sa.select(host.c.id, host.c.facts["cells"].label("cells"))
    amounts, pinned = _amounts(connection, host_ids), _pinned(connection, host_ids)
    return {
        host_id: tuple(
            _cell(one, amounts[host_id], pinned[host_id])
            for one in sorted(told, key=lambda one: int(one["id"]))
        )
        for host_id, told in connection.execute(_only(query, host.c.id, host_ids))
        if told
    }


def _cell(
    told: Mapping[str, Any], amounts: Mapping[int, Mapping[str, Amount]], pinned: frozenset[int]
) -> HostCell:
    dedicated = frozenset(told.get("dedicated", ()))
    return HostCell(
        id=told["id"],
        socket=told.get("socket"),
        dedicated=dedicated,
        pinned=pinned & dedicated,
        siblings=tuple(frozenset(core) for core in told.get("siblings", ())),
        amounts=amounts.get(told["id"], {}),
    )


def _amounts(
    connection: sa.Connection, host_ids: Sequence[str] | None
) -> dict[str, dict[int, dict[str, Amount]]]:
    found: dict[str, dict[int, dict[str, Amount]]] = defaultdict(lambda: defaultdict(dict))
    query = sa.select(
        cell_stock.c.host_id,
        cell_stock.c.cell,
        cell_stock.c.what,
        cell_stock.c.total,
        cell_stock.c.capacity,
        cell_stock.c.used,
    )
    for host_id, cell, what, *amount in connection.execute(
        _only(query, cell_stock.c.host_id, host_ids)
    ):
        found[host_id][cell][what] = Amount(*amount)
    return found


def _pinned(
    connection: sa.Connection, host_ids: Sequence[str] | None
) -> defaultdict[str, frozenset[int]]:
    cpus: dict[str, set[int]] = defaultdict(set)
    query = sa.select(pinned_cpu.c.host_id, pinned_cpu.c.cpu)
    for host_id, cpu in connection.execute(_only(query, pinned_cpu.c.host_id, host_ids)):
        cpus[host_id].add(cpu)
    found = {host_id: frozenset(some) for host_id, some in cpus.items()}
    return defaultdict(frozenset, found)


def _only(
    query: sa.Select[Any], column: sa.ColumnElement[str], ids: Sequence[str] | None
) -> sa.Select[Any]:
    return query if ids is None else query.where(column.in_(ids))
