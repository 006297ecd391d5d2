"""The host that the files are for, as far as the rules look at it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from lanekeeper.domain.hostplan.observed import HostFacts
from lanekeeper.domain.pci.address import PciAddress


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
