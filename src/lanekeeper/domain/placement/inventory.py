"""How much of a resource class a provider has, and how much of it is taken."""

from __future__ import annotations

from dataclasses import dataclass

from lanekeeper.domain.errors import Invalid

INT_MAX = 2**31 - 1
"""Source: placement ``db/constants.py``, MAX_INT."""


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
        return int((self.total - self.reserved) * self.allocation_ratio)

    def refuses(self, amount: int) -> str:
        """Say why *amount* more cannot be taken; empty when it can."""
        if not self.min_unit <= amount <= self.max_unit:
            return f"{amount} is not between min_unit {self.min_unit} and max_unit {self.max_unit}"
        if amount % self.step_size:
            return f"{amount} is not a multiple of step_size {self.step_size}"
        if self.used + amount > self.capacity:
            return f"{amount} asked, {max(self.capacity - self.used, 0)} of {self.capacity} free"
        return ""


def check(name: str, inventory: Inventory) -> None:
    """Refuse an inventory that can hold nothing sensible.

    Raises:
        Invalid: reserved above total.
    """
    if inventory.capacity < 0:
        raise Invalid(
            f"Unable to update inventory for {name}: reserved {inventory.reserved} is more than "
            f"total {inventory.total}"
        )
