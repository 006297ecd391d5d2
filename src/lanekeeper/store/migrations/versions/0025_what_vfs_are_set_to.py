"""what hosts tell of the VFs of ports."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0025"
down_revision = "0024"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "port_vf",
        sa.Column("port_id", sa.Text(), nullable=False),
        sa.Column("host_id", sa.Text(), nullable=False),
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("found", sa.JSON(), nullable=True),
        sa.Column("unknown", sa.JSON(), nullable=False),
        sa.Column("mended", sa.JSON(), nullable=True),
        sa.Column("since", sa.DateTime(), nullable=False),
        sa.Column("noted_at", sa.DateTime(), nullable=True),
        sa.ForeignKeyConstraint(
            ["host_id"], ["host.id"], name=op.f("fk_port_vf_host_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["port_id"], ["port.id"], name=op.f("fk_port_vf_port_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("port_id", name=op.f("pk_port_vf")),
        comment="What a host last told of a port's VF: found is null while its guest does not run "
        "there; noted_at is when a mend was last written among its server's events.",
    )
    op.create_index("ix_port_vf_host_id", "port_vf", ["host_id"])
