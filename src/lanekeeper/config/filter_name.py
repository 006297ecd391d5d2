"""Names of filters in ``[filter_scheduler] enabled_filters``: today's, and those of older files."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches

from lanekeeper.config.value import split_list
from lanekeeper.domain.errors import Invalid

FILTERS = (
    "AggregateImagePropertiesIsolation",
    "AggregateInstanceExtraSpecsFilter",
    "AggregateIoOpsFilter",
    "AggregateMultiTenancyIsolation",
    "AggregateNumInstancesFilter",
    "AggregateTypeAffinityFilter",
    "AllHostsFilter",
    "ComputeCapabilitiesFilter",
    "ComputeFilter",
    "DifferentHostFilter",
    "ImagePropertiesFilter",
    "IoOpsFilter",
    "IsolatedHostsFilter",
    "JsonFilter",
    "MetricsFilter",
    "NUMATopologyFilter",
    "NumInstancesFilter",
    "PciPassthroughFilter",
    "SameHostFilter",
    "ServerGroupAffinityFilter",
    "ServerGroupAntiAffinityFilter",
    "SimpleCIDRAffinityFilter",
)
"""Filters of Nova 34, ``nova/scheduler/filters``."""

IDLE_FILTERS = frozenset(("JsonFilter", "MetricsFilter", "SimpleCIDRAffinityFilter"))
"""Those of them that turn no host away here."""

DEFAULT_FILTERS = (
    "ComputeFilter",
    "ComputeCapabilitiesFilter",
    "ImagePropertiesFilter",
    "ServerGroupAntiAffinityFilter",
    "ServerGroupAffinityFilter",
    "PciPassthroughFilter",
    "NUMATopologyFilter",
)

_COUNTED = "what a host has is always counted"
_RATIOS = "ratios are a host's own, cpu_allocation_ratio and the like"
GONE_FILTERS: Mapping[str, str] = {
    "AggregateCoreFilter": _RATIOS,
    "AggregateDiskFilter": _RATIOS,
    "AggregateRamFilter": _RATIOS,
    "AvailabilityZoneFilter": "zones are always obeyed",
    "CoreFilter": _COUNTED,
    "DiskFilter": _COUNTED,
    "ExactCoreFilter": "nothing does that any more",
    "ExactDiskFilter": "nothing does that any more",
    "ExactRamFilter": "nothing does that any more",
    "RamFilter": _COUNTED,
    "RetryFilter": (
        "where a claim is lost another host is tried anyway, and a guest that fails to start is "
        "tried on no other"
    ),
    "TrustedFilter": "nothing does that any more",
    "TypeAffinityFilter": "AggregateTypeAffinityFilter is the like of it",
}
"""Filters of older releases, and what there is in their stead."""

REST = "..."
"""What Nova's guide writes for the other filters, whichever they are."""


def parse_filters(text: str) -> tuple[str, ...]:
    """Read filter names; those of older releases are left out.

    Raises:
        Invalid: an unknown name, or the guide's ``...`` for names that it does not tell.
    """
    names = tuple(split_list(text))
    for name in names:
        if name == REST:
            raise Invalid(
                f"{REST} stands in the guide for the other filters, whichever they are; "
                "it is not one"
            )
        if name not in FILTERS and name not in GONE_FILTERS:
            close = get_close_matches(name, FILTERS, n=1, cutoff=0.6)
            hint = f"did you mean {close[0]}?" if close else "filters of one's own are not offered"
            raise Invalid(f"there is no filter {name}", hint=hint)
    return tuple(name for name in names if name not in GONE_FILTERS)


def complete_filters(names: Iterable[str]) -> tuple[str, ...]:
    """Put the default filters, those that *names* lacks, in the place of the guide's ``...``."""
    named = tuple(names)
    rest = tuple(name for name in DEFAULT_FILTERS if name not in named)
    return tuple(one for name in named for one in (rest if name == REST else (name,)))


def gone_in_words(names: Iterable[str]) -> str:
    """Say which of *names* no longer exist, and why; nothing where all do."""
    by_reason: dict[str, list[str]] = {}
    for name in dict.fromkeys(names):
        if reason := GONE_FILTERS.get(name):
            by_reason.setdefault(reason, []).append(name)
    return "; ".join(
        f"{_enumerated(gone)} no longer {'exists' if len(gone) == 1 else 'exist'}: {reason}"
        for reason, gone in by_reason.items()
    )


def _enumerated(names: Sequence[str]) -> str:
    *others, last = names
    return f"{', '.join(others)} and {last}" if others else last
