"""segments have names; networks are shared with projects; what a project may have of Network."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0025"
down_revision = "0024"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("segment", sa.Column("name", sa.Text(), nullable=True))
    op.add_column("segment", sa.Column("description", sa.Text(), nullable=True))
