"""What the VFs of running guests were last seen set to."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from threading import Lock

from lanekeeper.domain.pci.address import PciAddress
from lanekeeper.domain.pci.vf_change import VfChange
from lanekeeper.domain.pci.vf_settings import VfSettings
from lanekeeper.protocol import NicWanted, VfMend, VfReading


class VfReadings:
    """The last reading of each VF, by its address. Thread-safe.

    A reading counts until the next one: a plan that is made in between still knows what is lost.
    What a VF had as wanted, and what was mended, is remembered by port, since the next port's VF
    has nothing to do with it.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._settings: dict[PciAddress, VfSettings] = {}
        self._unsupported: dict[PciAddress, frozenset[str]] = {}
        self._settled: dict[str, VfChange] = {}
        self._mends: dict[str, VfMend] = {}
        self._fallen: frozenset[PciAddress] = frozenset()

    def settings(self) -> dict[PciAddress, VfSettings]:
        with self._lock:
            return dict(self._settings)

    def unsupported(self) -> dict[PciAddress, frozenset[str]]:
        """Return the settings that a VF's driver has said it does not know."""
        with self._lock:
            return dict(self._unsupported)

    def fallen(self) -> frozenset[PciAddress]:
        """Return the VFs whose interface was last seen not to carry its macvtap."""
        with self._lock:
            return self._fallen

    def settled(self) -> dict[str, VfChange]:
        """Return what VFs were last seen, or have been, set to as wanted, by port id."""
        with self._lock:
            return dict(self._settled)

    def mends(self) -> dict[str, VfMend]:
        """Return what was last mended, by port id."""
        with self._lock:
            return dict(self._mends)

    def renew(
        self,
        found: Mapping[PciAddress, VfSettings],
        *,
        unread: frozenset[PciAddress],
        wanted: frozenset[str],
        fallen: frozenset[PciAddress] = frozenset(),
    ) -> None:
        """Take over what was *found*; of what was *unread* the last reading still counts.

        Of VFs whose address is not *wanted* by any server nothing is remembered.
        """
        with self._lock:
            last = {at: one for at, one in self._settings.items() if at in unread}
            self._settings = last | dict(found)
            self._fallen = fallen | (self._fallen & unread)
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
            self._fallen = frozenset(at for at in self._fallen if str(at) not in touched)

    def settle(self, nics: Iterable[NicWanted]) -> None:
        """Note that the VFs of *nics* are set as those want it."""
        with self._lock:
            self._settled |= {nic.port_id: nic.settings() for nic in nics}

    def mended(self, nic: NicWanted, taken: Collection[str], at: datetime) -> None:
        """Note that what something else had *taken* from the VF of *nic* was set again."""
        with self._lock:
            was = self._settings.get(PciAddress.parse(nic.device.address), VfSettings())
            mend = VfMend(at=at, lost=list(taken), was=VfReading.of(was))
            self._mends[nic.port_id] = mend

    def keep(self, port_ids: frozenset[str]) -> None:
        """Forget what was settled and mended of all other ports."""
        with self._lock:
            self._settled = {key: one for key, one in self._settled.items() if key in port_ids}
            self._mends = {key: one for key, one in self._mends.items() if key in port_ids}
