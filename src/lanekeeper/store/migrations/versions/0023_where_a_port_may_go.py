"""where ports may go: their inactive bindings, and on which segment each is bound."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None

_COMMENT = (
    "binding_host is a host's name, as clients write it; binding_failure says why not; "
    "segment_id is where it is bound; "
    "bandwidth_provider_id is whose bandwidth it holds while a server has it, and how much."
)


def upgrade() -> None:
    # Alembic would make the table anew on SQLite, whose rows' children go with the old one.
    op.execute(
        "ALTER TABLE port ADD COLUMN segment_id TEXT "
        "CONSTRAINT fk_port_segment_id REFERENCES segment (id)"
    )
    op.create_index("ix_port_segment_id", "port", ["segment_id"])
    # Until now each network had one.
    op.execute(
        "UPDATE port SET segment_id = "
        "(SELECT segment.id FROM segment WHERE segment.network_id = port.network_id) "
        "WHERE vif_type NOT IN ('unbound', 'binding_failed')"
    )
    if op.get_bind().dialect.name == "postgresql":
        op.create_table_comment("port", _COMMENT)
    op.create_table(
        "port_binding",
        sa.Column("port_id", sa.Text(), nullable=False),
        sa.Column("host_name", sa.Text(), nullable=False),
        sa.Column("vnic_type", sa.Text(), nullable=False),
        sa.Column("profile", sa.JSON(), nullable=False),
        sa.Column("vif_type", sa.Text(), nullable=False),
        sa.Column("vif_details", sa.JSON(), nullable=False),
        sa.Column("segment_id", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(
            ["port_id"],
            ["port.id"],
            name=op.f("fk_port_binding_port_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["segment_id"], ["segment.id"], name=op.f("fk_port_binding_segment_id")
        ),
        sa.PrimaryKeyConstraint("port_id", "host_name", name=op.f("pk_port_binding")),
        comment="Where a port may go: its INACTIVE bindings. The ACTIVE one is the port's own row.",
    )
    op.create_index("ix_port_binding_segment_id", "port_binding", ["segment_id"])
