"""Filters that look at a host's virtual switches."""

from __future__ import annotations

from collections.abc import Iterable

from lanekeeper.domain.scheduling.fleet import Flags, Fleet, everyone, nobody
from lanekeeper.domain.scheduling.host import HostView, ServerRequest
from lanekeeper.domain.scheduling.verdict import Filter, Verdict


def virtual_switch(request: ServerRequest, host: HostView) -> Verdict | None:
    return _missing(
        host,
        request.switched,
        code="virtual_switch",
        whose="a normal port",
        without="create the port with --vnic-type direct",
    )


def packet_filter(request: ServerRequest, host: HostView) -> Verdict | None:
    if not request.guarded or host.guards:
        return None
    return Verdict(
        code="packet_filter",
        reason="does not filter packets of normal ports, so their security groups would not be "
        "enforced",
        remedy="take noop out of [securitygroup] firewall_driver of this host, take the groups off "
        "the port, or set [lanekeeper] vf_security_groups to ignore",
    )


def failover_pair(request: ServerRequest, host: HostView) -> Verdict | None:
    if not request.paired:
        return None
    if not host.pairs:
        return Verdict(
            code="failover_pair",
            reason="cannot give a guest a failover pair: its agent, libvirt or QEMU is too old",
            remedy="use libvirt 6.1 and QEMU 4.2 or newer on this host, or take failover out of "
            "the port's binding profile",
        )
    return _missing(
        host,
        request.paired,
        code="failover_pair",
        whose="the card that stands by for a VF",
        without="take failover out of the port's binding profile",
    )


def _missing(
    host: HostView, wanted: Iterable[tuple[str, ...]], *, code: str, whose: str, without: str
) -> Verdict | None:
    """Say which virtual switches the host lacks, of each of *wanted* any; None when none."""
    missing = sorted(
        " or ".join(names) for names in wanted if host.bridges.keys().isdisjoint(names)
    )
    if not missing:
        return None
    reached = sorted(host.bridges)
    first = missing[0].partition(" ")[0]
    return Verdict(
        code=code,
        reason=f"has no virtual switch on {', '.join(missing)} for {whose}; it has some on: "
        f"{', '.join(reached) or 'none'}",
        remedy=f"name its bridge in [ovs] bridge_mappings of this host ({first}:BRIDGE), or "
        f"{without}",
        facts={"missing": missing, "reached": reached},
    )


def _is_switched(request: ServerRequest, fleet: Fleet) -> Flags:
    return _have_switches(request.switched, fleet)


def _can_pair(request: ServerRequest, fleet: Fleet) -> Flags:
    if not request.paired:
        return everyone(fleet)
    return fleet.pairing & _have_switches(request.paired, fleet)


def _have_switches(wanted: Iterable[tuple[str, ...]], fleet: Fleet) -> Flags:
    mask = everyone(fleet)
    for networks in wanted:
        found = nobody(fleet)
        for network in networks:
            found |= fleet.switched.get(network, nobody(fleet))
        mask &= found
    return mask


def _guards(request: ServerRequest, fleet: Fleet) -> Flags:
    return fleet.guarding if request.guarded else everyone(fleet)


SWITCHES: tuple[Filter, ...] = (
    Filter(virtual_switch, _is_switched),
    Filter(packet_filter, _guards),
    Filter(failover_pair, _can_pair),
)
