"""What of a policy can be had although some of its entries are refused: at boot that is better.

Nobody is there at boot to mend an entry, and the cards of the others are wanted. An entry that is
refused is left out whole, and what was written for it stays as it is.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from lanekeeper.domain.hostplan.step import Plan, Refusal

Planner = Callable[[frozenset[str]], Plan]
"""Plans without the entries at these paths."""


def plan_rest(plan_without: Planner) -> Plan:
    """Return the plan without the entries that are refused, which it names as *left_out*.

    A refusal that is about no entry, or about what stays without them, refuses all of it as ever.
    """
    without: frozenset[str] = frozenset()
    left: list[Refusal] = []
    found = plan_without(without)
    while found.refusals:
        named = frozenset(entry for refusal in found.refusals for entry in refusal.entries)
        if named <= without or not all(refusal.entries for refusal in found.refusals):
            return found
        left += found.refusals
        without |= named
        found = plan_without(without)
    return replace(found, left_out=tuple(left))
