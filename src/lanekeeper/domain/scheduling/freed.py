"""Whether it would help that what is held, spent or kept back were free.

Who is told to free devices, and finds then that something else is in the way, was told the wrong
thing: what is in the way even so is said at once.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from lanekeeper.domain.scheduling.fit import fit_devices, without_promises
from lanekeeper.domain.scheduling.host import DeviceNeed, HostDevice, Standing
from lanekeeper.domain.scheduling.shortfall import Shortfall
from lanekeeper.domain.topology.affinity import ANYWHERE, Locality


def all_free(devices: Iterable[HostDevice]) -> tuple[HostDevice, ...]:
    """The same devices as if nobody had one, and nothing were wrong with any."""
    return tuple(replace(one, standing=Standing.FREE, parts_held=0, behind=()) for one in devices)


def even_if_free(
    short: Shortfall,
    needs: Sequence[DeviceNeed],
    devices: Sequence[HostDevice],
    guest: Locality = ANYWHERE,
    *,
    isolate: bool = False,
) -> Shortfall:
    """Return *short*, or what would stand against the needs if all devices were free."""
    if not short.is_taken:
        return short
    return past_help(
        short, fit_devices(without_promises(needs), all_free(devices), guest, isolate=isolate)
    )


def past_help(short: Shortfall, freed: object) -> Shortfall:
    """Return *short* together with what was found of the same where all is *freed*, if it lacks."""
    if not isinstance(freed, Shortfall) or freed.is_given_up:
        return short
    return replace(
        short,
        reason=f"{short.reason}; and even if all of these were free, {freed.reason}",
        remedy=freed.remedy,
        is_too_far=freed.is_too_far,
        is_taken=False,
        is_past_help=True,
    )
