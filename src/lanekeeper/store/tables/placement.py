"""Placement: providers, and inventories and allocations of what devices do not own."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy import CheckConstraint, Column, ForeignKey, Index, Table

from lanekeeper.store.tables.column import Moment, id_column, metadata, number_column, text_column

resource_provider = Table(
    "resource_provider",
    metadata,
    id_column(),
    Column("name", sa.Text, nullable=False, unique=True),
    Column("parent_id", sa.Text, ForeignKey("resource_provider.id")),
    Column("root_id", sa.Text, nullable=False, index=True),
    number_column("generation"),
    text_column("owner", "api"),
    Column("host_id", sa.Text, ForeignKey("host.id", ondelete="CASCADE"), index=True),
    Column("updated_at", Moment, nullable=False),
    comment="owner: api (made by a client, theirs whole), host, device (inventory is derived), or "
    "bandwidth (a host's interface, as its agent is configured).",
)
inventory = Table(
    "inventory",
    metadata,
    Column(
        "provider_id",
        sa.Text,
        ForeignKey("resource_provider.id", ondelete="CASCADE"),
        primary_key=True,
    ),
    Column("resource_class", sa.Text, primary_key=True),
    number_column("total"),
    number_column("reserved"),
    number_column("min_unit", 1),
    number_column("max_unit", 2**31 - 1),
    number_column("step_size", 1),
    Column("allocation_ratio", sa.Float, nullable=False, default=1.0),
    number_column("capacity"),
    number_column("used"),
    Column("updated_at", Moment, nullable=False),
    CheckConstraint("used >= 0", name="used"),
    comment="Classes that devices do not own; capacity = int((total - reserved) * ratio).",
)
allocation = Table(
    "allocation",
    metadata,
    Column("consumer_id", sa.Text, primary_key=True),
    Column(
        "provider_id", sa.Text, ForeignKey("resource_provider.id"), primary_key=True, index=True
    ),
    Column("resource_class", sa.Text, primary_key=True),
    number_column("used"),
    comment="Classes that devices do not own; those of devices are a view over claims.",
)
consumer = Table(
    "consumer",
    metadata,
    id_column(),
    text_column("project_id"),
    text_column("user_id"),
    Column("type", sa.Text),
    number_column("generation"),
    Column("updated_at", Moment, nullable=False),
    Index("ix_consumer_project_id", "project_id"),
)
resource_class = Table("resource_class", metadata, Column("name", sa.Text, primary_key=True))
trait = Table("trait", metadata, Column("name", sa.Text, primary_key=True))
provider_trait = Table(
    "provider_trait",
    metadata,
    Column(
        "provider_id",
        sa.Text,
        ForeignKey("resource_provider.id", ondelete="CASCADE"),
        primary_key=True,
    ),
    Column("trait", sa.Text, primary_key=True),
)
provider_aggregate = Table(
    "provider_aggregate",
    metadata,
    Column(
        "provider_id",
        sa.Text,
        ForeignKey("resource_provider.id", ondelete="CASCADE"),
        primary_key=True,
    ),
    Column("aggregate_id", sa.Text, primary_key=True),
)
