"""Who holds which of one host's devices, and what follows for the others.

The database decides who holds what (``store/device/life.py``); this says the same of a host that is
only thought of: how much more fits, what a stream of requests would do.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace

from lanekeeper.domain.errors import Conflict, NotFound
from lanekeeper.domain.scheduling.host import HostDevice, Standing


@dataclass(frozen=True, slots=True)
class Occupancy:
    """One host's devices at one moment. Every verb returns the next moment.

    Attributes:
        devices: the listed ones by id, and those that are gone or no longer listed but held.
        holders: device id to the consumer that holds it.
        dirty: given back and not cleaned yet.
        missing: held, though the host does not show or list them any more.
    """

    devices: Mapping[str, HostDevice]
    holders: Mapping[str, str] = field(default_factory=dict)
    dirty: frozenset[str] = frozenset()
    missing: frozenset[str] = frozenset()

    def standing(self, device_id: str) -> Standing:
        """Where a device stands. A PF and its VFs exclude each other, held or dirty.

        Raises:
            NotFound: the host has no such device.
        """
        device = self._there(device_id)
        if device_id in self.holders:
            return Standing.HELD
        if device_id in self.dirty:
            return Standing.CLEANING
        return Standing.BLOCKED if self._blockers(device) else Standing.FREE

    def views(self) -> tuple[HostDevice, ...]:
        """The devices as the scheduler is to see them now."""
        taken = {*self.holders, *self.dirty}
        parts = Counter(self.devices[one].pf_id for one in taken)
        return tuple(
            replace(
                device,
                standing=self.standing(device.id),
                parts_held=parts[device.pf_id] if device.pf_id else 0,
            )
            for device in self.devices.values()
            if device.id not in self.missing
        )

    def claimed(self, device_ids: Iterable[str], consumer: str) -> Occupancy:
        """All of the devices are *consumer*'s, or none.

        Raises:
            Conflict: one of them is not free; it and what is in its way are named.
            NotFound: the host has no such device.
        """
        now = self
        for device_id in device_ids:
            standing = now.standing(device_id)
            if standing is not Standing.FREE or device_id in now.missing:
                blockers = now._blockers(self.devices[device_id])
                by = f" ({', '.join(sorted(blockers))})" if blockers else ""
                raise Conflict(f"device {device_id} is {standing}{by}, not free")
            now = replace(now, holders={**now.holders, device_id: consumer})
        return now

    def released(self, device_ids: Collection[str]) -> Occupancy:
        """The devices are given back: they have to be cleaned; missing ones are forgotten.

        Raises:
            Conflict: one of them is not held.
            NotFound: the host has no such device.
        """
        for device_id in device_ids:
            self._there(device_id)
            if device_id not in self.holders:
                raise Conflict(f"device {device_id} is not held")
        gone = self.missing & frozenset(device_ids)
        return replace(
            self,
            devices={one: device for one, device in self.devices.items() if one not in gone},
            holders={one: by for one, by in self.holders.items() if one not in device_ids},
            dirty=self.dirty | (frozenset(device_ids) - gone),
            missing=self.missing - gone,
        )

    def cleaned(self, device_ids: Iterable[str]) -> Occupancy:
        return replace(self, dirty=self.dirty - frozenset(device_ids))

    def withdrawn(self, device_id: str) -> Occupancy:
        """The device is taken out of use.

        Raises:
            Conflict: somebody holds it.
            NotFound: the host has no such device.
        """
        if self._there(device_id).id in self.holders:
            raise Conflict(f"device {device_id} is held by {self.holders[device_id]}")
        return self.observed([one for one in self.devices.values() if one.id != device_id])

    def observed(self, listed: Iterable[HostDevice]) -> Occupancy:
        """The host shows and lists these now. What is held stays, whatever it shows."""
        shown = {device.id: device for device in listed}
        missing = frozenset(self.holders) - frozenset(shown)
        return replace(
            self,
            devices={**shown, **{one: self.devices[one] for one in sorted(missing)}},
            dirty=self.dirty & frozenset(shown),
            missing=missing,
        )

    def _blockers(self, device: HostDevice) -> frozenset[str]:
        """The other side of the card, as far as it is held or dirty."""
        taken = {*self.holders, *self.dirty}
        return frozenset(
            one for one in taken if one == device.pf_id or self.devices[one].pf_id == device.id
        )

    def _there(self, device_id: str) -> HostDevice:
        if device_id not in self.devices:
            raise NotFound(f"the host has no device {device_id}")
        return self.devices[device_id]
