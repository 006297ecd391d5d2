"""Filters by the servers that a host has already.

Source: nova ``scheduler/filters/affinity_filter.py``, ``num_instances_filter.py``,
``io_ops_filter.py``, ``isolated_hosts_filter.py``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np

from lanekeeper.domain.compute.server_group import GroupPolicy
from lanekeeper.domain.errors import some
from lanekeeper.domain.scheduling.fleet import Flags, Fleet
from lanekeeper.domain.scheduling.host import HostView, ServerRequest, values_of
from lanekeeper.domain.scheduling.verdict import Filter, Verdict


def located(request: ServerRequest, fleet: Fleet) -> ServerRequest:
    """The request with the hosts where its group has servers now."""
    if request.group is None:
        return request
    group_id = request.group.id
    hosts = frozenset(view.name for view in fleet.views if view.groups.get(group_id))
    return replace(request, group=replace(request.group, hosts=hosts))


def same_host(request: ServerRequest, host: HostView) -> Verdict | None:
    if not request.same_host or request.same_host & host.servers:
        return None
    return Verdict(
        code="same_host",
        reason=f"has none of the servers of the hint same_host: {_listed(request.same_host)}",
        remedy="leave the hint out, or name servers of a host that has room",
        facts={"asked": sorted(request.same_host)},
    )


def different_host(request: ServerRequest, host: HostView) -> Verdict | None:
    met = request.different_host & host.servers
    if not met:
        return None
    return Verdict(
        code="different_host",
        reason=f"has servers of the hint different_host: {_listed(met)}",
        remedy="leave those out of the hint, or add a host",
        facts={"met": sorted(met)},
    )


def server_group_affinity(request: ServerRequest, host: HostView) -> Verdict | None:
    group = request.group
    if group is None or group.policy is not GroupPolicy.AFFINITY:
        return None
    if not group.hosts or host.name in group.hosts:
        return None
    return Verdict(
        code="server_group_affinity",
        reason=f"is not where server group {group.name} is: {_listed(group.hosts)}",
        remedy="free room there, or use a group of policy soft-affinity",
        facts={"group": group.id, "hosts": sorted(group.hosts)},
    )


def server_group_anti_affinity(request: ServerRequest, host: HostView) -> Verdict | None:
    group = request.group
    if group is None or group.policy is not GroupPolicy.ANTI_AFFINITY:
        return None
    count = host.groups.get(group.id, 0)
    if count < group.max_per_host:
        return None
    return Verdict(
        code="server_group_anti_affinity",
        reason=f"has {count} of server group {group.name}, which lets a host have "
        f"{group.max_per_host}",
        remedy="add a host, or use a group of policy soft-anti-affinity or of a higher "
        "max_server_per_host",
        facts={"group": group.id, "count": count, "most": group.max_per_host},
    )


def _by_view(
    why: Callable[[ServerRequest, HostView], Verdict | None],
    concerned: Callable[[ServerRequest], bool],
) -> Filter:
    """A filter that looks at each host, for the few requests that it is *concerned* with."""

    def mask(request: ServerRequest, fleet: Fleet) -> Flags:
        if not concerned(request):
            return np.ones(len(fleet), np.bool_)
        passes = (why(request, view) is None for view in fleet.views)
        return np.fromiter(passes, np.bool_, len(fleet))

    return Filter(why, mask)


def _has_policy(policy: GroupPolicy) -> Callable[[ServerRequest], bool]:
    return lambda request: request.group is not None and request.group.policy is policy


SAME_HOST = _by_view(same_host, lambda request: bool(request.same_host))
DIFFERENT_HOST = _by_view(different_host, lambda request: bool(request.different_host))
AFFINITY = _by_view(server_group_affinity, _has_policy(GroupPolicy.AFFINITY))
ANTI_AFFINITY = _by_view(server_group_anti_affinity, _has_policy(GroupPolicy.ANTI_AFFINITY))


def num_instances(most: int, *, by_aggregate: bool) -> Filter:
    """Keep servers from hosts that have *most* or more, or as many as an aggregate says."""

    def why(request: ServerRequest, host: HostView) -> Verdict | None:
        limit = most
        if by_aggregate:
            limit = _least(values_of(host.aggregates, "max_instances_per_host"), most)
        count = len(host.servers)
        if count < limit:
            return None
        return Verdict(
            code=code,
            reason=f"has {count} servers, {limit} are the most",
            remedy="delete servers, add a host, or raise "
            + ("the aggregate's " if by_aggregate else "[filter_scheduler] ")
            + "max_instances_per_host",
            facts={"count": count, "most": limit},
        )

    code = "aggregate_num_instances" if by_aggregate else "num_instances"
    why.__name__ = code
    return _by_view(why, lambda request: True)


def io_ops(builds: Mapping[str, int], most: int, *, by_aggregate: bool) -> Filter:
    """Keep servers from hosts that have *most* or more to build, or as many as an aggregate says.

    Of what Nova counts as heavy on disks (``compute/stats.py``, io_workload) there are only builds.
    """

    def why(request: ServerRequest, host: HostView) -> Verdict | None:
        limit = most
        if by_aggregate:
            limit = _least(values_of(host.aggregates, "max_io_ops_per_host"), most)
        count = builds.get(host.id, 0)
        if count < limit:
            return None
        return Verdict(
            code=code,
            reason=f"is building {count} servers, {limit} are the most at a time",
            remedy="wait until some are built, add a host, or raise "
            + ("the aggregate's " if by_aggregate else "[filter_scheduler] ")
            + "max_io_ops_per_host",
            facts={"count": count, "most": limit},
        )

    code = "aggregate_io_ops" if by_aggregate else "io_ops"
    why.__name__ = code
    return _by_view(why, lambda request: True)


def isolated_hosts(hosts: frozenset[str], images: frozenset[str], *, restrict: bool) -> Filter:
    """Keep *images* on *hosts*, and with *restrict* all other images from them."""

    def why(request: ServerRequest, host: HostView) -> Verdict | None:
        kept, mine = host.name in hosts, request.image_id in images
        if kept == mine or (kept and not restrict):
            return None
        return Verdict(
            code="isolated_hosts",
            reason="is kept for other images" if kept else "is none of the hosts for this image",
            remedy="use another image, or change isolated_hosts and isolated_images in "
            "[filter_scheduler]",
            facts={"isolated_host": kept, "isolated_image": mine},
        )

    why.__name__ = "isolated_hosts"
    return _by_view(why, lambda request: bool(hosts or images))


_NAMED = 3


def _least(texts: set[str], configured: int) -> int:
    """The least number of all; *configured* where there is none, or one of them is no number."""
    try:
        return min(map(int, texts), default=configured)
    except ValueError:
        return configured


def _listed(names: frozenset[str]) -> str:
    return some(sorted(names), _NAMED)
