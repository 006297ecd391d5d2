"""where the change log begins."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "change_log_start",
        sa.Column("trimmed_until", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.PrimaryKeyConstraint("trimmed_until", name=op.f("pk_change_log_start")),
        comment="The newest line that was forgotten; who has not read it reads all anew.",
    )
