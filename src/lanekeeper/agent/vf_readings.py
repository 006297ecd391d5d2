"""What the VFs of running guests were last seen set to."""

from __future__ import annotations

from collections.abc import Mapping
from threading import Lock

from lanekeeper.domain.pci.address import PciAddress
from lanekeeper.domain.pci.vf_settings import VfSettings


class VfReadings:
    """The last reading of each VF, by its address. Thread-safe.

    A reading counts until the next one: a plan that is made in between still knows what is lost.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._settings: dict[PciAddress, VfSettings] = {}
        self._unsupported: dict[PciAddress, frozenset[str]] = {}

    def settings(self) -> dict[PciAddress, VfSettings]:
        with self._lock:
            return dict(self._settings)

    def unsupported(self) -> dict[PciAddress, frozenset[str]]:
        """Return the settings that a VF's driver has said it does not know."""
        with self._lock:
            return dict(self._unsupported)

    def renew(
        self,
        found: Mapping[PciAddress, VfSettings],
        *,
        unread: frozenset[PciAddress],
        wanted: frozenset[str],
    ) -> None:
        """Take over what was *found*; of what was *unread* the last reading still counts.

        Of VFs whose address is not *wanted* by any server nothing is remembered.
        """
        with self._lock:
            last = {at: one for at, one in self._settings.items() if at in unread}
            self._settings = last | dict(found)
            self._unsupported = {
                at: one for at, one in self._unsupported.items() if str(at) in wanted
            }

    def learned(self, unsupported: Mapping[PciAddress, frozenset[str]]) -> None:
        """Remember the settings that the drivers of VFs have said they do not know."""
        with self._lock:
            self._unsupported |= unsupported

    def forget(self, touched: frozenset[str]) -> None:
        """Drop the readings of the addresses in *touched*: they were set anew since."""
        with self._lock:
            self._settings = {
                at: one for at, one in self._settings.items() if str(at) not in touched
            }
