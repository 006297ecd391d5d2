"""What cards with an eswitch say, and the virtual switch above them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from lanekeeper.domain.pci.address import PciAddress


@dataclass(frozen=True, slots=True, kw_only=True)
class Ovs:
    """What Open vSwitch was told: ``other_config`` of its one record, as text, and its bridges."""

    settings: Mapping[str, str] = field(default_factory=dict)
    bridges: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Offload:
    """What cards with an eswitch say, and the virtual switch above them.

    Attributes:
        modes: of each card's eswitch: ``legacy`` or ``switchdev``.
        firmware: version that runs on each card.
        migratable: of VFs, by PF and VF index.
        migration_modes: VF_MIGRATION_MODE in each card's own settings.
        ovs: None when Open vSwitch does not run.
    """

    modes: Mapping[PciAddress, str] = field(default_factory=dict)
    firmware: Mapping[PciAddress, str] = field(default_factory=dict)
    migratable: Mapping[tuple[PciAddress, int], bool] = field(default_factory=dict)
    migration_modes: Mapping[PciAddress, str] = field(default_factory=dict)
    ovs: Ovs | None = None
