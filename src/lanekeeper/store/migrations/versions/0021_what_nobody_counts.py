"""a device that no provider counts is told of by its host: the triggers alone, made anew.

``schema.upgrade`` makes them after the last migration.
"""

from __future__ import annotations

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Change no table."""
