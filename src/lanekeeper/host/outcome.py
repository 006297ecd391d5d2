"""What became of one change of a host, told to whoever made it or took it back."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from lanekeeper.host.journal import Course


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one change.

    Attributes:
        change: its number in the journal.
        course: ``APPLIED``, ``UNCONFIRMED``, ``TAKEN_BACK``, or when an undo failed too ``BACK``;
            ``LEFT`` when that keeps no other change from being made.
        failure: why it could not be applied; empty when it was, or when going back was asked.
        left: what could not be taken back, and why; it was given up where it is ``TAKEN_BACK``.
        kept: what somebody edited since and was to be replaced, and where a copy is.
        confirm_by: when it goes back unless somebody confirms it; None when it does not.
        is_past: whether it went back in another boot than that which it began in, which has taken
            more from the host than this change could give back.
    """

    change: int
    course: Course
    failure: str = ""
    left: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()
    confirm_by: datetime | None = None
    is_past: bool = False

    @property
    def is_open(self) -> bool:
        """Whether some of it is still to be taken back."""
        return self.course in (Course.BACK, Course.LEFT)
