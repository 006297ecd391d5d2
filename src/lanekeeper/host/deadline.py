"""Until when a change waits for its confirmation, told so that no clock can be turned for it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import msgspec

from lanekeeper.clock import utc_now
from lanekeeper.host.attribute import read_text

_BOOT_ID = "proc/sys/kernel/random/boot_id"


@dataclass(frozen=True, slots=True)
class Moment:
    """One moment on one machine.

    Attributes:
        boot: the kernel's id of this boot; empty where there is none.
        uptime_s: seconds since the boot, suspended ones too. Nobody can set this clock.
        wall: for people to read.
    """

    boot: str
    uptime_s: float
    wall: datetime


Now = Callable[[], Moment]
"""Returns the present moment."""


def moment(root: Path = Path("/")) -> Moment:
    """Return this moment on the machine below *root*. Source: clock_gettime(2), CLOCK_BOOTTIME.

    Raises:
        HostFault: the kernel refused to say which boot this is.
    """
    boot = read_text(str(root / _BOOT_ID)) or ""
    return Moment(boot, time.clock_gettime(time.CLOCK_BOOTTIME), utc_now())


class Deadline(msgspec.Struct, frozen=True):
    """A moment that will come *span_s* after it was set, or with the next boot.

    Attributes:
        wall: when it comes if nobody turns the clock; decides nothing.
    """

    boot: str
    uptime_s: float
    span_s: float
    wall: datetime

    def left_s(self, now: Moment) -> float:
        """Return the seconds that are left; 0 when it has come, another boot included."""
        left = self.uptime_s - now.uptime_s
        if now.boot != self.boot or left > self.span_s:  # an uptime that fell is another boot
            return 0.0
        return max(left, 0.0)


def deadline(now: Moment, span_s: float) -> Deadline:
    """Return the deadline that comes *span_s* seconds after *now*."""
    wall = now.wall + timedelta(seconds=span_s)
    return Deadline(now.boot, now.uptime_s + span_s, span_s, wall)
