"""who has an image."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from lanekeeper.store.tables.column import Moment

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "controller",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("machine", sa.Text(), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("started_at", Moment(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_controller")),
        comment="Where a controller answers the others; id is kept in its state directory.",
    )
    op.create_table(
        "image_copy",
        sa.Column("image_id", sa.Text(), nullable=False),
        sa.Column("controller_id", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["image_id"], ["image.id"], name=op.f("fk_image_copy_image_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("image_id", "controller_id", name=op.f("pk_image_copy")),
        comment="Which controllers have the bytes of an image, staged ones too.",
    )
