"""Images; their bytes are files."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy import Column, Table

from lanekeeper.store.tables.column import (
    Moment,
    flag_column,
    id_column,
    json_column,
    metadata,
    number_column,
    text_column,
)

image = Table(
    "image",
    metadata,
    id_column(),
    Column("name", sa.Text),
    Column("status", sa.Text, nullable=False),
    Column("owner", sa.Text, nullable=False, index=True),
    text_column("visibility", "shared"),
    Column("disk_format", sa.Text),
    Column("container_format", sa.Text),
    Column("size_bytes", sa.BigInteger),
    Column("virtual_size_bytes", sa.BigInteger),
    Column("md5", sa.Text),
    Column("sha512", sa.Text),
    number_column("min_disk_gib"),
    number_column("min_ram_mib"),
    flag_column("protected", default=False),
    flag_column("hidden", default=False),
    json_column("properties"),
    json_column("tags", list),
    Column("created_at", Moment, nullable=False),
    Column("updated_at", Moment, nullable=False),
)
