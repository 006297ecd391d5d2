"""What a port is promised of its card's bandwidth: the minimum_bandwidth rules of its policy."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from lanekeeper.domain.network.qos import Direction, QosRule, RuleType

EGRESS, INGRESS = "NET_BW_EGR_KILOBIT_PER_SEC", "NET_BW_IGR_KILOBIT_PER_SEC"
"""Resource classes, as the guest sees it: egress is what it sends."""


@dataclass(frozen=True, slots=True)
class Promise:
    """kbit/s; 0 is nothing."""

    egress_kbps: int = 0
    ingress_kbps: int = 0

    def __bool__(self) -> bool:
        return bool(self.egress_kbps or self.ingress_kbps)

    @property
    def amounts(self) -> dict[str, int]:
        """Resource class to amount, of what is promised at all."""
        both = {EGRESS: self.egress_kbps, INGRESS: self.ingress_kbps}
        return {name: amount for name, amount in both.items() if amount}


NOTHING = Promise()


def promise_of(rules: Iterable[QosRule]) -> Promise:
    """What the rules of a port's policy promise."""
    told = {rule.direction: rule.kbps for rule in promising(rules)}
    return Promise(told.get(Direction.EGRESS, 0), told.get(Direction.INGRESS, 0))


def promising(rules: Iterable[QosRule]) -> list[QosRule]:
    return [rule for rule in rules if rule.type == RuleType.MINIMUM_BANDWIDTH]
