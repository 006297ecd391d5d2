"""The host that the files are for, as far as the rules look at it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from lanekeeper.domain.errors import some
from lanekeeper.domain.hostplan.observed import HostFacts
from lanekeeper.domain.pci.address import PciAddress
from lanekeeper.domain.pci.device import PciDevice


@dataclass(frozen=True, slots=True)
class Host:
    """One host.

    Attributes:
        name: what the findings call it: a file, a directory or ``this host``.
        disks: where what is on a controller's disks is mounted.
    """

    name: str
    facts: HostFacts
    disks: Mapping[PciAddress, tuple[str, ...]] = field(default_factory=dict)


_LISTED_MAX = 4


def listed(devices: tuple[PciDevice, ...]) -> str:
    """Name the first few of *devices*."""
    names = (f"{d.address}{f' ({d.netdev})' if d.netdev else ''}" for d in devices)
    return some(names, _LISTED_MAX)


def left_out(devices: tuple[PciDevice, ...]) -> str:
    """Say of *devices* that an alias asks for them, and that nothing lists them."""
    is_one = len(devices) == 1
    return f"{listed(devices)} {'is' if is_one else 'are'} there, and no device_spec lists " + (
        "it" if is_one else "them"
    )


def entry_of(device: PciDevice) -> str:
    """Write the entry that lists *device* and its like."""
    ids = f'"vendor_id": "{device.vendor_id:04x}", "product_id": "{device.product_id:04x}"'
    return f"device_spec = {{{ids}}}"
