"""How much each weigher counts: a part of the configuration."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Multipliers:
    """How much each weigher counts; negative ones turn it round (pack instead of spread).

    Source: nova ``conf/scheduler.py``, whose defaults these are.
    """

    pci: float = 1.0
    cpu: float = 1.0
    ram: float = 1.0
    disk: float = 1.0
    soft_affinity: float = 1.0
    soft_anti_affinity: float = 1.0
