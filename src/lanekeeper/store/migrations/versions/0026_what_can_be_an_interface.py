"""which VFs can be interfaces of their hosts."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0026"
down_revision = "0025"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("device", sa.Column("host_driver", sa.Text(), nullable=True))
