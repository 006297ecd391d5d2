"""how fast ports may send: QoS policies, on ports and on networks."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from lanekeeper.store.tables.column import Moment

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "qos_policy",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("project_id", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("shared", sa.Boolean(), nullable=False),
        sa.Column("is_default", sa.Boolean(), nullable=False),
        sa.Column("rules", sa.JSON(), nullable=False),
        sa.Column("tags", sa.JSON(), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.Column("created_at", Moment(), nullable=False),
        sa.Column("updated_at", Moment(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_qos_policy")),
        comment="A project has one default policy because the key says so.",
    )
    op.create_index("ix_qos_policy_project_id", "qos_policy", ["project_id"])
    op.create_index(
        "uq_qos_policy_default",
        "qos_policy",
        ["project_id"],
        unique=True,
        sqlite_where=sa.text("is_default"),
        postgresql_where=sa.text("is_default"),
    )
    # Alembic would make the table anew on SQLite, whose rows' children go with the old one.
    for table in ("network", "port"):
        op.execute(
            f"ALTER TABLE {table} ADD COLUMN qos_policy_id TEXT "
            f"CONSTRAINT fk_{table}_qos_policy_id REFERENCES qos_policy (id)"
        )
    op.create_index("ix_port_qos_policy_id", "port", ["qos_policy_id"])
