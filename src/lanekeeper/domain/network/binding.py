"""Binding: what a port becomes on one host, or every reason why it cannot be there."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from lanekeeper.domain.errors import clause
from lanekeeper.domain.network.failover import is_pair
from lanekeeper.domain.network.port import STANDBY, FixedIp, VifType, VnicType
from lanekeeper.domain.network.segment import NetworkType, Segment

DRIVER = "sriovnicswitch"
"""Neutron's name for what binds VFs and PFs; shown in the port's vif_details."""
SWITCH_DRIVER = "openvswitch"
"""Likewise for what binds normal ports."""

SUPPORTED = frozenset(
    {VnicType.DIRECT, VnicType.MACVTAP, VnicType.DIRECT_PHYSICAL, VnicType.ACCELERATOR_DIRECT}
)
"""What sriovnicswitch binds. Source: neutron ``ml2/drivers/mech_sriov/mech_driver``."""

CARRIED = frozenset({VnicType.NORMAL, VnicType.DIRECT, VnicType.MACVTAP, VnicType.DIRECT_PHYSICAL})
"""What Lanekeeper's hosts can give to a guest."""

_TAGGABLE = frozenset({NetworkType.FLAT, NetworkType.VLAN})


@dataclass(frozen=True, slots=True, kw_only=True)
class HostNetwork:
    """What one host says of its networks.

    Attributes:
        alive: whether its agent was heard of lately.
        mappings: physical network to the PFs (netdev names) that reach it.
        bridges: physical network to the virtual switch that is on it.
        guards: whether it guards ports of those.
        pairs: whether its guests can have failover pairs.
    """

    name: str
    alive: bool = True
    mappings: Mapping[str, Sequence[str]] = field(default_factory=dict)
    bridges: Mapping[str, str] = field(default_factory=dict)
    guards: bool = False
    pairs: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class PortFacts:
    """What binding has to know of a port.

    Attributes:
        subnet_segments: subnet id to the segment that the subnet belongs to; None, or a subnet
            that is not named, means every segment of the network.
    """

    vnic_type: VnicType
    profile: Mapping[str, Any] = field(default_factory=dict)
    fixed_ips: tuple[FixedIp, ...] = ()
    subnet_segments: Mapping[str, str | None] = field(default_factory=dict)

    @property
    def is_pair(self) -> bool:
        """Whether it is a VF with a card of a virtual switch beside it."""
        return is_pair(self.vnic_type, self.profile)


@dataclass(frozen=True, slots=True, kw_only=True)
class Binding:
    """A port's place on a host, as the port's attributes tell it."""

    segment: Segment
    vif_type: VifType
    vif_details: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Reason:
    """One constraint that a host or a port does not meet, and what would help."""

    code: str
    message: str
    hint: str = ""

    def __str__(self) -> str:
        return f"{clause(self.message)}. {self.hint}" if self.hint else self.message


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a port cannot be bound; at least one reason."""

    reasons: tuple[Reason, ...]

    def __str__(self) -> str:
        return "; ".join(map(str, self.reasons))


def bind(
    port: PortFacts,
    segments: Sequence[Segment],
    host: HostNetwork,
    carried: Collection[VnicType] = CARRIED,
) -> Binding | Refusal:
    """Find the first segment on which *host* can serve *port*.

    *carried* are the vnic types that hosts can give to guests, less those that the operator
    prohibits. Unlike Neutron's, a direct-physical port needs a living host that reaches its
    network, as every other does. A normal port needs one whose virtual switch is on it, a failover
    pair both.

    Source: neutron ``plugins/ml2/drivers/mech_sriov/mech_driver/mech_driver.py``, bind_port;
    ``mech_openvswitch``.
    """
    if reason := _of_port(port, carried):
        return Refusal((reason,))
    if not host.alive:
        return Refusal((_dead(host),))
    if port.is_pair and not host.pairs:
        return Refusal((_pairless(host),))
    is_switched = port.vnic_type is VnicType.NORMAL
    reached = host.bridges if is_switched else host.mappings
    reasons: list[Reason] = []
    for segment in _allowed(port, segments):
        if segment.network_type not in _TAGGABLE:
            reasons.append(_no_physical(segment))
        elif segment.physical_network not in reached:
            reasons.append(
                _unswitched(segment, host, is_pair=False)
                if is_switched
                else _unmapped(segment, host)
            )
        elif port.is_pair and segment.physical_network not in host.bridges:
            reasons.append(_unswitched(segment, host, is_pair=True))
        else:
            return _bound(port, segment, host)
    return Refusal(tuple(reasons) or (_no_segment(),))


def vif_details(vlan: int) -> dict[str, Any]:
    """What a port bound to a VF or a PF shows; *vlan* is text there, ``"0"`` for untagged."""
    return {
        "port_filter": False,
        "connectivity": "l2",
        "vlan": str(vlan),
        "bound_drivers": {"0": DRIVER},
    }


def switch_details(bridge: str, *, guards: bool = False) -> dict[str, Any]:
    """What a port bound to a virtual switch shows; *guards* says whether its host guards it.

    Source: neutron ``mech_openvswitch/mech_driver/mech_openvswitch.py``, get_vif_details;
    ``port_filter`` is false as with ``firewall_driver = noop``.
    """
    return {
        "port_filter": guards,
        "connectivity": "l2",
        "ovs_hybrid_plug": False,
        "datapath_type": "system",
        "bridge_name": bridge,
        "bound_drivers": {"0": SWITCH_DRIVER},
    }


def _of_port(port: PortFacts, carried: Collection[VnicType]) -> Reason | None:
    vnic_type = port.vnic_type
    if vnic_type not in {*SUPPORTED, VnicType.NORMAL} or vnic_type not in carried:
        offered = ", ".join(sorted({*SUPPORTED, VnicType.NORMAL}.intersection(carried))) or "none"
        return Reason(
            "vnic_type",
            f"vnic type {vnic_type} is not carried by any host",
            f"the vnic types carried here: {offered}",
        )
    capabilities = port.profile.get("capabilities") or ()
    if vnic_type is VnicType.DIRECT and "switchdev" in capabilities:
        return Reason(
            "switchdev",
            "the profile asks for switchdev, whose representors no host plugs into a switch yet",
            "take switchdev out of the capabilities in the binding profile",
        )
    return None


def _allowed(port: PortFacts, segments: Sequence[Segment]) -> list[Segment]:
    """Leave the segments to which the port's addresses belong, or all."""
    named = {port.subnet_segments.get(fixed.subnet_id) for fixed in port.fixed_ips} - {None}
    return [segment for segment in segments if not named or segment.id in named]


def _bound(port: PortFacts, segment: Segment, host: HostNetwork) -> Binding:
    if port.vnic_type is VnicType.NORMAL:
        bridge = host.bridges[segment.physical_network or ""]
        details = switch_details(bridge, guards=host.guards)
        return Binding(segment=segment, vif_type=VifType.OVS, vif_details=details)
    whole = port.vnic_type is VnicType.DIRECT_PHYSICAL
    details = vif_details(segment.vlan)
    if port.is_pair:
        bridge = host.bridges[segment.physical_network or ""]
        details[STANDBY] = {"bridge_name": bridge, "port_filter": host.guards}
    return Binding(
        segment=segment,
        vif_type=VifType.HOSTDEV_PHYSICAL if whole else VifType.HW_VEB,
        vif_details=details,
    )


def _dead(host: HostNetwork) -> Reason:
    return Reason(
        "agent_dead",
        f"the agent of host {host.name} has not been heard of lately",
        "start lanekeeper agent there, or choose another host",
    )


def _no_physical(segment: Segment) -> Reason:
    return Reason(
        "network_type",
        f"a {segment.network_type} segment has no physical network that a VF could be on",
        "use a network of type vlan or flat",
    )


def _unmapped(segment: Segment, host: HostNetwork) -> Reason:
    reached = ", ".join(sorted(host.mappings)) or "none"
    return Reason(
        "physical_network",
        f"host {host.name} does not reach {segment.physical_network}; it reaches: {reached}",
        f"map it in [sriov_nic] physical_device_mappings, or tag devices in [pci] device_spec "
        f"with physical_network {segment.physical_network}",
    )


def _unswitched(segment: Segment, host: HostNetwork, *, is_pair: bool) -> Reason:
    reached = ", ".join(sorted(host.bridges)) or "none"
    whose = " for the card that stands by" if is_pair else ""
    instead = (
        "take failover out of the binding profile"
        if is_pair
        else "create the port with --vnic-type direct"
    )
    return Reason(
        "no_vswitch",
        f"host {host.name} has no virtual switch on {segment.physical_network}{whose}; it has some "
        f"on: {reached}",
        f"name its bridge in [ovs] bridge_mappings of that host: {segment.physical_network}:BRIDGE;"
        f" or {instead}",
    )


def _pairless(host: HostNetwork) -> Reason:
    return Reason(
        "no_pairs",
        f"host {host.name} cannot give a guest a failover pair: its agent is older than that, or "
        "its libvirt or QEMU is",
        "use libvirt 6.1 and QEMU 4.2 or newer there, or take failover out of the binding profile",
    )


def _no_segment() -> Reason:
    return Reason("segment", "the network has no segment that the port's addresses may be on")
