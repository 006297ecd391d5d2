"""QoS policies: how fast a port may send, and how fast it is promised to.

Source: neutron ``objects/qos``; neutron-lib ``services/qos/constants.py``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from lanekeeper.domain.errors import Conflict, Invalid

KBPS_MAX = 2**31 - 1
"""What Neutron's columns hold."""


class RuleType(StrEnum):
    """What a rule is about. Source: neutron-lib ``services/qos/constants.py``."""

    BANDWIDTH_LIMIT = "bandwidth_limit"
    MINIMUM_BANDWIDTH = "minimum_bandwidth"


class Direction(StrEnum):
    """As the guest sees it: egress is what it sends."""

    EGRESS = "egress"
    INGRESS = "ingress"


@dataclass(frozen=True, slots=True, kw_only=True)
class QosRule:
    """One rule of a policy.

    Attributes:
        kbps: of a limit ``max_kbps``, where 0 is none; of a guarantee ``min_kbps``. kbit/s.
        burst_kbps: of a limit ``max_burst_kbps``, kbit; a VF has no burst.
    """

    id: str
    type: RuleType
    direction: Direction = Direction.EGRESS
    kbps: int = 0
    burst_kbps: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class QosPolicyRecord:
    """A policy as stored. A fact, never edited."""

    id: str
    project_id: str
    created_at: datetime
    updated_at: datetime
    name: str = ""
    description: str = ""
    shared: bool = False
    is_default: bool = False
    rules: tuple[QosRule, ...] = ()
    tags: tuple[str, ...] = ()
    revision: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class QosPolicyWanted:
    """What a request says of a new policy, checked for its types only."""

    name: str
    project_id: str | None = None
    description: str = ""
    shared: bool = False
    is_default: bool = False


def check_rules(policy_id: str, rules: Sequence[QosRule]) -> None:
    """Refuse rules that contradict each other.

    Source: neutron ``objects/qos/qos_policy_validator.py``.

    Raises:
        Conflict: codes QoSRulesConflict, QoSRuleParameterConflict; both rules are named.
    """
    seen: dict[tuple[RuleType, Direction], QosRule] = {}
    for rule in rules:
        other = seen.setdefault((rule.type, rule.direction), rule)
        if other is not rule:
            raise Conflict(
                f"Rule {rule.type} conflicts with rule {other.id}, which QoS Policy {policy_id} "
                f"has for {rule.direction} already",
                hint="change that rule, or delete it first",
                code="QoSRulesConflict",
            )
    for direction in Direction:
        least = seen.get((RuleType.MINIMUM_BANDWIDTH, direction))
        most = seen.get((RuleType.BANDWIDTH_LIMIT, direction))
        if least and most and least.kbps > most.kbps:
            raise Conflict(
                f"QoS policy {policy_id} would promise {least.kbps} kbit/s of {direction} and "
                f"allow no more than {most.kbps}",
                hint=f"min_kbps of rule {least.id} must not be above max_kbps of rule {most.id}",
                code="QoSRuleParameterConflict",
            )


def check_kbps(value: int, field: str) -> int:
    """Pass a rate.

    Raises:
        Invalid: out of Neutron's range; the message names *field*.
    """
    if not 0 <= value <= KBPS_MAX:
        raise Invalid(f"{field} {value} is not in 0..{KBPS_MAX}")
    return value


def rule_stored(rule: QosRule) -> dict[str, Any]:
    """A rule as it is kept with its policy."""
    return {
        "id": rule.id,
        "type": str(rule.type),
        "direction": str(rule.direction),
        "kbps": rule.kbps,
        "burst_kbps": rule.burst_kbps,
    }


def rule_read(stored: Mapping[str, Any]) -> QosRule:
    """The rule that ``rule_stored`` kept."""
    return QosRule(
        id=stored["id"],
        type=RuleType(stored["type"]),
        direction=Direction(stored["direction"]),
        kbps=stored["kbps"],
        burst_kbps=stored["burst_kbps"],
    )
