"""servers can be paused."""

from __future__ import annotations

from alembic import op

revision = "0028"
down_revision = "0027"
branch_labels = None
depends_on = None

BEFORE = "wanted IN ('running', 'stopped', 'absent')"
AFTER = "wanted IN ('running', 'paused', 'stopped', 'absent')"


def upgrade() -> None:
    connection = op.get_bind()
    if connection.dialect.name != "sqlite":
        op.drop_constraint(op.f("ck_server_wanted"), "server", type_="check")
        op.create_check_constraint(op.f("ck_server_wanted"), "server", AFTER)
        return
    # To make the table anew, the other way, would delete with the old one what refers to it.
    # Source: SQLite, "Making Other Kinds Of Table Schema Changes": no row has to be written.
    version = connection.exec_driver_sql("PRAGMA schema_version").scalar_one()
    connection.exec_driver_sql("PRAGMA writable_schema=ON")
    connection.exec_driver_sql(
        "UPDATE sqlite_master SET sql = replace(sql, ?, ?) WHERE type = 'table' AND name = 'server'",
        (BEFORE, AFTER),
    )
    connection.exec_driver_sql(f"PRAGMA schema_version={version + 1}")
    connection.exec_driver_sql("PRAGMA writable_schema=OFF")
