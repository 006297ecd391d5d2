"""Filters: each turns hosts away for one reason, and says which and what would help.

A filter has two faces. ``why`` takes a request and a host and gives a verdict, or None to let the
host pass. The other says the same of all hosts at once: ``mask`` from columns of the fleet, or,
where no column tells, ``alike``, a column of codes such that ``why`` answers hosts of one code
alike. Both hold no state and read no clock, so a decision can be replayed from its inputs.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from lanekeeper.domain.scheduling.fit import fit_devices, without_promises
from lanekeeper.domain.scheduling.fleet import Flags, Fleet, Numbers
from lanekeeper.domain.scheduling.host import HostView, ServerRequest
from lanekeeper.domain.scheduling.place import place
from lanekeeper.domain.scheduling.shortfall import Shortfall


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """Why a host was turned away.

    Attributes:
        code: the filter's name; stable.
        reason: what is so, about the host.
        facts: the numbers and names that led to it.
        remedy: what would help.
    """

    code: str
    reason: str
    remedy: str
    facts: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Filter:
    """One row of ``FILTERS``.

    Attributes:
        why: None lets the host pass; its verdicts have the name of this function for their code.
        mask: which hosts pass; None where only ``why`` can tell.
        alike: hosts of one code have one verdict, but for what names them; None where ``mask`` is.
    """

    why: Callable[[ServerRequest, HostView], Verdict | None]
    mask: Callable[[ServerRequest, Fleet], Flags] | None = None
    alike: Callable[[Fleet], Numbers] | None = None

    @property
    def code(self) -> str:
        return self.why.__name__


def forced_host(request: ServerRequest, host: HostView) -> Verdict | None:
    if request.host in (None, host.name):
        return None
    return Verdict(
        code="forced_host",
        reason=f"is not {request.host}, the only host that was asked for",
        remedy="ask for no host, or for another one",
        facts={"asked": request.host},
    )


def availability_zone(request: ServerRequest, host: HostView) -> Verdict | None:
    if request.zone in (None, host.zone):
        return None
    return Verdict(
        code="availability_zone",
        reason=f"is in zone {host.zone}, not {request.zone}",
        remedy=f"ask for zone {host.zone} or none, or add the host to an aggregate of the zone",
        facts={"asked": request.zone, "zone": host.zone},
    )


def host_enabled(request: ServerRequest, host: HostView) -> Verdict | None:
    if host.enabled:
        return None
    why = f": {host.disabled_reason}" if host.disabled_reason else ""
    return Verdict(
        code="host_enabled",
        reason=f"is disabled{why}",
        remedy=f"openstack compute service set --enable {host.name} nova-compute",
    )


def host_thawed(request: ServerRequest, host: HostView) -> Verdict | None:
    """The part of ``host_alive`` that nobody can do without."""
    if not host.frozen_reason:
        return None
    return Verdict(
        code="host_alive",
        reason=f"is frozen: {host.frozen_reason}",
        remedy=f"once its agent is there: lanekeeper db adopt --host {host.name}",
    )


def host_alive(request: ServerRequest, host: HostView) -> Verdict | None:
    if frozen := host_thawed(request, host):
        return frozen
    if host.alive:
        return None
    return Verdict(
        code="host_alive",
        reason="is down: its agent has not been heard of lately",
        remedy="start lanekeeper agent there, and see whether it reaches the controller",
    )


def vcpu(request: ServerRequest, host: HostView) -> Verdict | None:
    found = _stock(host, "vcpu", "VCPU", request.amounts["VCPU"], "VCPUs")
    if found is None or host.stock("VCPU").capacity:
        return found
    return replace(
        found,
        remedy=f"name some in [compute] cpu_shared_set of {host.name}, or use a flavor with "
        "hw:cpu_policy=dedicated",
    )


def pcpu(request: ServerRequest, host: HostView) -> Verdict | None:
    found = _stock(host, "pcpu", "PCPU", request.amounts.get("PCPU", 0), "CPUs for pinning")
    if found is None or host.stock("PCPU").capacity:
        return found
    return replace(found, remedy=f"name some in [compute] cpu_dedicated_set of {host.name}")


def ram(request: ServerRequest, host: HostView) -> Verdict | None:
    return _stock(host, "ram", "MEMORY_MB", request.ram_mib, "MiB of memory")


def disk(request: ServerRequest, host: HostView) -> Verdict | None:
    return _stock(host, "disk", "DISK_GB", request.disk_gib, "GiB of disk")


def _stock(
    host: HostView, code: str, resource_class: str, wanted: int, words: str
) -> Verdict | None:
    stock = host.stock(resource_class)
    if wanted <= stock.free or wanted == 0:
        return None
    return Verdict(
        code=code,
        reason=f"has {max(stock.free, 0)} of {stock.capacity} {words} free, {wanted} needed",
        remedy="use a smaller flavor, delete servers, or add a host",
        facts={"free": stock.free, "capacity": stock.capacity, "needed": wanted},
    )


def physical_network(request: ServerRequest, host: HostView) -> Verdict | None:
    wanted = {need.physical_networks for need in request.needs if need.physical_networks}
    missing = sorted(
        " or ".join(networks) for networks in wanted if host.physical_networks.isdisjoint(networks)
    )
    if not missing:
        return None
    reached = ", ".join(sorted(host.physical_networks)) or "none"
    return Verdict(
        code="physical_network",
        reason=f"does not reach {', '.join(missing)}; it reaches: {reached}",
        remedy="map a PF to it in [sriov_nic] physical_device_mappings of this host"
        + (", or use a network on one that it reaches" if host.physical_networks else ""),
        facts={"missing": missing, "reached": sorted(host.physical_networks)},
    )


def virtual_switch(request: ServerRequest, host: HostView) -> Verdict | None:
    missing = sorted(
        " or ".join(names) for names in request.switched if host.bridges.keys().isdisjoint(names)
    )
    if not missing:
        return None
    first = missing[0].partition(" ")[0]
    return Verdict(
        code="virtual_switch",
        reason=f"has no virtual switch on {', '.join(missing)} for a normal port; it has some on: "
        f"{', '.join(sorted(host.bridges)) or 'none'}",
        remedy=f"name its bridge in [ovs] bridge_mappings of this host ({first}:BRIDGE), or "
        "create the port with --vnic-type direct",
        facts={"missing": missing, "reached": sorted(host.bridges)},
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
    missing = sorted(
        " or ".join(names) for names in request.paired if host.bridges.keys().isdisjoint(names)
    )
    if not missing:
        return None
    return Verdict(
        code="failover_pair",
        reason=f"has no virtual switch on {', '.join(missing)} for the card that stands by for a "
        f"VF; it has some on: {', '.join(sorted(host.bridges)) or 'none'}",
        remedy="name its bridge in [ovs] bridge_mappings of this host "
        f"({missing[0].partition(' ')[0]}:BRIDGE), or take failover out of the port's binding "
        "profile",
        facts={"missing": missing, "reached": sorted(host.bridges)},
    )


def devices(request: ServerRequest, host: HostView) -> Verdict | None:
    found = (
        fit_devices(without_promises(request.needs), host.devices, isolate=request.isolate)
        if request.needs
        else ()
    )
    if not isinstance(found, Shortfall):
        return None
    return Verdict(
        code="devices",
        reason=found.reason,
        remedy=found.remedy,
        facts={"needs": list(found.names)} | ({"unfit": list(found.unfit)} if found.unfit else {}),
    )


def bandwidth(request: ServerRequest, host: HostView) -> Verdict | None:
    """What ports are promised, each from the PF of its own device; ``devices`` speaks of those."""
    if not any(need.promise for need in request.needs) or devices(request, host) is not None:
        return None
    found = fit_devices(request.needs, host.devices, isolate=request.isolate)
    if not isinstance(found, Shortfall):
        return None
    return Verdict(
        code="bandwidth",
        reason=found.reason,
        remedy=found.remedy,
        facts={
            "needs": list(found.names),
            "promised": {need.name: need.promise.amounts for need in request.needs if need.promise},
        },
    )


def numa(request: ServerRequest, host: HostView) -> Verdict | None:
    found = place(request, host) if request.asks_where else None
    if not isinstance(found, Shortfall):
        return None
    return Verdict(
        code="numa",
        reason=found.reason,
        remedy=found.remedy,
        facts={"needs": list(found.names)},
    )


def _none(fleet: Fleet) -> Flags:
    return np.zeros(len(fleet), np.bool_)


def _all(fleet: Fleet) -> Flags:
    return np.ones(len(fleet), np.bool_)


def _is_forced(request: ServerRequest, fleet: Fleet) -> Flags:
    if request.host is None:
        return _all(fleet)
    mask = _none(fleet)
    if (row := fleet.row_by_name(request.host)) is not None:
        mask[row] = True
    return mask


def _in_zone(request: ServerRequest, fleet: Fleet) -> Flags:
    return _all(fleet) if request.zone is None else fleet.zones.is_(request.zone)


def _has(resource_class: str) -> Callable[[ServerRequest, Fleet], Flags]:
    def mask(request: ServerRequest, fleet: Fleet) -> Flags:
        wanted = request.amounts.get(resource_class, 0)
        if wanted == 0:
            return _all(fleet)
        free = fleet.free.get(resource_class)
        return _none(fleet) if free is None else free >= wanted

    return mask


def _reaches_all(request: ServerRequest, fleet: Fleet) -> Flags:
    mask = _all(fleet)
    for need in request.needs:
        if need.physical_networks:
            mask &= np.logical_or.reduce(
                [fleet.reached.get(name, _none(fleet)) for name in need.physical_networks]
            )
    return mask


def _is_switched(request: ServerRequest, fleet: Fleet) -> Flags:
    return _have_switches(request.switched, fleet)


def _can_pair(request: ServerRequest, fleet: Fleet) -> Flags:
    if not request.paired:
        return _all(fleet)
    return fleet.pairing & _have_switches(request.paired, fleet)


def _have_switches(wanted: Iterable[tuple[str, ...]], fleet: Fleet) -> Flags:
    mask = _all(fleet)
    for networks in wanted:
        found = _none(fleet)
        for network in networks:
            found |= fleet.switched.get(network, _none(fleet))
        mask &= found
    return mask


def _guards(request: ServerRequest, fleet: Fleet) -> Flags:
    return fleet.guarding if request.guarded else _all(fleet)


def claimable(left_out: Collection[str]) -> Filter:
    """A filter of one decision: not the hosts, by name, whose rows contradict each other."""

    def claim(request: ServerRequest, host: HostView) -> Verdict | None:
        if host.name not in left_out:
            return None
        return Verdict(
            code="claim",
            reason="shows free what cannot be claimed",
            remedy="lanekeeper device list shows who holds what; this is a bug worth reporting",
        )

    def mask(request: ServerRequest, fleet: Fleet) -> Flags:
        mask = _all(fleet)
        mask[[row for name in left_out if (row := fleet.row_by_name(name)) is not None]] = False
        return mask

    return Filter(claim, mask)


THAWED = Filter(host_thawed, lambda request, fleet: fleet.thawed)
ALIVE = Filter(host_alive, lambda request, fleet: fleet.thawed & fleet.alive)
ENABLED = Filter(host_enabled, lambda request, fleet: fleet.enabled)
NETWORKS = Filter(physical_network, _reaches_all)
DEVICES = Filter(devices, alike=lambda fleet: fleet.shapes.column)
BANDWIDTH = Filter(bandwidth, alike=lambda fleet: fleet.shapes.column)
PCPUS = Filter(pcpu, _has("PCPU"))
NUMA = Filter(numa, alike=lambda fleet: fleet.numa_shapes.column)

FILTERS: tuple[Filter, ...] = (
    Filter(forced_host, _is_forced),
    Filter(availability_zone, _in_zone),
    ENABLED,
    ALIVE,
    Filter(vcpu, _has("VCPU")),
    PCPUS,
    Filter(ram, _has("MEMORY_MB")),
    Filter(disk, _has("DISK_GB")),
    NETWORKS,
    Filter(virtual_switch, _is_switched),
    Filter(packet_filter, _guards),
    Filter(failover_pair, _can_pair),
    DEVICES,
    BANDWIDTH,
    NUMA,
)
"""In the order of asking: what an operator said, what a host is, what it has."""
