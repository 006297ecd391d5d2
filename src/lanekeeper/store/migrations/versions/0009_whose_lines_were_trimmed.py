"""whose lines were trimmed."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # What was trimmed before is older than any reader that starts with this version.
    op.add_column(
        "change_log_start",
        sa.Column("trimmed_xid", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
    )
