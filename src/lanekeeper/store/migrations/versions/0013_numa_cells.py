"""what the NUMA cells of hosts have, who has it, and where devices hang."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "cell_claim",
        sa.Column("consumer_id", sa.Text(), nullable=False),
        sa.Column("guest_cell", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("host_id", sa.Text(), nullable=False),
        sa.Column("host_cell", sa.Integer(), nullable=False),
        sa.Column("vcpus", sa.JSON(), nullable=False),
        sa.Column("memory_mib", sa.BigInteger(), nullable=False),
        sa.Column("page_kib", sa.Integer(), nullable=True),
        sa.Column("what", sa.Text(), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("shares", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(["host_id"], ["host.id"], name=op.f("fk_cell_claim_host_id")),
        sa.PrimaryKeyConstraint("consumer_id", "guest_cell", name=op.f("pk_cell_claim")),
        comment="A guest's cell on a cell of its host; what and amount are its memory in cell_stock.",
    )
    op.create_index(op.f("ix_cell_claim_host_id"), "cell_claim", ["host_id"])

    op.create_table(
        "cell_stock",
        sa.Column("host_id", sa.Text(), nullable=False),
        sa.Column("cell", sa.Integer(), nullable=False),
        sa.Column("what", sa.Text(), nullable=False),
        sa.Column("total", sa.BigInteger(), nullable=False),
        sa.Column("capacity", sa.BigInteger(), nullable=False),
        sa.Column("used", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("used >= 0", name=op.f("ck_cell_stock_used")),
        sa.ForeignKeyConstraint(
            ["host_id"], ["host.id"], name=op.f("fk_cell_stock_host_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("host_id", "cell", "what", name=op.f("pk_cell_stock")),
        comment="Floating CPUs, small memory in MiB, pages of each size; capacity is total by ratio.",
    )
    op.create_table(
        "pinned_cpu",
        sa.Column("host_id", sa.Text(), nullable=False),
        sa.Column("cpu", sa.Integer(), nullable=False),
        sa.Column("consumer_id", sa.Text(), nullable=False),
        sa.Column("guest_cell", sa.BigInteger(), nullable=False),
        sa.Column("vcpu", sa.Integer(), nullable=True),
        sa.ForeignKeyConstraint(["host_id"], ["host.id"], name=op.f("fk_pinned_cpu_host_id")),
        sa.PrimaryKeyConstraint("host_id", "cpu", name=op.f("pk_pinned_cpu")),
        comment="A CPU has one guest because this key says so; without vcpu it is the hypervisor's.",
    )
    op.create_index(op.f("ix_pinned_cpu_consumer_id"), "pinned_cpu", ["consumer_id"])
    op.add_column("device", sa.Column("pcie_root", sa.Text(), nullable=True))
