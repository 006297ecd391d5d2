"""Devices, cards and claims: who holds what."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy import CheckConstraint, Column, ForeignKey, Index, Table, UniqueConstraint

from lanekeeper.store.tables.column import (
    Moment,
    flag_column,
    id_column,
    json_column,
    metadata,
    number_column,
    text_column,
)

device = Table(
    "device",
    metadata,
    id_column(),
    Column("host_id", sa.Text, ForeignKey("host.id", ondelete="CASCADE"), nullable=False),
    Column("address", sa.Text, nullable=False),
    Column("pf_id", sa.Text, ForeignKey("device.id"), index=True),
    Column("vendor_id", sa.Text, nullable=False),
    Column("product_id", sa.Text, nullable=False),
    Column("dev_type", sa.Text, nullable=False),
    Column("vf_index", sa.Integer),
    Column("numa_node", sa.Integer),
    Column("pcie_root", sa.Text),
    Column("iommu_group", sa.Integer),
    Column("driver", sa.Text),
    Column("netdev", sa.Text),
    Column("mac", sa.Text),
    Column("serial", sa.Text),
    Column("label", sa.Text),
    flag_column("listed", default=True),
    flag_column("present", default=True),
    Column("entry", sa.Integer),
    json_column("tags"),
    Column("physical_network", sa.Text),
    Column("resource_class", sa.Text),
    Column("provider_id", sa.Text, index=True),
    Column("state", sa.Text, nullable=False),
    text_column("state_reason"),
    number_column("cleaning_round"),
    number_column("generation"),
    Column("state_at", Moment, nullable=False),
    CheckConstraint("state IN ('available', 'held', 'cleaning', 'quarantined')", name="state"),
    Index(
        "uq_device_host_address_present",
        "host_id",
        "address",
        unique=True,
        sqlite_where=sa.text("present"),
        postgresql_where=sa.text("present"),
    ),
    comment="One PCI function. Its identity (serial, slot) is in columns, its id is a surrogate.",
)
card = Table(
    "card",
    metadata,
    Column("pf_device_id", sa.Text, ForeignKey("device.id", ondelete="CASCADE"), primary_key=True),
    Column("whole_holder", sa.Text),
    number_column("parts_held"),
    CheckConstraint("whole_holder IS NULL OR parts_held = 0", name="whole_or_parts"),
    CheckConstraint("parts_held >= 0", name="parts"),
    comment="The arbiter between a PF and its VFs; what is held counts until it is clean.",
)
quarantine = Table(
    "quarantine",
    metadata,
    Column("host_name", sa.Text, primary_key=True),
    Column("address", sa.Text, primary_key=True),
    Column("vendor_id", sa.Text, nullable=False),
    Column("product_id", sa.Text, nullable=False),
    Column("dev_type", sa.Text, nullable=False),
    Column("vf_index", sa.Integer),
    Column("serial", sa.Text),
    text_column("function"),
    text_column("reason"),
    Column("at", Moment, nullable=False),
    comment="Devices that were not clean when their host was removed; they come back quarantined.",
)
claim = Table(
    "claim",
    metadata,
    Column("device_id", sa.Text, ForeignKey("device.id"), primary_key=True),
    Column("consumer_id", sa.Text, nullable=False, index=True),
    Column("request_id", sa.Text, nullable=False),
    Column("index", sa.Integer, nullable=False, default=0),
    Column("created_at", Moment, nullable=False),
    UniqueConstraint("consumer_id", "request_id", "index"),
    comment="Who holds a device. A device has one holder because this key says so.",
)
