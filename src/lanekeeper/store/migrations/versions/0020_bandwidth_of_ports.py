"""bandwidth that ports are promised, and the cards that have it."""

from __future__ import annotations

from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None


_COMMENTS = {
    "resource_provider": "owner: api (made by a client, theirs whole), host, device (inventory is "
    "derived), or bandwidth (a host's interface, as its agent is configured).",
    "port": "binding_host is a host's name, as clients write it; binding_failure says why not; "
    "bandwidth_provider_id is whose bandwidth it holds while a server has it, and how much.",
}


def upgrade() -> None:
    # Alembic would make the tables anew on SQLite, whose rows' children go with the old ones.
    op.execute("ALTER TABLE device ADD COLUMN bandwidth_provider_id TEXT")
    op.execute("ALTER TABLE port ADD COLUMN bandwidth_provider_id TEXT")
    for name in ("egress_kbps", "ingress_kbps"):
        op.execute(f"ALTER TABLE port ADD COLUMN {name} BIGINT NOT NULL DEFAULT 0")
    if op.get_bind().dialect.name == "postgresql":
        for table, comment in _COMMENTS.items():
            op.create_table_comment(table, comment)
