"""NUMA cells of hosts: what they have, and who has which CPUs, memory and pages."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy import CheckConstraint, Column, ForeignKey, Index, Table

from lanekeeper.store.tables.column import (
    flag_column,
    json_column,
    metadata,
    number_column,
    text_column,
)

cell_stock = Table(
    "cell_stock",
    metadata,
    Column("host_id", sa.Text, ForeignKey("host.id", ondelete="CASCADE"), primary_key=True),
    Column("cell", sa.Integer, primary_key=True),
    Column("what", sa.Text, primary_key=True),
    number_column("total"),
    number_column("capacity"),
    number_column("used"),
    CheckConstraint("used >= 0", name="used"),
    comment="Floating CPUs, small memory in MiB, pages of each size; capacity is total by ratio.",
)
pinned_cpu = Table(
    "pinned_cpu",
    metadata,
    Column("host_id", sa.Text, ForeignKey("host.id"), primary_key=True),
    Column("cpu", sa.Integer, primary_key=True),
    Column("consumer_id", sa.Text, nullable=False),
    number_column("guest_cell"),
    Column("vcpu", sa.Integer),
    Index("ix_pinned_cpu_consumer_id", "consumer_id"),
    comment="A CPU has one guest because this key says so; without vcpu it is the hypervisor's.",
)
cell_claim = Table(
    "cell_claim",
    metadata,
    Column("consumer_id", sa.Text, primary_key=True),
    Column("guest_cell", sa.Integer, primary_key=True, autoincrement=False),
    Column("host_id", sa.Text, ForeignKey("host.id"), nullable=False, index=True),
    Column("host_cell", sa.Integer, nullable=False),
    json_column("vcpus", list),
    number_column("memory_mib"),
    Column("page_kib", sa.Integer),
    text_column("what"),
    number_column("amount"),
    flag_column("shares", default=False),
    comment="A guest's cell on a cell of its host; what and amount are its memory in cell_stock.",
)
