"""Which driver each function had before Lanekeeper gave it away."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from threading import Lock

import msgspec

from lanekeeper.domain import typed
from lanekeeper.domain.pci.address import PciAddress
from lanekeeper.domain.pci.device import PciDevice
from lanekeeper.host.machine import Machine
from lanekeeper.hypervisor.durable_file import write_durably


@dataclass(frozen=True, slots=True)
class Function:
    """What is at an address: its ids as ``8086:10ca``, and its card's serial number if it tells."""

    address: PciAddress
    ids: str
    serial: str | None


def function_of(machine: Machine, device: PciDevice) -> Function:
    """Return what tells *device* from another one; a VF is of its PF's card. Raises NotFound."""
    card = device if device.parent is None else machine.device(device.parent)
    return Function(device.address, f"{device.vendor_id:04x}:{device.product_id:04x}", card.serial)


class GivenAway(msgspec.Struct, frozen=True, omit_defaults=True):
    """Which driver a function had (None: none at all), and whether it got it back.

    Attributes:
        ids, serial: of the function that it was noted for; unknown in what older agents have noted.
    """

    driver: str | None
    is_back: bool = False
    ids: str = ""
    serial: str | None = None

    def is_of(self, function: Function) -> bool:
        """Whether it was noted for this card; what is not known speaks against nothing."""
        if self.ids not in ("", function.ids):
            return False
        return None in (self.serial, function.serial) or self.serial == function.serial


class DriverRecord:
    """Notes by address, each of which counts only for the card that it was made for.

    It lies in a file since a guest's own metadata goes with the guest, before the cleaning.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = Lock()

    def remember(self, drivers: Mapping[Function, str | None]) -> None:
        """Note *drivers*; what is noted and not given back is older, hence right, and stays."""
        with self._lock:
            known = self._load()
            fresh = {
                str(function.address): _noted(function, driver)
                for function, driver in drivers.items()
                if (before := _of(function, known)) is None or before.is_back
            }
            if fresh:
                self._save(known | fresh)

    def driver(self, function: Function) -> GivenAway | None:
        """Return what is noted; None when nothing is, or only of another card at its address."""
        with self._lock:
            return _of(function, self._load())

    def give_back(self, function: Function) -> None:
        """Note that the function has its driver again."""
        with self._lock:
            known = self._load()
            before = _of(function, known)
            if before is not None and not before.is_back:
                after = _noted(function, before.driver, is_back=True)
                self._save(known | {str(function.address): after})

    def _load(self) -> dict[str, GivenAway]:
        if not self._path.exists():
            return {}
        return typed.decode(self._path.read_bytes(), dict[str, GivenAway])

    def _save(self, drivers: dict[str, GivenAway]) -> None:
        write_durably(self._path, msgspec.json.encode(drivers))


def _noted(function: Function, driver: str | None, *, is_back: bool = False) -> GivenAway:
    return GivenAway(driver, is_back=is_back, ids=function.ids, serial=function.serial)


def _of(function: Function, known: Mapping[str, GivenAway]) -> GivenAway | None:
    found = known.get(str(function.address))
    return found if found is not None and found.is_of(function) else None
