"""where a card sits, and where it was before."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from lanekeeper.store.tables.column import Moment

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("device", sa.Column("slot", sa.Text(), nullable=True))
    op.add_column("device", sa.Column("moved_from", sa.Text(), nullable=True))
    op.add_column("device", sa.Column("moved_at", Moment(), nullable=True))
