"""Filters: each turns hosts away for one reason, and says which and what would help."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import replace

import numpy as np

from lanekeeper.domain.scheduling.fit import fit_devices, without_promises
from lanekeeper.domain.scheduling.fleet import Flags, Fleet, everyone, nobody
from lanekeeper.domain.scheduling.freed import even_if_free
from lanekeeper.domain.scheduling.host import HostView, ServerRequest
from lanekeeper.domain.scheduling.place import place
from lanekeeper.domain.scheduling.shortfall import Shortfall
from lanekeeper.domain.scheduling.switch_filter import SWITCHES
from lanekeeper.domain.scheduling.verdict import Filter, Verdict


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


def devices(request: ServerRequest, host: HostView) -> Verdict | None:
    found = (
        fit_devices(without_promises(request.needs), host.devices, isolate=request.isolate)
        if request.needs
        else ()
    )
    if not isinstance(found, Shortfall):
        return None
    found = even_if_free(found, request.needs, host.devices, isolate=request.isolate)
    facts = {"unfit": list(found.unfit), "past_help": found.is_past_help}
    return Verdict(
        code="devices",
        reason=found.reason,
        remedy=found.remedy,
        facts={"needs": list(found.names)} | {name: fact for name, fact in facts.items() if fact},
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


def _is_forced(request: ServerRequest, fleet: Fleet) -> Flags:
    if request.host is None:
        return everyone(fleet)
    mask = nobody(fleet)
    if (row := fleet.row_by_name(request.host)) is not None:
        mask[row] = True
    return mask


def _in_zone(request: ServerRequest, fleet: Fleet) -> Flags:
    return everyone(fleet) if request.zone is None else fleet.zones.is_(request.zone)


def _has(resource_class: str) -> Callable[[ServerRequest, Fleet], Flags]:
    def mask(request: ServerRequest, fleet: Fleet) -> Flags:
        wanted = request.amounts.get(resource_class, 0)
        if wanted == 0:
            return everyone(fleet)
        free = fleet.free.get(resource_class)
        return nobody(fleet) if free is None else free >= wanted

    return mask


def _reaches_all(request: ServerRequest, fleet: Fleet) -> Flags:
    mask = everyone(fleet)
    for need in request.needs:
        if need.physical_networks:
            mask &= np.logical_or.reduce(
                [fleet.reached.get(name, nobody(fleet)) for name in need.physical_networks]
            )
    return mask


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
        mask = everyone(fleet)
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

PLACING = (DEVICES, BANDWIDTH, NUMA)
"""One of these turns away each host on which a server cannot be placed (``place``)."""

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
    *SWITCHES,
    *PLACING,
)
"""In the order of asking: what an operator said, what a host is, what it has."""
