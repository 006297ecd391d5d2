"""What a request that failed half-way has to say: that something of it is stored."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from lanekeeper.domain.errors import Unavailable
from lanekeeper.store.database import counting_commits
from lanekeeper.store.outcome import UNKNOWN

STORED = "lanekeeper.database.stored"
"""The request's change was committed; the database went away before its answer was read."""


@contextmanager
def telling_what_is_stored() -> Iterator[None]:
    """Let a failure within say so when something was committed before it.

    Raises:
        Unavailable: as within, with code STORED when there was a commit.
    """
    with counting_commits() as commits:
        try:
            yield
        except Unavailable as error:
            if not commits or error.code == UNKNOWN:
                raise
            raise Unavailable(
                f"what was asked for is stored, at least in part, but {error}",
                hint="look whether it is there before asking again",
                code=STORED,
            ) from error
