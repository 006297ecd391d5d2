"""The change log: which providers are not what they were, in the order of the commits."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy import Column, Table

from lanekeeper.store.tables.column import metadata

# SQLite counts by itself only in a column of exactly this type.
_Counted = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

change_log = Table(
    "change_log",
    metadata,
    Column("position", _Counted, primary_key=True, autoincrement=True),
    Column("xid", sa.BigInteger, index=True),
    Column("provider_id", sa.Text, nullable=False),
    Column("amounts_only", sa.Boolean, nullable=False),
    comment="Written by triggers. xid: PostgreSQL's transaction, since commits end in any order.",
)
change_log_start = Table(
    "change_log_start",
    metadata,
    Column("trimmed_until", sa.BigInteger, primary_key=True, autoincrement=False),
    Column("trimmed_xid", sa.BigInteger, nullable=False, server_default=sa.text("0")),
    comment="The newest line that was forgotten; who has not read it reads all anew.",
)
