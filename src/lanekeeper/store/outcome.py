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

# What is wrong with a statement and not with the database: only the statement is undone.
_MERELY_WRONG = frozenset(
    {
        sqlite3.SQLITE_ERROR,
        sqlite3.SQLITE_CONSTRAINT,
        sqlite3.SQLITE_MISMATCH,
        sqlite3.SQLITE_MISUSE,
        sqlite3.SQLITE_RANGE,
        sqlite3.SQLITE_TOOBIG,
    }
)


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


def may_have_dropped_transaction(error: DBAPIError) -> bool:
    """Whether SQLite may have undone the whole transaction, and not only the statement.

    It may when the disk is full, an access fails, memory is short, a lock is not had; and when the
    file is not what it should be, nothing in the transaction is to be trusted. A statement that
    never came to SQLite has no code.

    Source: SQLite, "Response To Errors Within A Transaction".
    """
    code = getattr(error.orig, "sqlite_errorcode", None)
    return code is not None and code & 0xFF not in _MERELY_WRONG


def outcome_unknown(why: object) -> Unavailable:
    """Say that nobody knows whether a change was made."""
    return Unavailable(
        f"the database was lost while it committed ({why}): the change may have been made or not",
        hint="look whether it is there before asking again",
        code=UNKNOWN,
    )
