"""Hosts, what was ordered of them, and how they come in."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy import Column, ForeignKey, Index, Table

from lanekeeper.store.tables.column import (
    Moment,
    flag_column,
    id_column,
    json_column,
    metadata,
    number_column,
    text_column,
)

host = Table(
    "host",
    metadata,
    id_column(),
    Column("name", sa.Text, nullable=False, unique=True),
    text_column("credential_hash"),
    text_column("next_credential_hash"),
    flag_column("enabled", default=True),
    text_column("disabled_reason"),
    text_column("frozen_reason"),
    text_column("frozen_after"),
    number_column("generation", 1),
    text_column("mark"),
    text_column("obeyed"),
    json_column("facts"),
    Column("facts_at", Moment),
    Column("seen_at", Moment, index=True),
    Column("refused_at", Moment),
    Column("created_at", Moment, nullable=False),
    # Every request of an agent is looked up by one of them.
    Index("ix_host_credential_hash", "credential_hash"),
    Index("ix_host_next_credential_hash", "next_credential_hash"),
    comment="id is also the compute-node provider's, the hypervisor's and the service's.",
)
desired_mark = Table(
    "desired_mark",
    metadata,
    Column("host_id", sa.Text, ForeignKey("host.id", ondelete="CASCADE"), primary_key=True),
    Column("generation", sa.BigInteger, primary_key=True),
    text_column("mark"),
    comment="Marks given out since the one that the agent last obeyed.",
)
frozen_report = Table(
    "frozen_report",
    metadata,
    Column("host_id", sa.Text, ForeignKey("host.id", ondelete="CASCADE"), primary_key=True),
    flag_column("facts_told", default=False),
    Column("state", sa.JSON(none_as_null=True)),
    comment="What a frozen host has told since it was frozen: a HostState.",
)
enrolment = Table(
    "enrolment",
    metadata,
    Column("token_hash", sa.Text, primary_key=True),
    text_column("host_name"),
    Column("expires_at", Moment, nullable=False),
    Column("used_by", sa.Text),
)
