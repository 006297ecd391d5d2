"""whose links their hosts hold down, since their uplinks carry nothing."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0027"
down_revision = "0026"
branch_labels = None
depends_on = None


def upgrade() -> None:
    held = sa.Column("held_down", sa.Text(), nullable=False, server_default="")
    op.add_column("port_vf", held)
