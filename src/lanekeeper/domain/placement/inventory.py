"""How much of a resource class a provider has, and how much of it is taken."""

from __future__ import annotations

from dataclasses import dataclass

INT_MAX = 2**31 - 1
"""Source: placement ``db/constants.py``, MAX_INT."""
RATIO_MAX = 3.40282e38
"""Largest single-precision float. Source: placement ``db/constants.py``, SQL_SP_FLOAT_MAX."""
_CAPACITY_MAX = 2**62
"""Far above all use that can be, and still a number that databases hold."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Inventory:
    """One (provider, resource class). Amounts are in the class's own unit.

    Attributes:
        used: what consumers hold now.
    """

    total: int
    reserved: int = 0
    min_unit: int = 1
    max_unit: int = INT_MAX
    step_size: int = 1
    allocation_ratio: float = 1.0
    used: int = 0

    @property
    def capacity(self) -> int:
        """What may be used in all. Source: placement ``objects/inventory.py``, capacity."""
        exact = (self.total - self.reserved) * self.allocation_ratio
        return int(max(-_CAPACITY_MAX, min(exact, _CAPACITY_MAX)))

    def misfit(self, amount: int) -> str:
        """Say why *amount* is never taken, whatever is free; empty when it may be."""
        if not self.min_unit <= amount <= self.max_unit:
            return f"{amount} is not between min_unit {self.min_unit} and max_unit {self.max_unit}"
        if amount % self.step_size:
            return f"{amount} is not a multiple of step_size {self.step_size}"
        return ""
