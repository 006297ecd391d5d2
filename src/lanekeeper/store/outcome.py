"""What is known of a change whose COMMIT failed: made, not made, or nobody can tell."""

from __future__ import annotations

import sqlite3

from sqlalchemy.exc import DBAPIError

from lanekeeper.domain.errors import Unavailable

UNKNOWN = "lanekeeper.database.outcome_unknown"
"""The change was being committed when the database went away."""

# Connection exceptions and operator intervention: the server may have committed before it went.
# Source: PostgreSQL's manual, appendix A.
_CLASSES_OF_LOSS = ("08", "57P")


def sqlstate(error: DBAPIError) -> str | None:
    """PostgreSQL's own code for what went wrong; None when it said nothing."""
    state: str | None = getattr(error.orig, "sqlstate", None)
    return state


def is_undone(error: DBAPIError) -> bool:
    """Whether a COMMIT that failed with *error* has certainly changed nothing.

    A disk that refuses to sync leaves SQLite's journal in doubt; a full one was never written to.
    """
    if isinstance(error.orig, sqlite3.Error):
        code = getattr(error.orig, "sqlite_errorcode", None)
        return code in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_BUSY)
    state = sqlstate(error)
    return state is not None and not state.startswith(_CLASSES_OF_LOSS)


def outcome_unknown(why: object) -> Unavailable:
    """Say that nobody knows whether a change was made."""
    return Unavailable(
        f"the database was lost while it committed ({why}): the change may have been made or not",
        hint="look whether it is there before asking again",
        code=UNKNOWN,
    )
