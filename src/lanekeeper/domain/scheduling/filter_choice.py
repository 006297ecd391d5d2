"""Which filters are asked: those that always are, and those of Nova's that an operator names."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping

from lanekeeper.domain.scheduling import aggregate_filter as by_aggregate
from lanekeeper.domain.scheduling import platform_filter as by_platform
from lanekeeper.domain.scheduling import server_filter as by_server
from lanekeeper.domain.scheduling.filter import (
    ALIVE,
    DEVICES,
    ENABLED,
    FILTERS,
    NETWORKS,
    NUMA,
    PCPUS,
    THAWED,
)
from lanekeeper.domain.scheduling.filter_settings import FilterSettings
from lanekeeper.domain.scheduling.verdict import Filter

_Make = Callable[[FilterSettings], tuple[Filter, ...]]


def _just(*filters: Filter) -> _Make:
    return lambda settings: filters


OF_NOVA: Mapping[str, _Make] = {
    "AggregateImagePropertiesIsolation": lambda settings: (
        by_aggregate.image_isolation(settings.image_namespace, settings.image_separator),
    ),
    "AggregateInstanceExtraSpecsFilter": _just(by_aggregate.EXTRA_SPECS),
    "AggregateIoOpsFilter": lambda settings: (
        by_server.io_ops(settings.builds, settings.builds_max, by_aggregate=True),
    ),
    "AggregateMultiTenancyIsolation": _just(by_aggregate.TENANTS),
    "AggregateNumInstancesFilter": lambda settings: (
        by_server.num_instances(settings.servers_max, by_aggregate=True),
    ),
    "AggregateTypeAffinityFilter": _just(by_aggregate.FLAVORS),
    "AllHostsFilter": _just(),
    "ComputeCapabilitiesFilter": _just(by_platform.CAPABILITIES_FILTER),
    "ComputeFilter": _just(ENABLED, ALIVE),
    "DifferentHostFilter": _just(by_server.DIFFERENT_HOST),
    "ImagePropertiesFilter": lambda settings: (
        by_platform.image_properties(settings.default_architecture),
    ),
    "IoOpsFilter": lambda settings: (
        by_server.io_ops(settings.builds, settings.builds_max, by_aggregate=False),
    ),
    "IsolatedHostsFilter": lambda settings: (
        by_server.isolated_hosts(
            settings.isolated_hosts, settings.isolated_images, restrict=settings.isolated_restrict
        ),
    ),
    "NUMATopologyFilter": _just(PCPUS, NUMA),
    "NumInstancesFilter": lambda settings: (
        by_server.num_instances(settings.servers_max, by_aggregate=False),
    ),
    "PciPassthroughFilter": _just(NETWORKS, DEVICES),
    "SameHostFilter": _just(by_server.SAME_HOST),
    "ServerGroupAffinityFilter": _just(by_server.AFFINITY),
    "ServerGroupAntiAffinityFilter": _just(by_server.ANTI_AFFINITY),
}
"""Nova's filters whose work is done here, and by which.

Source: nova ``scheduler/filters``. Zones, amounts and disabled services are Placement's business
in Nova and cannot be left out there either (``scheduler/request_filter.py``).
"""

COUNT_BUILDS = frozenset({"AggregateIoOpsFilter", "IoOpsFilter"})
"""Those that ask how many servers a host is building: ``FilterSettings.builds``."""

_AS_NOVA = FilterSettings()


def filters_of(enabled: Collection[str], settings: FilterSettings = _AS_NOVA) -> tuple[Filter, ...]:
    """Return the filters to ask where the operator has *enabled* these of Nova's, in order.

    Without ComputeFilter a host that is down gets servers too, which start when it is back.
    What ``FILTERS`` has is asked in any case: a device that nobody checked would be handed out
    twice, or dirty.
    """
    always = [THAWED if one is ALIVE and "ComputeFilter" not in enabled else one for one in FILTERS]
    quick = [one for one in always if one.mask is not None]
    named = [
        one
        for name in sorted({*enabled} & OF_NOVA.keys())
        for one in OF_NOVA[name](settings)
        if one not in FILTERS
    ]
    slow = [one for one in always if one.mask is None]
    return (*quick, by_aggregate.DEVICES_ONLY, *named, *slow)
