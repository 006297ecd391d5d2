"""which functions of a host can only be given away together."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("device", sa.Column("unit", sa.Text(), nullable=True))
    shared = sa.text("unit IS NOT NULL")
    op.create_index(
        "ix_device_unit",
        "device",
        ["host_id", "unit"],
        sqlite_where=shared,
        postgresql_where=shared,
    )
