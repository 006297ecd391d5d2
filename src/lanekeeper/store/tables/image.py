"""Images; their bytes are files, in the state directories of controllers."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy import Column, ForeignKey, Table

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
image_copy = Table(
    "image_copy",
    metadata,
    Column("image_id", sa.Text, ForeignKey("image.id", ondelete="CASCADE"), primary_key=True),
    Column("controller_id", sa.Text, primary_key=True),
    comment="Which controllers have the bytes of an image, staged ones too.",
)
controller = Table(
    "controller",
    metadata,
    id_column(),
    text_column("machine"),
    text_column("url"),
    Column("started_at", Moment, nullable=False),
    comment="Where a controller answers the others; id is kept in its state directory.",
)
