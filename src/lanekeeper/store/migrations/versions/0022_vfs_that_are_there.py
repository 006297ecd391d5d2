"""how many VFs a PF has, listed or not: one that is not listed any more is not away."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("card", sa.Column("vfs", sa.Integer(), nullable=True))
