"""what is looked up often has an index."""

from __future__ import annotations

from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("ix_host_credential_hash", "host", ["credential_hash"])
    op.create_index("ix_host_next_credential_hash", "host", ["next_credential_hash"])
    op.create_index("ix_server_event_at", "server_event", ["at"])
