"""Rules about the scheduler's filters: unknown, gone, missing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from difflib import get_close_matches

from lanekeeper.config.doctor.case import Case, Line
from lanekeeper.config.doctor.finding import Hit, Rule
from lanekeeper.config.filter_name import FILTERS, GONE_FILTERS, REST, gone_in_words
from lanekeeper.config.value import split_list
from lanekeeper.domain.hostplan.findings.finding import Severity

_FILTERS = "[filter_scheduler] enabled_filters"
_ALIAS = '{"name": "a1", "vendor_id": "8086", "product_id": "10ca"}'


def unknown_filters(line: Line) -> Mapping[str, str]:
    """Return unknown names with what they may mean."""
    if line.option is None or line.option.name != _FILTERS:
        return {}
    known = {*FILTERS, *GONE_FILTERS, REST}
    names = [name for name in split_list(line.value) if name not in known]
    return {name: next(iter(get_close_matches(name, FILTERS, n=1)), "") for name in names}


def _filter_unknown(case: Case) -> Iterator[Hit]:
    for line in case.of(_FILTERS):
        for name, near in unknown_filters(line).items():
            fix = f"{near}" if near else "remove it; filters of one's own are not offered"
            yield Hit(line.source, f"there is no filter {name}", fix)


def _filter_gone(case: Case) -> Iterator[Hit]:
    for line in case.of(_FILTERS):
        if words := gone_in_words(split_list(line.value)):
            yield Hit(
                line.source,
                f"{words}. A Nova of today does not start with such a name",
                "without it; `config convert` leaves it out",
            )


def _filter_missing(case: Case) -> Iterator[Hit]:
    line = case.of(_FILTERS)[-1:]
    if line and (case.specs or case.aliases):
        names = list(split_list(line[0].value))
        if "PciPassthroughFilter" not in names:
            meant = unknown_filters(line[0])  # what is misspelt, or nobody's, is no advice
            names = [near for name in names if (near := meant.get(name, name))]
            right = dict.fromkeys((*names, "PciPassthroughFilter"))
            yield Hit(
                line[0].source,
                "PciPassthroughFilter is not among them: Nova's scheduler sends servers with "
                "devices to any host. Here devices always count",
                f"enabled_filters = {','.join(right)}",
            )


def _filter_numa(case: Case) -> Iterator[Hit]:
    line = case.of(_FILTERS)[-1:]
    near = [one for one, alias in case.good_aliases if alias.numa_policy in ("required", "socket")]
    if line and near and "NUMATopologyFilter" not in split_list(line[0].value):
        yield Hit(
            near[0].source,
            f"its numa_policy has no effect in Nova without NUMATopologyFilter in "
            f"{line[0].source}. "
            "Here it always counts",
            "add NUMATopologyFilter to enabled_filters",
        )


RULES: tuple[Rule, ...] = (
    Rule(
        id="filter-unknown",
        severity=Severity.ERROR,
        what="There is no such filter; the start is refused.",
        check=_filter_unknown,
        shows="[filter_scheduler]\nenabled_filters = ComputeFilter,PciPasthroughFilter\n",
        spares="[filter_scheduler]\nenabled_filters = ComputeFilter,PciPassthroughFilter\n",
    ),
    Rule(
        id="filter-gone",
        severity=Severity.WARNING,
        what="Filters of older releases are left out here; Nova's scheduler does not start.",
        check=_filter_gone,
        shows="[filter_scheduler]\nenabled_filters = RetryFilter,RamFilter,ComputeFilter\n",
        spares="[filter_scheduler]\nenabled_filters = ComputeFilter\n",
    ),
    Rule(
        id="filter-pci-missing",
        severity=Severity.WARNING,
        what="Devices are configured, but PciPassthroughFilter is not among the filters. For Nova "
        "that is a mistake; Lanekeeper counts devices always.",
        check=_filter_missing,
        shows=f"[pci]\nalias = {_ALIAS}\n[filter_scheduler]\nenabled_filters = ComputeFilter\n",
        spares=f"[pci]\nalias = {_ALIAS}\n[filter_scheduler]\n"
        "enabled_filters = ComputeFilter,PciPassthroughFilter\n",
    ),
    Rule(
        id="filter-numa-missing",
        severity=Severity.INFO,
        what="An alias has the numa_policy required or socket, which Nova follows only with "
        "NUMATopologyFilter.",
        check=_filter_numa,
        shows=f'[pci]\nalias = {_ALIAS[:-1]}, "numa_policy": "required"}}\n'
        "[filter_scheduler]\nenabled_filters = PciPassthroughFilter\n",
        spares=f'[pci]\nalias = {_ALIAS[:-1]}, "numa_policy": "required"}}\n'
        "[filter_scheduler]\nenabled_filters = PciPassthroughFilter,NUMATopologyFilter\n",
    ),
)
