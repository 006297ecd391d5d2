"""Functions that wait for guests whole, and those that guests have."""

from __future__ import annotations

from collections.abc import Iterator

from lanekeeper.domain.hostplan.adoption.note import Note
from lanekeeper.domain.hostplan.observed import HostFacts
from lanekeeper.domain.hostplan.steps.vf import named
from lanekeeper.domain.pci.device import PciDevice


def given_away(host: HostFacts) -> Iterator[PciDevice]:
    """Yield the functions that wait for guests whole; one that a guest has is that guest's."""
    return (device for device in _for_guests(host) if device.address not in host.holders)


def whole_notes(host: HostFacts) -> Iterator[Note]:
    """Name those that somebody has."""
    for device in _for_guests(host):
        if device.address in host.holders:
            yield Note(named(device, host), "left out: a device that is in use keeps its driver")


def _for_guests(host: HostFacts) -> Iterator[PciDevice]:
    for device in host.whole:
        if device.driver is not None and "vfio" in device.driver and not device.num_vfs:
            yield device
