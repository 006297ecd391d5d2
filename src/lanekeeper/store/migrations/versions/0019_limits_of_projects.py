"""what projects may have, by which alias a device is held, which servers have been."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

from lanekeeper.store.tables.column import Moment

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "registered_limit",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("resource_name", sa.Text(), nullable=False),
        sa.Column("region_id", sa.Text(), nullable=True),
        sa.Column("default_limit", sa.BigInteger(), nullable=False),
        sa.Column("description", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_registered_limit")),
        sa.UniqueConstraint("resource_name", name=op.f("uq_registered_limit_resource_name")),
        comment="How much of a resource each project may have that has no limit of its own; "
        "of nova.",
    )
    op.create_table(
        "project_limit",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("project_id", sa.Text(), nullable=False),
        sa.Column("registered_id", sa.Text(), nullable=False),
        sa.Column("resource_limit", sa.BigInteger(), nullable=False),
        sa.Column("description", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(
            ["project_id"],
            ["project.id"],
            name=op.f("fk_project_limit_project_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["registered_id"],
            ["registered_limit.id"],
            name=op.f("fk_project_limit_registered_id"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_project_limit")),
        sa.UniqueConstraint(
            "project_id", "registered_id", name=op.f("uq_project_limit_project_id_registered_id")
        ),
        comment="What one project may have in place of the registered limit.",
    )
    op.create_index("ix_project_limit_registered_id", "project_limit", ["registered_id"])
    op.create_table(
        "ended_server",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("server_id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("project_id", sa.Text(), nullable=False),
        sa.Column("flavor_name", sa.Text(), nullable=False),
        sa.Column("vcpus", sa.BigInteger(), nullable=False),
        sa.Column("ram_mib", sa.BigInteger(), nullable=False),
        sa.Column("disk_gib", sa.BigInteger(), nullable=False),
        sa.Column("launched_at", Moment(), nullable=False),
        sa.Column("at", Moment(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ended_server")),
        comment="Servers that ran and are gone, for what they used; at is when. Kept for a time.",
    )
    op.create_index("ix_ended_server_at", "ended_server", ["at"])
    op.create_index("ix_consumer_project_id", "consumer", ["project_id"])
    op.add_column("claim", sa.Column("alias", sa.Text(), nullable=True))
    _name_aliases(op.get_bind())


def _name_aliases(connection: sa.Connection) -> None:
    """Have claims say by which alias they were asked for, as their servers' rows do."""
    server = sa.table("server", sa.column("id"), sa.column("device_requests", sa.JSON))
    claim = sa.table("claim", sa.column("consumer_id"), sa.column("request_id"), sa.column("alias"))
    found: list[dict[str, Any]] = [
        {"server": server_id, "request": request["id"], "named": request["alias"]}
        for server_id, requests in connection.execute(
            sa.select(server.c.id, server.c.device_requests)
        ).all()
        for request in requests or ()
        if request.get("alias")
    ]
    if found:
        connection.execute(
            claim.update()
            .where(
                claim.c.consumer_id == sa.bindparam("server"),
                claim.c.request_id == sa.bindparam("request"),
            )
            .values(alias=sa.bindparam("named")),
            found,
        )
