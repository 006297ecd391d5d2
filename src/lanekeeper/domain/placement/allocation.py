"""What consumers hold."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Allocation:
    """One line of an allocation: so many units of a class from a provider for a consumer."""

    consumer_id: str
    provider_id: str
    resource_class: str
    amount: int
