"""what becomes of devices: spent, reserved and retired ones, and the history of all."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from lanekeeper.store.tables.column import Moment

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for table in ("device", "quarantine"):
        op.add_column(table, sa.Column("reserved", sa.Text(), server_default="", nullable=False))
    if op.get_bind().dialect.name == "postgresql":  # SQLite keeps no comments
        op.create_table_comment(
            "quarantine",
            "Devices that were not clean, or kept back, when their host was removed.",
        )
    # What is with a guest now is given for the only time.
    once = sa.table("device", sa.column("state"), sa.column("tags", sa.JSON), sa.column("reserved"))
    op.execute(
        once.update()
        .where(once.c.state == "held", once.c.tags["one_time_use"].as_string() == "true")
        .values(reserved="spent")
    )
    op.create_table(
        "device_event",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("device_id", sa.Text(), nullable=False),
        sa.Column("host_id", sa.Text(), nullable=False),
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("what", sa.Text(), nullable=False),
        sa.Column("consumer_id", sa.Text(), nullable=True),
        sa.Column("detail", sa.JSON(), nullable=False),
        sa.Column("at", Moment(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_device_event")),
        comment="Who has held a device and how it was cleaned; kept for a time, also of one gone.",
    )
    for column in ("device_id", "address", "at"):
        op.create_index(f"ix_device_event_{column}", "device_event", [column])
