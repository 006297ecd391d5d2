"""whether devices are well."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from lanekeeper.store.tables.column import Moment

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "device_health",
        sa.Column("device_id", sa.Text(), nullable=False),
        sa.Column("signal", sa.Text(), nullable=False),
        sa.Column("wrong", sa.Boolean(), nullable=False),
        sa.Column("since", Moment(), nullable=False),
        sa.Column("raised", sa.Boolean(), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("read_at", Moment(), nullable=False),
        sa.Column("counted", sa.BigInteger(), nullable=True),
        sa.Column("level", sa.Float(), nullable=False),
        sa.Column("best_speed_gts", sa.Float(), nullable=False),
        sa.Column("best_width", sa.Integer(), nullable=False),
        sa.Column("settled", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(
            ["device_id"],
            ["device.id"],
            name=op.f("fk_device_health_device_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("device_id", "signal", name=op.f("pk_device_health")),
        comment="How far each signal of a device is. What policy makes of it is in device.unfit.",
    )
    op.add_column("device", sa.Column("unfit", sa.Text(), server_default="", nullable=False))
