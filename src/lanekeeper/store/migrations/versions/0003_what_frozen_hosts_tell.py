"""what frozen hosts tell, and credentials that are about to change."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "frozen_report",
        sa.Column("host_id", sa.Text(), nullable=False),
        sa.Column("facts_told", sa.Boolean(), nullable=False),
        sa.Column("state", sa.JSON(none_as_null=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["host_id"],
            ["host.id"],
            name=op.f("fk_frozen_report_host_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("host_id", name=op.f("pk_frozen_report")),
        comment="What a frozen host has told since it was frozen: a HostState.",
    )
    op.add_column(
        "host", sa.Column("next_credential_hash", sa.Text(), nullable=False, server_default="")
    )
