"""What Prometheus is told; counted from the database when asked, so never out of step."""

from __future__ import annotations

from collections.abc import Iterable

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Histogram,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from lanekeeper.clock import Clock
from lanekeeper.control.site import Site
from lanekeeper.domain.errors import Unavailable
from lanekeeper.store.device.device import devices_counted
from lanekeeper.store.device.health import health_counted, unfit_counted
from lanekeeper.store.host.host import HostRecord, host_list

# When each series began: Prometheus knows, and nobody asks.
disable_created_metrics()  # type: ignore[no-untyped-call]

PROCESS = CollectorRegistry()
"""What this process counts itself, since its start."""

CLAIMS = Counter(
    "lanekeeper_claims_total",
    "Servers whose devices, amounts and ports were claimed.",
    registry=PROCESS,
)
REFUSALS = Counter(
    "lanekeeper_refusals_total",
    "Hosts that a filter turned away for servers that found no host, by filter.",
    ["reason"],
    registry=PROCESS,
)
LOST_RACES = Counter(
    "lanekeeper_claims_lost_total",
    "Claims that lost a race and were tried again.",
    registry=PROCESS,
)
CLEANING = Histogram(
    "lanekeeper_cleaning_seconds",
    "From a device's release until its host has cleaned it, or given it up, by outcome.",
    ["outcome"],
    buckets=(0.1, 0.5, 1, 2, 5, 10, 30, 60, 300, 3600),
    registry=PROCESS,
)


class _Fleet(Collector):
    def __init__(self, site: Site, clock: Clock) -> None:
        self._site = site
        self._clock = clock

    def collect(self) -> Iterable[Metric]:
        """What the database says; when it says nothing, that alone."""
        readable = GaugeMetricFamily(
            "lanekeeper_database_readable",
            "1 when the database answered just now; 0 when not, and the fleet is not known.",
        )
        try:
            with self._site.database.read() as connection:
                counted, hosts = devices_counted(connection), host_list(connection)
                raised, kept = health_counted(connection), unfit_counted(connection)
        except Unavailable:
            readable.add_metric([], 0)
            return [readable]
        readable.add_metric([], 1)
        ill = (_raised(raised), _kept_back(kept))
        return [readable, _devices(counted), *ill, self._ages(hosts)]

    def _ages(self, hosts: Iterable[HostRecord]) -> Metric:
        ages = GaugeMetricFamily(
            "lanekeeper_agent_age_seconds",
            "Time since the host's agent was last heard.",
            labels=["host"],
        )
        for host in hosts:
            if host.seen_at is not None:
                age = (self._clock() - host.seen_at).total_seconds()
                ages.add_metric([host.name], max(age, 0.0))
        return ages


def _devices(counted: Iterable[tuple[str, str, str, int]]) -> Metric:
    devices = GaugeMetricFamily(
        "lanekeeper_devices",
        "Devices that hosts list, by what they are and where they stand.",
        labels=["host", "resource_class", "state"],
    )
    for host_name, resource_class, state, number in counted:
        devices.add_metric([host_name, resource_class, state], number)
    return devices


def _raised(counted: Iterable[tuple[str, str, int]]) -> Metric:
    raised = GaugeMetricFamily(
        "lanekeeper_device_health_raised",
        "Devices with which something is wrong, by what; a PF stands for its VFs.",
        labels=["host", "signal"],
    )
    for host_name, signal, number in counted:
        raised.add_metric([host_name, signal], number)
    return raised


def _kept_back(counted: Iterable[tuple[str, int]]) -> Metric:
    kept = GaugeMetricFamily(
        "lanekeeper_devices_unfit",
        "Listed devices, held ones too, that are offered to nobody new since they are not well.",
        labels=["host"],
    )
    for host_name, number in counted:
        kept.add_metric([host_name], number)
    return kept


def render(site: Site) -> bytes:
    """The exposition text: this process's counters, and the fleet as the database has it."""
    fleet = CollectorRegistry()
    fleet.register(_Fleet(site, site.clock))
    return generate_latest(PROCESS) + generate_latest(fleet)
