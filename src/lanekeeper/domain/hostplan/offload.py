"""What cards with an eswitch say, and the virtual switch above them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from lanekeeper.domain.pci.address import PciAddress

OVS_SETTINGS = "ovs-other-config"
"""Questions that programs answer, by the names of their files in a captured machine."""


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
        unanswered: of a captured machine, questions to which it has no answer, and the command
            that gives it on the host.
    """

    modes: Mapping[PciAddress, str] = field(default_factory=dict)
    firmware: Mapping[PciAddress, str] = field(default_factory=dict)
    migratable: Mapping[tuple[PciAddress, int], bool] = field(default_factory=dict)
    migration_modes: Mapping[PciAddress, str] = field(default_factory=dict)
    ovs: Ovs | None = None
    unanswered: Mapping[str, str] = field(default_factory=dict)

    def lacking(self, question: str) -> str:
        """Say which file a captured machine lacks and what makes it; nothing where it does not."""
        command = self.unanswered.get(question)
        if command is None:
            return ""
        file = f"captured/{question}"
        return f"; this tree lacks {file}, which holds what `{command}` prints on the host"


def eswitch_question(pf: PciAddress) -> str:
    return f"devlink-eswitch-{pf}"


def settings_question(pf: PciAddress) -> str:
    return f"mstconfig-{pf}"
