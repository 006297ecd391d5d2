"""Flavors: the sizes in which servers come."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

ALIAS_SPEC = "pci_passthrough:alias"


@dataclass(frozen=True, slots=True, kw_only=True)
class Flavor:
    """One size. Memory and swap in MiB, disks in GiB; *extra_specs* values are text."""

    id: str
    name: str
    vcpus: int
    ram_mib: int
    disk_gib: int
    ephemeral_gib: int = 0
    swap_mib: int = 0
    rxtx_factor: float = 1.0
    is_public: bool = True
    disabled: bool = False
    description: str | None = None
    extra_specs: Mapping[str, str] = field(default_factory=dict)
    created_at: datetime | None = None

    def embedded(self) -> dict[str, Any]:
        """What a server keeps of its flavor: later changes of the flavor do not reach it."""
        return {
            "id": self.id,
            "name": self.name,
            "vcpus": self.vcpus,
            "ram_mib": self.ram_mib,
            "disk_gib": self.disk_gib,
            "ephemeral_gib": self.ephemeral_gib,
            "swap_mib": self.swap_mib,
            "extra_specs": dict(self.extra_specs),
        }
