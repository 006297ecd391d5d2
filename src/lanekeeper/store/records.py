"""Every row that says who has what, of one moment: what a check of the whole database reads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import sqlalchemy as sa

from lanekeeper.store import tables

Row = Mapping[str, Any]

# What is long and says nothing about who has what.
_LEFT_OUT = {
    "host": {"facts", "credential_hash"},
    "server": {"user_data", "public_key", "image_properties", "scheduler_hints", "metadata"},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Records:
    """Rows by table, each table in the order of its key; the fields are the tables' names."""

    host: Sequence[Row]
    desired_mark: Sequence[Row]
    device: Sequence[Row]
    card: Sequence[Row]
    claim: Sequence[Row]
    cell_stock: Sequence[Row]
    cell_claim: Sequence[Row]
    pinned_cpu: Sequence[Row]
    server: Sequence[Row]
    consumer: Sequence[Row]
    resource_provider: Sequence[Row]
    inventory: Sequence[Row]
    allocation: Sequence[Row]
    network: Sequence[Row]
    segment: Sequence[Row]
    subnet: Sequence[Row]
    port: Sequence[Row]
    port_binding: Sequence[Row]
    address: Sequence[Row]

    def by_id(self, table: str) -> dict[str, Row]:
        return {row["id"]: row for row in getattr(self, table)}


def records_load(connection: sa.Connection) -> Records:
    """Read them; the caller's connection decides that it is one moment."""
    read = {field.name: _rows(connection, field.name) for field in fields(Records)}
    return Records(**read)


def _rows(connection: sa.Connection, name: str) -> list[Row]:
    table = tables.metadata.tables[name]
    columns = [one for one in table.c if one.name not in _LEFT_OUT.get(name, ())]
    query = sa.select(*columns).order_by(*table.primary_key)
    return [*connection.execute(query).mappings()]
