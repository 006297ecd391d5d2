"""What a project's member is told of a verdict: no host, no device, nothing of the operator's.

As in Nova, where the names of hosts are for admins (``os-extended-server-attributes``): a member
gets the filter, the counts, and what they can do themselves.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from types import MappingProxyType

from lanekeeper.domain.scheduling.selection import Rejection
from lanekeeper.domain.scheduling.verdict import Verdict

_ASK = "ask an operator"
_SMALLER = "use a smaller flavor, or delete servers"
_WORDS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "forced_host": ("is not the host that was asked for", "ask for no host"),
        "availability_zone": ("is in another zone", "ask for another availability zone, or none"),
        "host_enabled": ("is disabled", _ASK),
        "host_alive": ("is down", f"wait, or {_ASK}"),
        "vcpu": ("", _SMALLER),
        "pcpu": ("", _SMALLER),
        "ram": ("", _SMALLER),
        "disk": ("", _SMALLER),
        "devices_only": (
            "is kept for servers that ask for devices",
            f"ask for a device, or {_ASK}",
        ),
        "aggregate_extra_specs": ("is not for this flavor", f"use another flavor, or {_ASK}"),
        "aggregate_tenants": ("is for other projects", _ASK),
        "aggregate_flavors": ("is not for this flavor", f"use another flavor, or {_ASK}"),
        "aggregate_images": ("is not for this image", f"use another image, or {_ASK}"),
        "num_instances": ("has as many servers as it may", _ASK),
        "aggregate_num_instances": ("has as many servers as it may", _ASK),
        "io_ops": ("is building as many servers as it may", f"wait, or {_ASK}"),
        "aggregate_io_ops": ("is building as many servers as it may", f"wait, or {_ASK}"),
        "isolated_hosts": ("is not for this image", f"use another image, or {_ASK}"),
        "image_properties": ("is not for this image", f"use another image, or {_ASK}"),
        "capabilities": ("is not for this flavor", f"use another flavor, or {_ASK}"),
        "same_host": (
            "has none of the servers of the hint same_host",
            "leave the hint out, or name servers of a host that has room",
        ),
        "different_host": (
            "has servers of the hint different_host",
            f"leave some out of the hint, or {_ASK}",
        ),
        "server_group_affinity": (
            "is not where the server group is",
            "delete servers there, or use a group of policy soft-affinity",
        ),
        "server_group_anti_affinity": (
            "has as many of the server group as it may",
            "use a group of policy soft-anti-affinity or of a higher max_server_per_host",
        ),
        "physical_network": (
            "does not reach the physical network of a port",
            f"use ports on another network, or {_ASK}",
        ),
        "virtual_switch": (
            "has no virtual switch for a normal port",
            f"create the port with --vnic-type direct, or {_ASK}",
        ),
        "packet_filter": (
            "does not enforce security groups of normal ports",
            f"take the groups off the port, or {_ASK}",
        ),
        "failover_pair": (
            "cannot give a guest a failover pair on the port's network",
            f"use a port whose binding profile does not ask for failover, or {_ASK}",
        ),
        "devices": (
            "",
            f"ask for fewer devices, delete a server that holds some and wait a moment, or {_ASK}",
        ),
        "bandwidth": (
            "has no network card with enough bandwidth left for a port",
            "lower min_kbps of the port's minimum_bandwidth rule, delete a server whose ports are "
            f"promised some and wait a moment, or {_ASK}",
        ),
        "numa": (
            "has no NUMA cells with CPUs, memory and devices for the guest near to each other",
            "use a flavor with fewer or smaller NUMA nodes, or with hw:pci_numa_affinity_policy "
            f"preferred, or {_ASK}",
        ),
    }
)
"""By filter: reason and remedy; an empty reason stands for the verdict's own, which is counts."""
_FEWER = f"ask for fewer devices, or {_ASK}"
"""Where it would not help that devices get free."""
_UNKNOWN = ("does not fit", _ASK)
_COUNTS = frozenset({"free", "capacity", "needed", "needs"})
"""Facts about amounts, and the caller's own names of what they need."""
_NEAREST = "; of the nearest"


def member_verdict(verdict: Verdict) -> Verdict:
    """The verdict without what tells of hosts; one that is not known here tells nothing."""
    reason, remedy = _WORDS.get(verdict.code, _UNKNOWN)
    if verdict.facts.get("past_help"):
        remedy = _FEWER
    return replace(
        verdict,
        # What the nearest devices are (ids, physical networks) is the operator's configuration.
        reason=reason or verdict.reason.partition(_NEAREST)[0],
        remedy=remedy,
        facts={key: value for key, value in verdict.facts.items() if key in _COUNTS},
    )


def member_rejections(rejections: Iterable[Rejection]) -> tuple[Rejection, ...]:
    """The same hosts, counted together where they differ in nothing that may be told."""
    counts: dict[tuple[str, str, str], Rejection] = {}
    for one in rejections:
        verdict = member_verdict(one.verdict)
        key = (verdict.code, verdict.reason, verdict.remedy)
        before = counts.get(key, Rejection(verdict, (), 0))
        counts[key] = replace(before, count=before.count + one.count)
    return tuple(counts.values())
