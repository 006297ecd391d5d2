"""What a port asks of its VF: its link state, and of a QoS policy what a VF can keep.

A VF holds two rates, both of what its guest sends (egress), in Mbit/s. What it cannot hold is
refused where somebody asks for it, never taken and forgotten.

Source: Linux ``include/uapi/linux/if_link.h``, struct ifla_vf_rate; neutron
``ml2/drivers/mech_sriov``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from lanekeeper.domain.errors import Conflict, Invalid
from lanekeeper.domain.network.port import PortRecord, VnicType
from lanekeeper.domain.network.qos import Direction, QosRule, RuleType
from lanekeeper.domain.pci.vf_ability import VfAbility, lacking
from lanekeeper.domain.pci.vf_settings import LinkState


def link_state(*, admin_state_up: bool, propagate_uplink_status: bool) -> LinkState:
    """What a VF is told of its cable: administratively down always wins.

    Source: neutron ``ml2/drivers/mech_sriov/agent/sriov_nic_agent.py``, set_device_state.
    """
    if not admin_state_up:
        return LinkState.DISABLE
    return LinkState.AUTO if propagate_uplink_status else LinkState.ENABLE


@dataclass(frozen=True, slots=True)
class VfRates:
    """What a PF is told of one VF, Mbit/s: 0 is no guarantee, no limit."""

    min_tx: int = 0
    max_tx: int = 0


def vf_rates(rules: Iterable[QosRule]) -> VfRates:
    """Both rates that *rules* come to, always together: one left out would clear the other.

    What is promised of ingress is a matter of where the port is placed, not of the VF.
    """
    sent = {rule.type: mbps(rule.kbps) for rule in rules if rule.direction == Direction.EGRESS}
    return VfRates(
        min_tx=sent.get(RuleType.MINIMUM_BANDWIDTH, 0),
        max_tx=sent.get(RuleType.BANDWIDTH_LIMIT, 0),
    )


def abilities_needed(port: PortRecord) -> frozenset[VfAbility]:
    """What has to be set on a port's VF and not every driver can."""
    link = link_state(
        admin_state_up=port.admin_state_up, propagate_uplink_status=port.propagate_uplink_status
    )
    needed = {
        VfAbility.LINK_STATE: link is not LinkState.AUTO,
        VfAbility.TRUST: port.is_trusted,
    }
    own = frozenset(ability for ability, is_needed in needed.items() if is_needed)
    return own | abilities_for(port.qos_rules)


def abilities_for(rules: Iterable[QosRule]) -> frozenset[VfAbility]:
    """What has to be set for QoS rules, and not every driver can.

    A guarantee holds without a driver that can: nobody else is promised the same bandwidth of the
    card. It is set where it can be.
    """
    return frozenset({VfAbility.MAX_RATE} if vf_rates(rules).max_tx else ())


def rates_settable(rates: VfRates, driver: str | None) -> VfRates:
    """What of *rates* a PF with this driver is told: a guarantee where it can set one."""
    if VfAbility.MIN_RATE in lacking(driver):
        return VfRates(max_tx=rates.max_tx)
    return rates


def check_able(port: PortRecord, driver: str | None) -> None:
    """Refuse what the driver of the PF, whose VF a port has, cannot set.

    Raises:
        Conflict: code VfSettingNotSupported; the setting is named, and what would help.
    """
    for ability in sorted(abilities_needed(port) & lacking(driver)):
        raise Conflict(
            f"Port {port.id} is on a VF whose PF's driver, {driver}, cannot set {ability}: "
            f"{_ASKED_BY[ability]}",
            hint="take the port from its server and give it back: it then gets a VF that can, "
            "if any host has one",
            code="VfSettingNotSupported",
        )


_ASKED_BY: Mapping[VfAbility, str] = {
    VfAbility.LINK_STATE: "admin_state_up false and propagate_uplink_status false need it",
    VfAbility.TRUST: "trusted true needs it",
    VfAbility.MAX_RATE: "a QoS rule of type bandwidth_limit needs it",
}


RATE_SPEC = "quota:vif_outbound_average"
"""A flavor's extra spec for ports of which no policy speaks: kilobytes a second."""


def flavor_rates(extra_specs: Mapping[str, str]) -> VfRates:
    """The rates of ports of which no policy speaks; none where the flavor says none.

    Raises:
        Invalid: the spec is no number.

    Source: nova ``virt/libvirt/vif.py``, set_vif_bandwidth.
    """
    average = extra_specs.get(RATE_SPEC, "0")
    if not re.fullmatch("[0-9]{1,9}", average):
        raise Invalid(
            f"the flavor has {RATE_SPEC}={average[:32]!r}, which is no whole number of at most 9 "
            "digits",
            hint="it is in kilobytes a second; 125000 is 1 Gbit/s",
        )
    return VfRates(max_tx=mbps(int(average) * 8))


def mbps(kbps: int) -> int:
    """kbit/s in the steps that a VF has: halves are rounded up, and a little is at least one.

    Source: neutron ``ml2/drivers/mech_sriov/agent/eswitch_manager.py``.
    """
    return max(1, (kbps + 500) // 1000) if kbps else 0


_OF_VF = frozenset({VnicType.DIRECT, VnicType.MACVTAP})


def why_not_carried(rule: QosRule, vnic_type: VnicType) -> str | None:
    """Why a port of *vnic_type* cannot keep *rule*, with what would help; None where it can."""
    is_limit = rule.type == RuleType.BANDWIDTH_LIMIT
    if vnic_type in _OF_VF and is_limit and rule.direction == Direction.INGRESS:
        return (
            "a VF limits what its guest sends, and nothing limits what it receives; "
            "use a rule for egress"
        )
    if vnic_type == VnicType.DIRECT_PHYSICAL and is_limit:
        return (
            "a guest that holds the whole PF sets its rate itself; use a VF (vnic_type direct) "
            "where the rate must be held"
        )
    return None


def check_carried(port_id: str, vnic_type: VnicType, rules: Iterable[QosRule]) -> None:
    """Refuse rules that a port would have and not keep.

    Raises:
        Conflict: code QosRuleNotSupported; the rule is named, and why.
    """
    for rule in rules:
        if why := why_not_carried(rule, vnic_type):
            raise Conflict(
                f"Rule {rule.type} ({rule.direction}) is not supported by port {port_id} of "
                f"vnic type {vnic_type}: {why}",
                code="QosRuleNotSupported",
            )
