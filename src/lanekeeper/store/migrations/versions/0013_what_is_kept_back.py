"""what is kept back: spent, reserved and retired devices."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
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
