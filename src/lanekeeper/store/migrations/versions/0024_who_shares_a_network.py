"""segments have names; networks are shared with projects; what a project may have of Network;
what others say of a port's data plane.
"""

from __future__ import annotations

import uuid

import sqlalchemy as sa
from alembic import op

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("port", sa.Column("data_plane_status", sa.Text(), nullable=True))
    op.add_column("segment", sa.Column("name", sa.Text(), nullable=True))
    op.add_column("segment", sa.Column("description", sa.Text(), nullable=True))
    op.create_table(
        "network_rbac",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("network_id", sa.Text(), nullable=False),
        sa.Column("project_id", sa.Text(), nullable=False),
        sa.Column("target_project", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["network_id"],
            ["network.id"],
            name=op.f("fk_network_rbac_network_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_network_rbac")),
        sa.UniqueConstraint(
            "network_id", "target_project", name=op.f("uq_network_rbac_network_id_target_project")
        ),
        comment="Whom a network is shared with, * being everybody; project_id is who said so.",
    )
    for column in ("project_id", "target_project"):
        op.create_index(f"ix_network_rbac_{column}", "network_rbac", [column])
    connection = op.get_bind()
    shared = connection.execute(sa.text("SELECT id, project_id FROM network WHERE shared")).all()
    for network_id, project_id in shared:
        connection.execute(
            sa.text("INSERT INTO network_rbac VALUES (:id, :network, :project, '*')"),
            {"id": str(uuid.uuid4()), "network": network_id, "project": project_id},
        )
    # Alembic would make the table anew on SQLite, whose rows' children go with the old one.
    op.execute("ALTER TABLE network DROP COLUMN shared")
    op.create_table(
        "network_quota",
        sa.Column("project_id", sa.Text(), nullable=False),
        sa.Column("resource", sa.Text(), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("project_id", "resource", name=op.f("pk_network_quota")),
        comment="What one project may have of Network in place of the configured number; -1: any.",
    )
