"""What the guests of one host are made with."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from lanekeeper.agent.driver_record import DriverRecord
from lanekeeper.agent.port_guards import PortGuards
from lanekeeper.clock import Stopwatch
from lanekeeper.host.machine import Machine
from lanekeeper.hypervisor.driver import Hypervisor
from lanekeeper.hypervisor.guest_files import GuestDirectories
from lanekeeper.hypervisor.images import ImageCache

SHUTDOWN_WAIT_S = 10.0
DETACH_WAIT_S = 20.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Workshop:
    """What the guests of one host are made with.

    Attributes:
        shutdown_wait_s: how long a guest may take to end by itself before it is powered off.
        detach_wait_s: how long a guest may take to let go of a device before that is told.
        sleep: waits for so many seconds.
    """

    machine: Machine
    hypervisor: Hypervisor
    directories: GuestDirectories
    images: ImageCache
    drivers: DriverRecord
    guards: PortGuards
    stopwatch: Stopwatch
    shutdown_wait_s: float = SHUTDOWN_WAIT_S
    detach_wait_s: float = DETACH_WAIT_S
    sleep: Callable[[float], None] = time.sleep
