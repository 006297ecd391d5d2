"""The change that is not at its end: cut off, or made and not confirmed yet."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from lanekeeper.domain.errors import HostFault
from lanekeeper.host.deadline import Now
from lanekeeper.host.hold import guard_file
from lanekeeper.host.journal import Course, Journal, journals
from lanekeeper.host.lock import is_watched


class Standing(StrEnum):
    """What an unfinished change waits for."""

    CUT_OFF = "cut off"
    WAITS = "waits for its confirmation"
    UNWATCHED = "waits for its confirmation, and nobody would take it back"
    DUE = "its time is over, and its guardian takes it back"
    OVERDUE = "its time is over, and nobody takes it back"
    HALF_BACK = "some of it could not be taken back"


@dataclass(frozen=True, slots=True)
class Unfinished:
    """A change that comes before every other one."""

    change: Journal
    standing: Standing

    @property
    def goes_back(self) -> bool:
        """Whether it can only go back, whichever policy is wanted: nobody confirmed it in time."""
        waits = self.standing in (Standing.WAITS, Standing.UNWATCHED)
        return self.change.is_held and not waits


def unfinished_in(directory: Path, now: Now) -> Unfinished | None:
    """Return the change that is not finished; None where all are. Raises HostFault."""
    left = [change for change in journals(directory) if not change.is_finished]
    return unfinished(left[-1], now) if left else None


def unfinished(change: Journal, now: Now) -> Unfinished:
    """Say what *change*, which is not settled, waits for. Raises HostFault."""
    if change.course is Course.LEFT:
        return Unfinished(change, Standing.HALF_BACK)
    if change.course is not Course.UNCONFIRMED:
        return Unfinished(change, Standing.CUT_OFF)
    watched = _is_watched(change)
    if change.deadline is not None and change.deadline.left_s(now()):
        return Unfinished(change, Standing.WAITS if watched else Standing.UNWATCHED)
    return Unfinished(change, Standing.DUE if watched else Standing.OVERDUE)


def _is_watched(change: Journal) -> bool:
    try:
        return is_watched(guard_file(change.path.parent, change.id))
    except HostFault:  # whoever may read alone cannot ask; an alarm would be a guess
        return True
