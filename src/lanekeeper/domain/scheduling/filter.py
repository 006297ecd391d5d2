"""Filters: each turns hosts away for one reason, and says which and what would help.

A filter is a function from a request and a host to a verdict, or None to let the host pass. It
holds no state and reads no clock, so a decision can be replayed from its inputs.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field

from lanekeeper.domain.scheduling.fit import Shortfall, fit_devices
from lanekeeper.domain.scheduling.host import HostView, ServerRequest


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


Filter = Callable[[ServerRequest, HostView], Verdict | None]


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
    return _stock(host, "vcpu", "VCPU", request.vcpus, "VCPUs")


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
    wanted = {need.physical_network for need in request.needs if need.physical_network}
    missing = sorted(wanted - host.physical_networks)
    if not missing:
        return None
    reached = ", ".join(sorted(host.physical_networks)) or "none"
    return Verdict(
        code="physical_network",
        reason=f"does not reach {', '.join(missing)}; it reaches: {reached}",
        remedy="map a PF to it in [sriov_nic] physical_device_mappings of this host",
        facts={"missing": missing, "reached": sorted(host.physical_networks)},
    )


def devices(request: ServerRequest, host: HostView) -> Verdict | None:
    found = fit_devices(request.needs, host.devices) if request.needs else ()
    if not isinstance(found, Shortfall):
        return None
    return Verdict(
        code="devices",
        reason=found.reason,
        remedy=found.remedy,
        facts={"needs": list(found.names)} | ({"unfit": list(found.unfit)} if found.unfit else {}),
    )


FILTERS: tuple[Filter, ...] = (
    forced_host,
    availability_zone,
    host_enabled,
    host_alive,
    vcpu,
    ram,
    disk,
    physical_network,
    devices,
)
"""In the order of asking: what an operator said, what a host is, what it has."""

OF_NOVA: Mapping[str, tuple[Filter, ...]] = {
    "AllHostsFilter": (),
    "ComputeFilter": (host_enabled, host_alive),
    "NUMATopologyFilter": (devices,),
    "PciPassthroughFilter": (physical_network, devices),
}
"""Nova's filters whose work is done here, and by which.

Source: nova ``scheduler/filters``. Zones, amounts and disabled services are Placement's business
in Nova and cannot be left out there either (``scheduler/request_filter.py``).
"""


def filters_of(enabled: Collection[str]) -> tuple[Filter, ...]:
    """Return the filters to ask where the operator has *enabled* these of Nova's.

    Without ComputeFilter a host that is down gets servers too, which start when it is back. All
    others are asked in any case: a device that nobody checked would be handed out twice, or dirty.
    """
    if "ComputeFilter" in enabled:
        return FILTERS
    return tuple(host_thawed if one is host_alive else one for one in FILTERS)
