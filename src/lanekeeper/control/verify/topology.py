"""NUMA cells of hosts against what guests hold of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from lanekeeper.control.verify.finding import BUG, Finding, key_of
from lanekeeper.domain.topology.cell import VCPUS
from lanekeeper.store.records import Records


def cells_are_used_as_claimed(records: Records) -> Iterator[Finding]:
    """What of a cell is used is the sum of the claims on it."""
    taken: Counter[tuple[str, int, str]] = Counter()
    for row in records.cell_claim:
        taken[row["host_id"], row["host_cell"], row["what"]] += row["amount"]
        taken[row["host_id"], row["host_cell"], VCPUS] += len(row["vcpus"])
    for row in records.cell_stock:
        key = row["host_id"], row["cell"], row["what"]
        if row["used"] != taken[key]:
            yield Finding(
                invariant="cell.used", table="cell_stock", row=key_of(*key),
                problem=f"{row['used']} are used, and claims come to {taken[key]}",
                remedy=BUG,
            )  # fmt: skip


def cells_are_servers(records: Records) -> Iterator[Finding]:
    """Who holds a cell is a server on the cell's host."""
    servers = records.by_id("server")
    for row in records.cell_claim:
        server = servers.get(row["consumer_id"])
        if server is None or server["host_id"] != row["host_id"]:
            where = "there is none" if server is None else f"it is on host {server['host_id']}"
            yield Finding(
                invariant="cell.holder", table="cell_claim",
                row=key_of(row["consumer_id"], row["guest_cell"]),
                problem=f"its holder is no server on host {row['host_id']}: {where}",
                remedy=BUG,
            )  # fmt: skip


def pinned_cpus_belong_to_cells(records: Records) -> Iterator[Finding]:
    """A pinned CPU is that of a cell that its guest holds on the CPU's host."""
    held = {(row["consumer_id"], row["guest_cell"], row["host_id"]) for row in records.cell_claim}
    for row in records.pinned_cpu:
        if (row["consumer_id"], row["guest_cell"], row["host_id"]) not in held:
            yield Finding(
                invariant="cpu.cell", table="pinned_cpu", row=key_of(row["host_id"], row["cpu"]),
                problem=f"{row['consumer_id']} holds no cell {row['guest_cell']} there",
                remedy=BUG,
            )  # fmt: skip
