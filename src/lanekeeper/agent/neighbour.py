"""Functions beside a device on its bus: taken from their drivers for a reset, and given back."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from lanekeeper.agent.driver_record import DriverRecord, Function, function_of
from lanekeeper.domain.errors import Error, HostFault
from lanekeeper.domain.pci.device import PciDevice
from lanekeeper.domain.pci.driver import is_vfio
from lanekeeper.host.machine import Machine


class Neighbours:
    """Remembers which drivers still have to get a function back, should one attempt have failed."""

    def __init__(self, machine: Machine, drivers: DriverRecord) -> None:
        self._machine = machine
        self._drivers = drivers
        self._owed: dict[Function, str] = {}

    @contextmanager
    def set_free(self, beside: Sequence[PciDevice]) -> Iterator[None]:
        """Take *beside* from drivers of the host; whatever happens meanwhile, they get it back.

        Raises:
            HostFault: a driver did not let go, or did not take its function back; that one is
                tried again the next time. Also what is raised within.
        """
        drivers = dict(self._held(beside))
        self._drivers.remember(drivers)  # for whoever goes on after an end in between
        self._owed |= drivers
        problem = ""
        try:
            for one in drivers:
                self._machine.bind(one.address, None)
            yield
        except Error as error:
            problem = f"{error}; "
            raise
        finally:
            lost = "; ".join(self._give_back(drivers))
            if lost:
                raise HostFault(f"{problem}{lost}", hint="bind it by hand, or restart the host")

    def _held(self, beside: Sequence[PciDevice]) -> Iterator[tuple[Function, str]]:
        for one in beside:
            function = function_of(self._machine, one)
            owed = self._owed.pop(function, None)
            if one.driver is None and owed is not None:
                yield function, owed
            elif one.driver is not None and not is_vfio(one.driver):
                yield function, one.driver

    def _give_back(self, drivers: Mapping[Function, str]) -> Iterator[str]:
        """Yields what went wrong of each that its driver did not take; the others have theirs."""
        for one, driver in drivers.items():
            try:
                self._machine.bind(one.address, driver)
            except Error as error:
                yield f"{one.address}, which was taken from {driver}, is not back there: {error}"
            else:
                self._drivers.give_back(one)
                self._owed.pop(one, None)
