"""which servers are kept together, or apart."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from lanekeeper.store.tables.column import Moment

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "server_group",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("project_id", sa.Text(), nullable=False),
        sa.Column("user_id", sa.Text(), nullable=False),
        sa.Column("policy", sa.Text(), nullable=False),
        sa.Column("max_per_host", sa.Integer(), nullable=True),
        sa.Column("created_at", Moment(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_server_group")),
    )
    op.create_index(op.f("ix_server_group_project_id"), "server_group", ["project_id"])
    op.create_table(
        "server_group_member",
        sa.Column("server_id", sa.Text(), nullable=False),
        sa.Column("group_id", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["group_id"],
            ["server_group.id"],
            name=op.f("fk_server_group_member_group_id_server_group"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["server_id"],
            ["server.id"],
            name=op.f("fk_server_group_member_server_id_server"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("server_id", name=op.f("pk_server_group_member")),
        comment="Written with the server, under a lock on the group: its policy is judged there.",
    )
    op.create_index(op.f("ix_server_group_member_group_id"), "server_group_member", ["group_id"])
