"""when a host's agent was refused."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from lanekeeper.store.tables.column import Moment

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("host", sa.Column("refused_at", Moment(), nullable=True))
