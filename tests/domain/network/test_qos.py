"""QoS rules: which go together, and what of them a VF keeps."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lanekeeper.domain.errors import Conflict
from lanekeeper.domain.network.port import VnicType
from lanekeeper.domain.network.qos import (
    KBPS_MAX,
    Direction,
    QosRule,
    RuleType,
    check_rules,
    rule_read,
    rule_stored,
)
from lanekeeper.domain.network.vf_wanted import VfRates, check_carried, mbps, vf_rates

LIMIT, GUARANTEE = RuleType.BANDWIDTH_LIMIT, RuleType.MINIMUM_BANDWIDTH
INGRESS = Direction.INGRESS


def rule(kind: RuleType, kbps: int, direction: Direction = Direction.EGRESS) -> QosRule:
    return QosRule(id=f"{kind}-{direction}-{kbps}", type=kind, direction=direction, kbps=kbps)


def test_both_rates_are_of_what_the_guest_sends() -> None:
    rules = [rule(LIMIT, 10_000), rule(GUARANTEE, 4_000), rule(GUARANTEE, 9_000, INGRESS)]
    assert vf_rates(rules) == VfRates(min_tx=4, max_tx=10)
    assert vf_rates([]) == VfRates()


@given(st.integers(0, KBPS_MAX))
def test_mbit_steps_never_turn_a_limit_into_none(kbps: int) -> None:
    assert (mbps(kbps) == 0) == (kbps == 0)
    assert mbps(kbps) == 1 or abs(mbps(kbps) * 1000 - kbps) <= 500


@pytest.mark.parametrize(
    ("rules", "code", "said"),
    [
        ([rule(LIMIT, 1), rule(LIMIT, 2)], "QoSRulesConflict", "bandwidth_limit-egress-1"),
        ([rule(LIMIT, 5), rule(GUARANTEE, 6)], "QoSRuleParameterConflict", "6 kbit/s of egress"),
    ],
)
def test_rules_that_contradict_each_other(rules: list[QosRule], code: str, said: str) -> None:
    with pytest.raises(Conflict, match=said) as caught:
        check_rules("p", rules)
    assert caught.value.code == code
    check_rules("p", [rules[0], rule(GUARANTEE, 6, INGRESS)])


@pytest.mark.parametrize(
    ("vnic_type", "asked", "kept"),
    [
        (VnicType.DIRECT, rule(LIMIT, 1), True),
        (VnicType.MACVTAP, rule(LIMIT, 1, INGRESS), False),
        (VnicType.DIRECT, rule(LIMIT, 1, INGRESS), False),
        (VnicType.DIRECT, rule(GUARANTEE, 1, INGRESS), True),
        (VnicType.DIRECT_PHYSICAL, rule(LIMIT, 1), False),
        (VnicType.DIRECT_PHYSICAL, rule(GUARANTEE, 1), True),
    ],
)
def test_what_a_port_cannot_keep_is_refused(
    vnic_type: VnicType, asked: QosRule, kept: bool
) -> None:
    if kept:
        check_carried("p", vnic_type, [asked])
        return
    with pytest.raises(Conflict, match="; use a") as caught:
        check_carried("p", vnic_type, [asked])
    assert caught.value.code == "QosRuleNotSupported"


def test_a_rule_is_read_as_it_was_stored() -> None:
    one = QosRule(id="r", type=LIMIT, direction=INGRESS, kbps=3, burst_kbps=2)
    assert rule_read(rule_stored(one)) == one
