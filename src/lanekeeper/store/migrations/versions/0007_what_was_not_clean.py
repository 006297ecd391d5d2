"""what was not clean when its host was removed."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from lanekeeper.store.tables.column import Moment

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "quarantine",
        sa.Column("host_name", sa.Text(), nullable=False),
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("vendor_id", sa.Text(), nullable=False),
        sa.Column("product_id", sa.Text(), nullable=False),
        sa.Column("dev_type", sa.Text(), nullable=False),
        sa.Column("vf_index", sa.Integer(), nullable=True),
        sa.Column("serial", sa.Text(), nullable=True),
        sa.Column("function", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("at", Moment(), nullable=False),
        sa.PrimaryKeyConstraint("host_name", "address", name=op.f("pk_quarantine")),
        comment="Devices that were not clean when their host was removed; they come back "
        "quarantined.",
    )
