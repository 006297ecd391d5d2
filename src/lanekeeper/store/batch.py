"""Long lists of ids, some at a time: databases bound the number of values in a statement.

Source: PostgreSQL's frontend/backend protocol, "Bind" (a 16-bit count); SQLite,
``SQLITE_MAX_VARIABLE_NUMBER`` (32766).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

MOST = 1000
"""Values of one list in one statement."""


def batches(ids: Iterable[str], most: int = MOST) -> Iterator[list[str]]:
    """Each of *ids* once, ascending, at most *most* together; nothing for none."""
    ordered = sorted(set(ids))
    for start in range(0, len(ordered), most):
        yield ordered[start : start + most]
